//! OIDC Back-Channel Logout 1.0: applications learn that a session has ended, whatever breaks on the way.

use std::{sync::Arc, time::Duration};

use countersign_domain::{
    audit::{Action, Record},
    id::Id,
};
use countersign_protocol::{jwk::JwkSet, platform_token, secret::Secret};
use countersign_server::{Server, app::Rotation};
use countersign_store::{Engine, outbox::Depth};
use serde_json::{Value, json};

use crate::world::{
    Behaviour, Client, PASSWORD, Receiver, SITE_ADDRESS, Tokens, World, claims, get,
};

on_both_engines!(
    signing_off_tells_each_application_of_the_session,
    what_was_committed_is_sent_by_whoever_comes_next,
    an_attempt_that_was_cut_off_is_made_again,
    an_application_in_trouble_is_told_when_it_is_well_again,
    a_new_password_ends_all_sessions_of_the_user,
);

/// A web site that is told when sessions end.
async fn site(w: &World, receiver: &Receiver, name: &str) -> Client {
    let site = w.bank.unusual_site(&w.server, |site| receiver.of(site, name)).await;
    w.client(&site.id.to_string(), SITE_ADDRESS)
}

/// Signs somebody in at the browser of a site, on the hosted pages if need be.
async fn sign_in(site: &mut Client, username: &str) -> Tokens {
    let url = site.authorize_url(&site.request());
    let mut page = site.browser.open(&url).await;
    if page.returned("code").is_none() {
        let fields = [("username", username), ("password", PASSWORD)];
        page = site.browser.press(&page, "login", &fields).await;
    }
    site.tokens(&page.returned("code").unwrap()).await
}

async fn sign_off(site: &mut Client, tokens: &Tokens) {
    let url = format!("{}/signoff?id_token_hint={}", site.issuer, tokens.id_token);
    site.browser.open(&url).await.answer.must_be(200);
}

/// A site at which ann has signed in and off again.
async fn signed_off(w: &World, receiver: &Receiver) -> Client {
    let mut site = site(w, receiver, "Told").await;
    let tokens = sign_in(&mut site, "ann").await;
    sign_off(&mut site, &tokens).await;
    site
}

async fn key_set(w: &World) -> JwkSet {
    let answer = w.wire.send(get(&format!("{}/jwks", w.issuer()))).await;
    serde_json::from_slice(&answer.body).unwrap()
}

/// The claims of a logout token that verifies now.
async fn verified(w: &World, token: &str) -> Value {
    platform_token::verify(token, &key_set(w).await, "logout+jwt").unwrap()
}

async fn depth(w: &World) -> i64 {
    w.server.outbox_depth().await.unwrap().messages
}

/// Why the audit log says that an application was not told.
async fn given_up(w: &World) -> Vec<String> {
    let records = w.server.list_audit(w.bank.environment.id, None, 1_000).await.unwrap();
    let failed = |record: &Record| record.event.action == Action::LogoutTokenFailed;
    let failed = records.into_iter().filter(failed);
    failed.map(|record| record.entry.event.reason.unwrap()).collect()
}

async fn signing_off_tells_each_application_of_the_session(w: &mut World) {
    let (mut first_told, mut second_told) = (Receiver::open().await, Receiver::open().await);
    let mut first = site(w, &first_told, "First").await;
    let mut second = site(w, &second_told, "Second").await;
    let tokens = sign_in(&mut first, "ann").await;
    second.browser = first.browser.clone();
    let others = sign_in(&mut second, "nobody, for the session knows her").await;
    assert_eq!(others.id_claims()["sid"], tokens.id_claims()["sid"]);
    sign_off(&mut first, &tokens).await;
    assert_eq!(depth(w).await, 2);
    assert_eq!(w.server.send_due().await.unwrap(), 2);
    let told = first_told.told();
    let told = verified(w, &told[0]).await;
    let id_token = tokens.id_claims();
    assert_eq!(
        told,
        json!({
            "iss": w.issuer(), "sub": id_token["sub"], "aud": first.id, "sid": id_token["sid"],
            "iat": 1_767_603_600, "exp": 1_767_603_720, "jti": told["jti"],
            "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
        })
    );
    let told = verified(w, &second_told.told()[0]).await;
    assert_eq!(told["aud"], second.id.as_str());
    // Nothing is told twice, and the refresh tokens of the session count no longer.
    sign_off(&mut first, &tokens).await;
    assert_eq!(w.server.send_due().await.unwrap(), 0);
    first.redeem(&first.refresh_request(tokens.refresh_token())).await.must_be(400);
    assert_eq!(given_up(w).await, [""; 0]);
}

async fn what_was_committed_is_sent_by_whoever_comes_next(w: &mut World) {
    let mut receiver = Receiver::open().await;
    signed_off(w, &receiver).await;
    w.restart().await;
    assert_eq!(receiver.told(), [""; 0]);
    assert_eq!(w.server.send_due().await.unwrap(), 1);
    assert_eq!(receiver.told().len(), 1);
}

async fn an_attempt_that_was_cut_off_is_made_again(w: &mut World) {
    let mut receiver = Receiver::open().await;
    signed_off(w, &receiver).await;
    receiver.will(Behaviour::Silence);
    let server = Arc::clone(&w.server);
    let cut = tokio::spawn(async move { server.send_due().await });
    receiver.next().await;
    cut.abort();
    assert!(cut.await.unwrap_err().is_cancelled());
    receiver.will(Behaviour::Answer(200));
    w.restart().await;
    assert_eq!(w.server.send_due().await.unwrap(), 0, "it may still be under way");
    w.advance(30);
    assert_eq!(w.server.send_due().await.unwrap(), 1);
    assert_eq!((receiver.told().len(), depth(w).await), (1, 0));
}

async fn an_application_in_trouble_is_told_when_it_is_well_again(w: &mut World) {
    let mut receiver = Receiver::open().await;
    signed_off(w, &receiver).await;
    // A redirect is trouble too: it is not followed.
    for behaviour in [Behaviour::Answer(503), Behaviour::Redirect, Behaviour::Answer(401)] {
        receiver.will(behaviour);
        assert_eq!(w.server.send_due().await.unwrap(), 1);
        assert_eq!((receiver.told().len(), depth(w).await), (1, 1), "{behaviour:?}");
        assert_eq!(w.server.send_due().await.unwrap(), 0, "not at once");
        w.advance(20);
    }
    let environment = w.bank.environment.id;
    let before = key_set(w).await;
    let at_once = Rotation::AtOnce { withdraw_after_seconds: 0 };
    w.server.rotate_keys(environment, None, at_once).await.unwrap();
    receiver.will(Behaviour::Answer(204));
    assert_eq!(w.server.send_due().await.unwrap(), 1);
    let told = receiver.told();
    // It is signed when it is sent, so it is neither old nor under a key that is gone.
    assert!(platform_token::verify::<Value>(&told[0], &before, "logout+jwt").is_err());
    assert_eq!(verified(w, &told[0]).await["iat"], 1_767_603_660);
    assert_eq!((depth(w).await, given_up(w).await.len()), (0, 0));
}

async fn a_new_password_ends_all_sessions_of_the_user(w: &mut World) {
    let mut receiver = Receiver::open().await;
    w.user("bob").await;
    let mut here = site(w, &receiver, "Told").await;
    let (mut there, mut other) = (here.clone(), here.clone());
    let mut sids = Vec::new();
    for client in [&mut here, &mut there] {
        sids.push(sign_in(client, "ann").await.id_claims()["sid"].clone());
    }
    let bobs = sign_in(&mut other, "bob").await;
    let new = Secret::new("another horse, battery and staple".to_owned());
    w.server.set_password(w.bank.environment.id, w.bank.ann.id, &new).await.unwrap();
    assert_eq!(w.server.send_due().await.unwrap(), 2);
    let told: Vec<_> = receiver.told().iter().map(|token| claims(token)["sid"].clone()).collect();
    assert!(sids.iter().all(|sid| told.contains(sid)), "{told:?}");
    there.browser.open(&there.authorize_url(&there.request())).await.answer.must_be(200);
    other.redeem(&other.refresh_request(bobs.refresh_token())).await.must_be(200);
}

#[tokio::test]
async fn two_nodes_tell_each_application_once() {
    if crate::database::is_skipped(Engine::Postgres) {
        return;
    }
    let w = World::on(Engine::Postgres).await;
    let mut receiver = Receiver::open().await;
    let client = site(&w, &receiver, "Told").await;
    for _ in 0..10 {
        let mut client = client.clone();
        let tokens = sign_in(&mut client, "ann").await;
        sign_off(&mut client, &tokens).await;
    }
    let (other, _wire) = w.another_node().await;
    let (here, there) = tokio::join!(w.server.send_due(), other.send_due());
    assert_eq!(here.unwrap() + there.unwrap(), 10);
    let mut told: Vec<_> =
        receiver.told().iter().map(|token| claims(token)["sid"].to_string()).collect();
    told.sort_unstable();
    told.dedup();
    assert_eq!(told.len(), 10);
    other.store().close().await;
    w.end().await;
}

#[tokio::test]
async fn an_application_that_refuses_is_not_asked_again() {
    let w = World::new().await;
    let mut receiver = Receiver::open().await;
    receiver.will(Behaviour::Answer(400));
    signed_off(&w, &receiver).await;
    assert_eq!(w.server.send_due().await.unwrap(), 1);
    assert_eq!((receiver.told().len(), depth(&w).await), (1, 0));
    assert_eq!(given_up(&w).await, ["refused_by_application"]);
    w.end().await;
}

#[tokio::test]
async fn an_application_that_stays_in_trouble_is_given_up() {
    let w = World::new().await;
    let mut receiver = Receiver::open().await;
    receiver.will(Behaviour::Answer(500));
    signed_off(&w, &receiver).await;
    for _ in 0..20 {
        w.server.send_due().await.unwrap();
        w.advance(600);
    }
    // The tries of the first hour.
    assert_eq!(receiver.told().len(), 6);
    assert_eq!((depth(&w).await, given_up(&w).await), (0, vec!["expired".to_owned()]));
    w.end().await;
}

#[tokio::test]
async fn what_nobody_sends_for_an_hour_is_given_up_unsent() {
    let w = World::new().await;
    let mut receiver = Receiver::open().await;
    signed_off(&w, &receiver).await;
    let written = w.server.outbox_depth().await.unwrap();
    assert_eq!(written, Depth { messages: 1, oldest_at: Some(crate::world::START) });
    w.advance(3_600);
    w.server.send_due().await.unwrap();
    assert_eq!((receiver.told().len(), depth(&w).await), (0, 0));
    assert_eq!(given_up(&w).await, ["expired"]);
    w.end().await;
}

#[tokio::test]
async fn an_application_that_does_not_answer_holds_its_message_for_the_time_limit_only() {
    let slow = |settings: &mut countersign_server::Settings| {
        settings.outbound.timeout = Duration::from_millis(100);
    };
    let w = World::with_settings(Engine::Sqlite, slow).await;
    let mut receiver = Receiver::open().await;
    receiver.will(Behaviour::Silence);
    signed_off(&w, &receiver).await;
    assert_eq!(w.server.send_due().await.unwrap(), 1);
    assert_eq!((receiver.told().len(), depth(&w).await), (1, 1));
    receiver.will(Behaviour::Answer(200));
    w.advance(5);
    assert_eq!(w.server.send_due().await.unwrap(), 1);
    assert_eq!((receiver.told().len(), depth(&w).await), (1, 0));
    w.end().await;
}

#[tokio::test]
async fn an_address_of_the_private_network_is_not_called() {
    let strict = |settings: &mut countersign_server::Settings| {
        settings.outbound.private_addresses = false;
    };
    let w = World::with_settings(Engine::Sqlite, strict).await;
    let mut receiver = Receiver::open().await;
    signed_off(&w, &receiver).await;
    assert_eq!(w.server.send_due().await.unwrap(), 1);
    assert_eq!((receiver.told().len(), depth(&w).await), (0, 0));
    assert_eq!(given_up(&w).await, ["address_forbidden"]);
    w.end().await;
}

#[tokio::test]
async fn who_signs_in_after_somebody_else_ends_the_session_of_before() {
    let w = World::new().await;
    let bob = w.user("bob").await;
    let mut receiver = Receiver::open().await;
    let mut site = site(&w, &receiver, "Told").await;
    let anns = sign_in(&mut site, "ann").await;
    let url = site.authorize_url(&site.request().with("prompt", "login"));
    let page = site.browser.open(&url).await;
    let fields = [("username", "bob"), ("password", PASSWORD)];
    let page = site.browser.press(&page, "login", &fields).await;
    let bobs = site.tokens(&page.returned("code").unwrap()).await;
    assert_eq!(bobs.id_claims()["sub"], bob.id.to_string());
    assert_eq!(w.server.send_due().await.unwrap(), 1);
    let told = claims(&receiver.told()[0]);
    assert_eq!(told["sub"], w.bank.ann.id.to_string());
    assert_eq!(told["sid"], anns.id_claims()["sid"]);
    w.end().await;
}

#[tokio::test]
async fn a_session_that_runs_out_tells_nobody() {
    let w = World::new().await;
    let receiver = Receiver::open().await;
    let mut site = site(&w, &receiver, "Told").await;
    let tokens = sign_in(&mut site, "ann").await;
    w.advance(3_600);
    sign_off(&mut site, &tokens).await;
    let new = Secret::new("another horse, battery and staple".to_owned());
    w.server.set_password(w.bank.environment.id, w.bank.ann.id, &new).await.unwrap();
    assert_eq!(depth(&w).await, 0);
    w.end().await;
}

#[tokio::test]
async fn a_user_of_another_environment_is_not_signed_off() {
    let w = World::new().await;
    let receiver = Receiver::open().await;
    let mut site = site(&w, &receiver, "Told").await;
    sign_in(&mut site, "ann").await;
    let elsewhere = w.server.create_environment("Elsewhere").await.unwrap();
    let new = Secret::new("another horse, battery and staple".to_owned());
    w.server.set_password(elsewhere.id, w.bank.ann.id, &new).await.unwrap_err();
    w.server.set_password(Id::from_bytes([9; 16]), w.bank.ann.id, &new).await.unwrap_err();
    assert_eq!(depth(&w).await, 0);
    w.end().await;
}

/// With the worker: nothing but the commit wakes it before the test would have run out of time.
#[tokio::test]
async fn a_server_that_runs_tells_applications_at_once() {
    let patient = |settings: &mut countersign_server::Settings| {
        settings.outbox_interval = Duration::from_hours(1);
        settings.outbox_concurrency = 2;
    };
    let w = World::with_settings(Engine::Sqlite, patient).await;
    let mut receiver = Receiver::open().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server::start(Arc::clone(&w.server), listener).unwrap();
    let client = site(&w, &receiver, "Told").await;
    for _ in 0..5 {
        let mut client = client.clone();
        let tokens = sign_in(&mut client, "ann").await;
        sign_off(&mut client, &tokens).await;
    }
    for _ in 0..5 {
        receiver.next().await;
    }
    server.stop().await;
    w.end().await;
}
