//! The sessions of a user by the management API.

use serde_json::{Value, json};

use crate::world::{Client, PASSWORD, Receiver, SITE_ADDRESS, Tokens, World};

on_both_engines!(
    a_session_is_shown_and_ended_and_its_applications_learn_of_it,
    all_sessions_of_a_user_are_ended_and_nobody_elses,
    sessions_are_listed_in_parts,
);

const NO_ID: &str = "00000000-0000-7000-8000-000000000000";

async fn sign_in(site: &mut Client, username: &str) -> Tokens {
    let url = site.authorize_url(&site.request());
    let page = site.browser.open(&url).await;
    let fields = [("username", username), ("password", PASSWORD)];
    let page = site.browser.press(&page, "login", &fields).await;
    site.tokens(&page.returned("code").unwrap()).await
}

/// Whether somebody is signed in at the browser of a site.
async fn is_signed_in(site: &mut Client) -> bool {
    let url = site.authorize_url(&site.request());
    site.browser.open(&url).await.returned("code").is_some()
}

async fn a_session_is_shown_and_ended_and_its_applications_learn_of_it(w: &mut World) {
    let admin = w.administrator().await;
    let mut receiver = Receiver::open().await;
    let application = w.bank.unusual_site(&w.server, |site| receiver.of(site, "Told")).await;
    let mut site = w.client(&application.id.to_string(), SITE_ADDRESS);
    let tokens = sign_in(&mut site, "ann").await;
    let path = format!("/users/{}/sessions", w.bank.ann.id);
    let list = admin.get(&path).await.must_be(200).json();
    assert_eq!(list["count"], 1);
    let session = &list["_embedded"]["sessions"][0];
    assert_eq!(session["id"], tokens.id_claims()["sid"]);
    assert_eq!(session["user"]["id"], json!(w.bank.ann.id));
    assert_eq!(session["lastSignOn"]["authenticators"], json!(["pwd"]));
    assert_eq!(session["applications"], json!([{ "id": application.id }]));
    let url = session["_links"]["self"]["href"].as_str().unwrap();
    assert_eq!(admin.get(url).await.must_be(200).json(), *session);
    // Under nobody else, nor elsewhere.
    let bob = w.user("bob").await.id;
    let other = w.server.create_environment("Other").await.unwrap().id;
    let id = session["id"].as_str().unwrap();
    for there in [
        format!("/users/{bob}/sessions/{id}"),
        format!("{path}/{NO_ID}"),
        format!("{}{path}/{id}", w.environment_url(other)),
    ] {
        admin.get(&there).await.must_be(404);
        admin.delete(&there).await.must_be(404);
    }
    admin.delete(url).await.must_be(204);
    admin.delete(url).await.must_be(404);
    assert!(!is_signed_in(&mut site).await);
    assert_eq!(w.server.send_due().await.unwrap(), 1);
    assert_eq!(receiver.told().len(), 1);
    site.redeem(&site.refresh_request(tokens.refresh_token())).await.must_be(400);
    assert_eq!(admin.get(&path).await.must_be(200).json()["count"], 0);
    let told = w.audit_of("SESSION.DELETED").await;
    assert!(told[0].entry.actors().client.is_some());
}

async fn all_sessions_of_a_user_are_ended_and_nobody_elses(w: &mut World) {
    let admin = w.administrator().await;
    let (mut first, mut second, mut bobs) = (w.site(), w.site(), w.site());
    w.user("bob").await;
    sign_in(&mut first, "ann").await;
    sign_in(&mut second, "ann").await;
    sign_in(&mut bobs, "bob").await;
    let path = format!("/users/{}/sessions", w.bank.ann.id);
    admin.delete(&path).await.must_be(204);
    assert_eq!(admin.get(&path).await.must_be(200).json()["count"], 0);
    assert!(!is_signed_in(&mut first).await && !is_signed_in(&mut second).await);
    assert!(is_signed_in(&mut bobs).await);
    admin.delete(&path).await.must_be(204);
    admin.delete(&format!("/users/{NO_ID}/sessions")).await.must_be(404);
    let other = w.server.create_environment("Other").await.unwrap().id;
    admin.delete(&format!("{}{path}", w.environment_url(other))).await.must_be(404);
}

async fn sessions_are_listed_in_parts(w: &mut World) {
    let admin = w.administrator().await;
    for _ in 0..3 {
        w.advance(1);
        sign_in(&mut w.site(), "ann").await;
    }
    let path = format!("/users/{}/sessions", w.bank.ann.id);
    let first = admin.get(&format!("{path}?limit=2")).await.must_be(200).json();
    assert_eq!((&first["count"], &first["size"]), (&json!(3), &json!(2)));
    let next = first["_links"]["next"]["href"].as_str().unwrap();
    let second = admin.get(next).await.must_be(200).json();
    assert_eq!((&second["size"], second["_links"].get("next")), (&json!(1), None::<&Value>));
    // What has run out is not there.
    w.advance(3_600);
    let admin = w.administrator().await;
    assert_eq!(admin.get(&path).await.must_be(200).json()["count"], 0);
}
