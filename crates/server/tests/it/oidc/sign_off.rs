//! `/{environment}/as/signoff` (OIDC RP-Initiated Logout 1.0).

use countersign_domain::application::Application;

use crate::world::{Answer, Client, FORM, Members, PASSWORD, SITE_ADDRESS, World, get, post};

const OUT: &str = "https://bank.example/out";

/// The bank's web site, with ann's browser in front of it, and her ID token.
async fn signed_in(w: &World) -> (Client, String) {
    let with_out = |a: &mut Application| a.oidc.post_logout_redirect_uris = vec![OUT.to_owned()];
    let site = w.bank.unusual_site(&w.server, with_out).await;
    let client = w.client(&site.id.to_string(), SITE_ADDRESS);
    let mut sign_on = client.begin().await;
    sign_on.password("ann", PASSWORD).await.must_be(200);
    let id_token = sign_on.tokens().await.id_token;
    (sign_on.client, id_token)
}

fn members(pairs: &[(&str, &str)]) -> Members {
    pairs.iter().fold(Members::default(), |members, (name, value)| members.with(name, value))
}

async fn leave(client: &mut Client, pairs: &[(&str, &str)]) -> Answer {
    let url = format!("{}/signoff?{}", client.issuer, members(pairs).encoded());
    client.browser.send(get(&url)).await
}

async fn is_signed_in(client: &Client) -> bool {
    let mut client = client.clone();
    let request = client.request().with("prompt", "none");
    client.authorize(&request).await.must_be(302).returned("code").is_some()
}

#[tokio::test]
async fn a_token_of_the_session_ends_it_and_leads_back() {
    let w = World::new().await;
    let (mut client, id_token) = signed_in(&w).await;
    assert!(is_signed_in(&client).await);
    let pairs = [("id_token_hint", id_token.as_str()), ("post_logout_redirect_uri", OUT)];
    let answer = leave(&mut client, &pairs).await.must_be(303);
    assert_eq!(answer.location(), Some(OUT));
    assert!(!is_signed_in(&client).await);
    // Once more does no harm.
    assert_eq!(leave(&mut client, &pairs).await.must_be(303).location(), Some(OUT));
}

#[tokio::test]
async fn an_ended_session_stays_ended_for_who_has_kept_the_cookie() {
    let w = World::new().await;
    let (mut client, id_token) = signed_in(&w).await;
    let thief = client.clone();
    leave(&mut client, &[("id_token_hint", &id_token)]).await.must_be(200);
    assert!(!is_signed_in(&thief).await);
}

#[tokio::test]
async fn without_a_token_of_the_session_the_person_is_asked() {
    let w = World::new().await;
    let (client, id_token) = signed_in(&w).await;
    let (other, other_token) = signed_in_elsewhere(&w, &client).await;
    let named = client.id.as_str();
    for pairs in [
        &[][..],
        &[("client_id", named)],
        &[("id_token_hint", &other_token)],
        &[("client_id", named), ("post_logout_redirect_uri", OUT), ("state", "s")],
    ] {
        let mut browser = client.clone();
        let answer = leave(&mut browser, pairs).await.must_be(200);
        assert!(answer.text().contains("Sign out?"), "{pairs:?}");
        assert!(is_signed_in(&browser).await, "{pairs:?}");
    }
    assert!(is_signed_in(&other).await);
    drop(id_token);
}

/// The same application in another browser.
async fn signed_in_elsewhere(w: &World, client: &Client) -> (Client, String) {
    let client = w.client(&client.id, SITE_ADDRESS);
    let mut sign_on = client.begin().await;
    sign_on.password("ann", PASSWORD).await.must_be(200);
    let id_token = sign_on.tokens().await.id_token;
    (sign_on.client, id_token)
}

#[tokio::test]
async fn the_page_that_asks_signs_off_and_leads_back() {
    let w = World::new().await;
    let (mut client, _) = signed_in(&w).await;
    let pairs = [("client_id", client.id.clone()), ("post_logout_redirect_uri", OUT.to_owned())];
    let query = pairs.iter().fold(Members::default(), |m, (name, value)| m.with(name, value));
    let url = format!("{}/signoff?{}", client.issuer, query.and("state", "x&y").encoded());
    let page = client.browser.open(&url).await;
    let hidden = ["token", "client_id", "post_logout_redirect_uri", "state"];
    let form = hidden.iter().fold(Members::default(), |form, name| {
        form.with(name, &page.value_of(name).replace("&amp;", "&").replace("&#38;", "&"))
    });
    let after = client.browser.submit(&page, form.with("action", "signoff")).await;
    assert_eq!(after.url, format!("{OUT}?state=x%26y"));
    assert!(!is_signed_in(&client).await);
}

#[tokio::test]
async fn another_site_cannot_confirm_in_place_of_the_person() {
    let w = World::new().await;
    let (mut client, _) = signed_in(&w).await;
    let url = format!("{}/signoff", client.issuer);
    for token in ["", "x", &"A".repeat(43)] {
        let form = members(&[("action", "signoff"), ("token", token)]);
        let answer = client.browser.send(post(&url, FORM, form.encoded())).await.must_be(200);
        assert!(answer.text().contains("Sign out?"));
    }
    assert!(is_signed_in(&client).await);
}

#[tokio::test]
async fn a_form_of_another_site_comes_without_cookies_and_is_sent_on_as_a_navigation() {
    let w = World::new().await;
    let (mut client, id_token) = signed_in(&w).await;
    let url = format!("{}/signoff", client.issuer);
    let form = members(&[("id_token_hint", &id_token), ("post_logout_redirect_uri", OUT)]);
    let answer = w.wire.send(post(&url, FORM, form.encoded())).await.must_be(303);
    let next = answer.location().unwrap().to_owned();
    assert!(next.starts_with(&format!("{url}?")), "{next}");
    let answer = client.browser.send(get(&next)).await.must_be(303);
    assert_eq!(answer.location(), Some(OUT));
    assert!(!is_signed_in(&client).await);
}

#[tokio::test]
async fn what_is_not_the_applications_is_refused_and_nobody_is_signed_off() {
    let w = World::new().await;
    let (client, id_token) = signed_in(&w).await;
    let site = w.bank.site.id.to_string();
    let table: [(&[(&str, &str)], &str); 8] = [
        (&[("post_logout_redirect_uri", OUT)], "post_logout_redirect_uri is not one"),
        (
            &[("id_token_hint", &id_token), ("post_logout_redirect_uri", "https://evil.example")],
            "post_logout_redirect_uri is not one",
        ),
        (
            &[("id_token_hint", &id_token), ("post_logout_redirect_uri", &format!("{OUT}?x=1"))],
            "post_logout_redirect_uri is not one",
        ),
        (
            &[("id_token_hint", &id_token), ("client_id", &site)],
            "client_id must be the one that id_token_hint was made for",
        ),
        (&[("client_id", "x")], "client_id is not that of an application"),
        (
            &[("client_id", "00000000-0000-7000-8000-000000000000")],
            "client_id is not that of an application",
        ),
        (&[("id_token_hint", "x")], "id_token_hint: must be an ID token that was signed here"),
        (&[("state", "a"), ("client_id", &site), ("post_logout_redirect_uri", OUT)], "post_logout"),
    ];
    for (pairs, told) in table {
        let mut browser = client.clone();
        let answer = leave(&mut browser, pairs).await.must_be(400);
        assert!(answer.text().contains(told), "{pairs:?}: {}", answer.text());
        assert_eq!(answer.location(), None);
        assert!(is_signed_in(&browser).await, "{pairs:?}");
    }
}
