//! Tokens in the authorization response: the implicit and the hybrid flow (OIDC Core, sections 3.2 and 3.3).

use std::collections::BTreeMap;

use countersign_domain::{
    application::{Application, GrantType, ResponseType},
    audit::Action,
    authorization::Scope,
};
use countersign_protocol::{
    encoding,
    id_token::{self, Expected},
    jose::digest,
    jwk::JwkSet,
};
use url::Url;

use crate::world::{
    Client, Members, PASSWORD, Page, SITE_ADDRESS, START, World, claims, get, with,
};

type Given = BTreeMap<String, String>;

/// Lets an application have everything in its answers.
fn in_front(application: &mut Application) {
    application.grant_types.push(GrantType::Implicit);
    application.oidc.response_types =
        vec![ResponseType::Code, ResponseType::Token, ResponseType::IdToken];
}

/// A web site that may have everything in its answers, changed further.
async fn front(w: &World, change: impl FnOnce(&mut Application)) -> Client {
    let changed = |application: &mut Application| {
        in_front(application);
        change(application);
    };
    let application = w.bank.unusual_site(&w.server, changed).await;
    w.client(&application.id.to_string(), SITE_ADDRESS)
}

/// The page after ann has given her password.
async fn signed_in(client: &mut Client, request: &Members) -> Page {
    let page = client.browser.open(&client.authorize_url(request)).await;
    let fields = [("username", "ann"), ("password", PASSWORD)];
    client.browser.press(&page, "login", &fields).await
}

/// The members in the fragment of an address.
fn fragment(address: &str) -> Given {
    let url = Url::parse(address).unwrap();
    assert_eq!(url.query(), None, "{address}");
    let members = form_urlencoded::parse(url.fragment().unwrap_or_default().as_bytes());
    members.into_owned().collect()
}

/// What ann's sign-on gives by fragment.
async fn given(client: &mut Client, response_type: &str) -> Given {
    let request = client.request().with("response_type", response_type);
    let end = signed_in(client, &request).await;
    assert!(end.url.starts_with(&format!("{SITE_ADDRESS}#")), "{}", end.url);
    fragment(&end.url)
}

fn half_hash(token: &str) -> String {
    encoding::encode(&digest(token)[..16])
}

const TYPES: [(&str, &[&str]); 5] = [
    ("id_token", &["id_token"]),
    ("token id_token", &["access_token", "expires_in", "id_token", "scope", "token_type"]),
    ("code id_token", &["code", "id_token"]),
    ("code token", &["access_token", "code", "expires_in", "scope", "token_type"]),
    (
        "code token id_token",
        &["access_token", "code", "expires_in", "id_token", "scope", "token_type"],
    ),
];

async fn each_response_type_gives_its_members(w: &mut World) {
    let keys = w.wire.get(&w.url("/as/jwks")).await.json();
    let keys: JwkSet = serde_json::from_value(keys).unwrap();
    for (response_type, members) in TYPES {
        let mut site = front(w, |site| site.name = response_type.to_owned()).await;
        let given = given(&mut site, response_type).await;
        let mut expected: Vec<&str> = members.iter().copied().chain(["iss", "state"]).collect();
        expected.sort_unstable();
        assert_eq!(given.keys().collect::<Vec<_>>(), expected, "{response_type}");
        assert_eq!((given["state"].as_str(), given["iss"].clone()), ("state-1", w.issuer()));
        if let Some(token) = given.get("access_token") {
            assert_eq!(given["token_type"], "Bearer");
            assert_eq!(given["expires_in"], "3600");
            assert_eq!(given["scope"], "openid profile email");
            site.user_info(token).await.must_be(200);
        }
        if let Some(id_token) = given.get("id_token") {
            let (issuer, audience) = (&w.issuer(), &site.id);
            let (nonce, max_age_seconds) = (Some("nonce-1"), Some(0));
            let expected = Expected { issuer, audience, nonce, max_age_seconds };
            id_token::verify(id_token, &keys, &expected, START).unwrap();
            let told = claims(id_token);
            let hash = |member: &str| given.get(member).map(|token| half_hash(token));
            assert_eq!(told["at_hash"].as_str().map(str::to_owned), hash("access_token"));
            assert_eq!(told["c_hash"].as_str().map(str::to_owned), hash("code"));
            // OIDC Core, section 5.4: there is no userinfo to ask without an access token.
            let alone = response_type == "id_token";
            assert_eq!(told["email"] == "ann@bank.example", alone, "{told}");
        }
        if let Some(code) = given.get("code") {
            let tokens = site.tokens(code).await;
            assert_eq!(tokens.id_claims()["at_hash"], half_hash(&tokens.access_token));
            assert_eq!(tokens.refresh_token, None);
            site.user_info(&tokens.access_token).await.must_be(200);
            if let Some(token) = given.get("access_token") {
                site.user_info(token).await.must_be(200);
            }
        }
    }
}

async fn an_answer_that_is_read_again_gives_nothing(w: &mut World) {
    for response_type in ["token id_token", "code token"] {
        let mut site = front(w, |site| site.name = response_type.to_owned()).await;
        let request = site.request().with("response_type", response_type);
        let page = site.browser.open(&site.authorize_url(&request)).await;
        let resume = page.url.replace("/signon?", "/as/resume?");
        let fields = [("username", "ann"), ("password", PASSWORD)];
        let end = site.browser.press(&page, "login", &fields).await;
        let given = fragment(&end.url);
        for address in [&resume, &page.url, &resume] {
            let again = site.browser.open(address).await;
            assert_eq!(again.answer.status, 404, "{address}");
            assert_eq!(again.heading(), "This sign-on has ended");
        }
        // Nobody is punished for it.
        site.user_info(&given["access_token"]).await.must_be(200);
        if let Some(code) = given.get("code") {
            site.tokens(code).await;
        }
    }
}

async fn a_code_that_comes_twice_takes_the_tokens_of_the_answer_along(w: &mut World) {
    let mut site = front(w, |site| site.oidc.access_token_seconds = 86_400).await;
    let given = given(&mut site, "code token").await;
    let tokens = site.tokens(&given["code"]).await;
    site.user_info(&given["access_token"]).await.must_be(200);
    site.redeem(&site.token_request(&given["code"])).await.must_be(400);
    for token in [&given["access_token"], &tokens.access_token] {
        site.user_info(token).await.must_be(401);
    }
}

on_both_engines!(
    each_response_type_gives_its_members,
    an_answer_that_is_read_again_gives_nothing,
    a_code_that_comes_twice_takes_the_tokens_of_the_answer_along,
);

#[tokio::test]
async fn two_that_fetch_one_answer_at_once_get_it_once() {
    let w = World::new().await;
    let site = front(&w, |_| {}).await;
    let request = site.request().with("response_type", "token id_token");
    let mut first = site.clone().begin_with(request).await;
    let mut second = first.clone();
    first.password("ann", PASSWORD).await.must_be(200);
    assert!(!first.response("access_token").is_empty());
    second.read().await.must_be(200);
    let read = second.read().await.json();
    assert_eq!((&read["status"], read.get("authorizeResponse")), (&"COMPLETED".into(), None));
}

#[tokio::test]
async fn in_the_flow_the_answer_is_json() {
    let w = World::new().await;
    let site = front(&w, |_| {}).await;
    let request = site.request().with("response_type", "code token id_token");
    let mut sign_on = site.begin_with(request).await;
    sign_on.password("ann", PASSWORD).await.must_be(200);
    let answer = &sign_on.flow["authorizeResponse"];
    assert_eq!(answer["expires_in"], 3_600);
    for member in ["code", "access_token", "token_type", "scope", "id_token", "state", "iss"] {
        assert!(answer[member].is_string(), "{member}: {answer}");
    }
}

#[tokio::test]
async fn by_form_the_answer_is_posted() {
    let w = World::new().await;
    let mut site = front(&w, |_| {}).await;
    let request = site.request().with("response_type", "code id_token");
    let end = signed_in(&mut site, &request.with("response_mode", "form_post")).await;
    assert!(end.answer.text().contains(&format!("action=\"{SITE_ADDRESS}\"")));
    assert_eq!(claims(&end.value_of("id_token"))["c_hash"], half_hash(&end.value_of("code")));
    site.tokens(&end.value_of("code")).await;
}

#[tokio::test]
async fn a_session_answers_at_once_by_fragment_and_so_does_its_absence() {
    let w = World::new().await;
    let mut site = front(&w, |_| {}).await;
    let request = site.request().with("response_type", "token id_token").with("prompt", "none");
    let refused = site.authorize(&request).await.must_be(302);
    let told = fragment(refused.location().unwrap());
    let members: Vec<&str> = told.keys().map(String::as_str).collect();
    assert_eq!(members, ["error", "error_description", "iss", "state"]);
    assert_eq!(told["error"], "login_required");
    given(&mut site, "id_token").await;
    let answered = site.authorize(&request).await.must_be(302);
    let given = fragment(answered.location().unwrap());
    site.user_info(&given["access_token"]).await.must_be(200);
}

#[tokio::test]
async fn tokens_never_come_in_a_query() {
    let w = World::new().await;
    let mut site = front(&w, |_| {}).await;
    for (response_type, _) in TYPES {
        let request = site.request().with("response_type", response_type);
        let request = request.with("response_mode", "query");
        let answer = site.authorize(&request).await.must_be(302);
        let told = fragment(answer.location().unwrap());
        assert_eq!(told["error"], "invalid_request", "{response_type}");
    }
}

#[tokio::test]
async fn an_application_must_be_allowed_each_part_and_the_grant_type() {
    let w = World::new().await;
    let plain = w.site();
    let bound = front(&w, |site| {
        site.name = "Bound".to_owned();
        site.oidc.dpop_required = true;
    })
    .await;
    let no_grant = front(&w, |site| {
        site.name = "Without implicit".to_owned();
        site.grant_types.retain(|grant_type| *grant_type != GrantType::Implicit);
    })
    .await;
    let no_token = front(&w, |site| {
        site.name = "Without token".to_owned();
        site.oidc.response_types.retain(|part| *part != ResponseType::Token);
    })
    .await;
    for (mut client, response_type, error) in [
        (plain.clone(), "id_token", "unauthorized_client"),
        (plain, "token", "unsupported_response_type"),
        (bound.clone(), "code token", "unauthorized_client"),
        (no_grant, "code id_token", "unauthorized_client"),
        (no_token, "token id_token", "unauthorized_client"),
    ] {
        let request = client.request().with("response_type", response_type);
        let answer = client.authorize(&request).await.must_be(302);
        assert_eq!(fragment(answer.location().unwrap())["error"], error, "{response_type}");
    }
    let mut bound = bound;
    given(&mut bound, "code id_token").await;
}

#[tokio::test]
async fn a_code_from_the_fragment_serves_nobody_else() {
    let w = World::new().await;
    let mut site = front(&w, |_| {}).await;
    let given = given(&mut site, "code id_token").await;
    let other = w.site();
    let stolen = other.redeem(&other.token_request(&given["code"])).await.must_be(400);
    assert_eq!(stolen.json()["error"], "invalid_grant");
    let guessed = site.token_request(&given["code"]).with("code_verifier", &"x".repeat(43));
    site.redeem(&guessed).await.must_be(400);
    let elsewhere = site.token_request(&given["code"]).with("redirect_uri", "https://evil.example");
    site.redeem(&elsewhere).await.must_be(400);
    site.tokens(&given["code"]).await;
}

#[tokio::test]
async fn an_answer_without_a_code_has_none_that_could_be_redeemed() {
    let w = World::new().await;
    let mut site = front(&w, |_| {}).await;
    let given = given(&mut site, "token id_token").await;
    for token in ["access_token", "id_token"] {
        let request = site.token_request(&given[token]);
        assert_eq!(site.redeem(&request).await.must_be(400).json()["error"], "invalid_grant");
    }
    // Nor does one token pass for the other.
    site.user_info(&given["id_token"]).await.must_be(401);
}

#[tokio::test]
async fn tokens_of_an_answer_end_with_the_session_and_can_be_given_up() {
    let w = World::new().await;
    let mut site = front(&w, |_| {}).await;
    let first = given(&mut site, "token id_token").await;
    let about = site.about(&first["access_token"]);
    site.ask("revoke", &about).await.must_be(200);
    site.user_info(&first["access_token"]).await.must_be(401);
    let request = site.request().with("response_type", "token id_token").with("prompt", "none");
    let answered = site.authorize(&request).await.must_be(302);
    let second = fragment(answered.location().unwrap());
    site.user_info(&second["access_token"]).await.must_be(200);
    let out = Members::from([("id_token_hint", second["id_token"].as_str())]);
    site.browser.send(get(&format!("{}/signoff?{}", site.issuer, out.encoded()))).await;
    site.user_info(&second["access_token"]).await.must_be(401);
}

#[tokio::test]
async fn a_page_that_was_left_open_gives_nothing_later_than_a_code_would() {
    let w = World::new().await;
    let mut site = front(&w, |_| {}).await;
    let request = site.request().with("response_type", "token id_token");
    let page = site.browser.open(&site.authorize_url(&request)).await;
    let form = Members::from([("username", "ann"), ("password", PASSWORD), ("action", "login")]);
    let form = form.with("token", &page.value_of("token"));
    let posted = crate::world::post(&page.url, crate::world::FORM, form.encoded());
    let moved = site.browser.send(posted).await.must_be(303);
    let resume = moved.location().unwrap().to_owned();
    w.advance(60);
    assert_eq!(site.browser.open(&resume).await.answer.status, 404);
}

#[tokio::test]
async fn a_user_who_was_disabled_in_between_gets_nothing() {
    let w = World::new().await;
    let mut site = front(&w, |_| {}).await;
    let request = site.request().with("response_type", "token id_token");
    let page = site.browser.open(&site.authorize_url(&request)).await;
    let form = Members::from([("username", "ann"), ("password", PASSWORD), ("action", "login")]);
    let form = form.with("token", &page.value_of("token"));
    let posted = crate::world::post(&page.url, crate::world::FORM, form.encoded());
    let moved = site.browser.send(posted).await.must_be(303);
    let resume = moved.location().unwrap().to_owned();
    w.bank.disable_ann(&w.server).await;
    assert_eq!(site.browser.open(&resume).await.answer.status, 404);
}

#[tokio::test]
async fn the_answer_is_audited_and_another_browser_cannot_fetch_it() {
    let w = World::new().await;
    let mut site = front(&w, |_| {}).await;
    let request = site.request().with("response_type", "id_token");
    let page = site.browser.open(&site.authorize_url(&request)).await;
    let resume = page.url.replace("/signon?", "/as/resume?");
    let mut stranger = w.browser();
    stranger.send(get(&site.authorize_url(&request))).await;
    let fields = [("username", "ann"), ("password", PASSWORD)];
    let form = site.browser.press(&page, "login", &fields).await;
    assert_eq!(stranger.open(&resume).await.answer.status, 404);
    assert!(fragment(&form.url).contains_key("id_token"));
    let records = w.server.list_audit(w.bank.environment.id, None, 100).await.unwrap();
    let answers = records.iter().filter(|record| record.event.action == Action::GrantAnswered);
    let answers: Vec<_> =
        answers.map(|record| record.event.user.as_ref().map(|user| user.id)).collect();
    assert_eq!(answers, [Some(w.bank.ann.id)]);
}

#[tokio::test]
async fn userinfo_wants_a_token_with_openid() {
    let w = World::new().await;
    let site = w.refreshing_site(countersign_domain::application::RefreshRules::default()).await;
    let tokens = site.clone().sign_in("ann").await;
    let narrow = site.refresh_request(tokens.refresh_token());
    let narrow = narrow.with("scope", Scope::Profile.name());
    let narrow = site.redeem(&narrow).await.must_be(200).json();
    let bearer = format!("Bearer {}", narrow["access_token"].as_str().unwrap());
    let asked = with(get(&w.url("/as/userinfo")), "authorization", &bearer);
    let refused = w.wire.send(asked).await.must_be(403);
    let challenge = refused.header("www-authenticate");
    assert!(challenge.starts_with("Bearer error=\"insufficient_scope\""), "{challenge}");
    assert!(challenge.ends_with("scope=\"openid\""), "{challenge}");
}
