//! Who may call, and what a caller cannot reach.

use countersign_domain::application::{GrantType, Kind, TokenEndpointAuthMethod};
use countersign_protocol::{encoding, jose};
use countersign_server::LimitSettings;
use serde_json::json;

use crate::world::{
    Answer, Bank, Client, FORM, HTTPS, JSON, Members, START, World, basic, get, post, proof, with,
};

fn request() -> Members {
    Members::from([("grant_type", "client_credentials")])
}

fn is_unauthorized(answer: &Answer) {
    assert_eq!(answer.status, 401, "{answer:?}");
    assert_eq!(answer.problem().0, "INVALID_TOKEN");
}

#[tokio::test]
async fn who_shows_no_token_is_told_which_one_is_needed() {
    let w = World::new().await;
    let answer = w.wire.send(post(&w.url("/deviceAuthentications"), JSON, "{}")).await;
    is_unauthorized(&answer);
    assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"platform\"");
}

#[tokio::test]
async fn only_a_worker_of_the_environment_is_let_in() {
    let w = World::new().await;
    w.phone_paired_to("ann").await;
    let backend = w.backend().await;
    let authentication = backend.begin(&w.ann()).await;
    w.user("bob").await;
    let user = w.app().sign_in("bob").await;
    for token in [&user.access_token, &user.id_token, "x", ""] {
        is_unauthorized(&backend.with_token(token).ask(&w.ann()).await);
        let mut other = authentication.clone();
        other.backend = backend.with_token(token);
        is_unauthorized(&other.read().await);
        is_unauthorized(&other.passcode("123456").await);
    }
    // A web application has credentials too, and still acts for its users alone.
    let method = TokenEndpointAuthMethod::ClientSecretBasic;
    let portal = w.bank.confidential(&w.server, method).await;
    let id = portal.application.id;
    w.change_application(id, |portal| portal.grant_types.push(GrantType::ClientCredentials)).await;
    let portal = w.client(&id.to_string(), "https://portal.example/callback").with_secret(&portal);
    let token = portal.redeem(&request()).await.must_be(200).json();
    let token = token["access_token"].as_str().unwrap();
    let refused = backend.with_token(token).ask(&w.ann()).await.must_be(403);
    assert_eq!(refused.problem().0, "ACCESS_FAILED");
    w.change_application(id, |portal| portal.kind = Kind::Worker).await;
    backend.with_token(token).ask(&w.ann()).await.must_be(201);
}

#[tokio::test]
async fn a_token_that_has_expired_or_was_revoked_opens_nothing() {
    let w = World::new().await;
    let worker = w.worker().await;
    let token = worker.redeem(&request()).await.must_be(200).json();
    let token = token["access_token"].as_str().unwrap();
    let backend = w.backend().await.with_token(token);
    backend.ask(&w.ann()).await.must_be(201);
    worker.ask("revoke", &worker.about(token)).await.must_be(200);
    is_unauthorized(&backend.ask(&w.ann()).await);
    let backend = w.backend().await;
    w.advance(3_599);
    backend.ask(&w.ann()).await.must_be(201);
    w.advance(1);
    is_unauthorized(&backend.ask(&w.ann()).await);
}

#[tokio::test]
async fn a_worker_that_is_disabled_is_out_at_once() {
    let w = World::new().await;
    let worker = w.worker().await;
    let token = worker.redeem(&request()).await.must_be(200).json();
    let backend = w.backend().await.with_token(token["access_token"].as_str().unwrap());
    backend.ask(&w.ann()).await.must_be(201);
    w.change_application(worker.id.parse().unwrap(), |worker| worker.enabled = false).await;
    is_unauthorized(&backend.ask(&w.ann()).await);
}

#[tokio::test]
async fn a_worker_of_another_environment_sees_and_changes_nothing() {
    let w = World::new().await;
    let phone = w.phone_paired_to("ann").await;
    let authentication = w.backend().await.begin(&w.ann()).await;
    let other = Bank::open(&w.server, "Other").await;
    let created = other.worker(&w.server).await;
    let (id, secret) = (created.application.id.to_string(), created.secret.unwrap());
    let url = format!("{HTTPS}/{}", other.environment.id);
    let asked = post(&format!("{url}/as/token"), FORM, request().encoded());
    let asked = with(asked, "authorization", &basic(&id, secret.expose()));
    let token = w.wire.send(asked).await.must_be(200).json();
    let foreign = w.backend().await.with_token(token["access_token"].as_str().unwrap());
    let mut stolen = authentication.clone();
    stolen.backend = foreign.clone();
    is_unauthorized(&stolen.read().await);
    is_unauthorized(&stolen.passcode(&phone.passcode()).await);
    // Nor at its own address: ids of one environment mean nothing in another.
    let own = format!("{url}/deviceAuthentications");
    let read = get(&format!("{own}/{}", authentication.id()));
    w.wire.send(foreign.signed(read)).await.must_be(404);
    let ann = json!({ "user": { "id": w.bank.ann.id } });
    let sent = foreign.signed(post(&own, JSON, ann.to_string()));
    assert_eq!(w.wire.send(sent).await.must_be(400).problem().2, "user.id");
    let policy =
        json!({ "user": { "id": other.ann.id }, "policy": { "id": w.bank.mfa_policy.id } });
    let sent = foreign.signed(post(&own, JSON, policy.to_string()));
    assert_eq!(w.wire.send(sent).await.must_be(400).problem().2, "policy.id");
    let application =
        json!({ "user": { "id": other.ann.id }, "application": { "id": w.bank.native.id } });
    let sent = foreign.signed(post(&own, JSON, application.to_string()));
    assert_eq!(w.wire.send(sent).await.must_be(400).problem().2, "application.id");
}

#[tokio::test]
async fn the_workers_of_an_environment_go_on_with_what_one_of_them_has_begun() {
    let w = World::new().await;
    let phone = w.phone_paired_to("ann").await;
    let mut authentication = w.backend().await.begin(&w.ann()).await;
    let first = authentication.backend.clone();
    authentication.backend = w.backend().await;
    assert_ne!(first.token, authentication.backend.token);
    authentication.passcode(&phone.passcode()).await.must_be(200);
    assert_eq!(authentication.status(), "COMPLETED");
    // The log tells which of them it was.
    let by = |record: &countersign_domain::audit::Record| record.entry.actors().client.unwrap().id;
    let created = by(&w.audit_of("AUTHENTICATION.CREATED").await[0]);
    let checked = by(&w.audit_of("OTP.CHECK_SUCCESS").await[0]);
    assert_ne!(created, checked);
}

#[tokio::test]
async fn browsers_and_back_ends_do_not_reach_each_others_flows() {
    let w = World::new().await;
    w.phone_paired_to("ann").await;
    let authentication = w.backend().await.begin(&w.ann()).await;
    let mut browser = w.browser();
    let sign_on = w.site().begin().await;
    let cookie = sign_on.client.browser.cookie();
    for url in [
        w.url(&format!("/flows/{}", authentication.id())),
        w.url(&format!("/signon?flowId={}", authentication.id())),
        w.url(&format!("/as/resume?flowId={}", authentication.id())),
        w.url(&format!("/device?flowId={}", authentication.id())),
    ] {
        let told = w.wire.send(with(get(&url), "cookie", &cookie)).await;
        assert!(!told.text().contains("ann") && told.status != 302, "{url}: {told:?}");
        let told = browser.send(get(&url)).await;
        assert!(!told.text().contains("ann") && told.status != 302, "{url}: {told:?}");
    }
    let flow = sign_on.flow["id"].as_str().unwrap();
    let backend = authentication.backend.clone();
    w.wire.send(backend.signed(get(&backend.url(flow)))).await.must_be(404);
}

#[tokio::test]
async fn it_gives_no_session_and_no_code() {
    let w = World::new().await;
    let phone = w.phone_paired_to("ann").await;
    let sessions = w.audit_of("SESSION.CREATED").await.len();
    let mut authentication = w.backend().await.begin(&w.ann()).await;
    let answer = authentication.passcode(&phone.passcode()).await.must_be(200);
    assert_eq!(answer.header("set-cookie"), "");
    assert_eq!(w.audit_of("SESSION.CREATED").await.len(), sessions);
    // The ids of flow and grant are the same, so its code can be made up as far as its form goes.
    let realm = w.server.realm(w.bank.environment.id).await.unwrap().unwrap();
    let code = realm.code(authentication.id().parse().unwrap());
    let app = w.app();
    let refused = app.redeem(&app.token_request(code.expose())).await.must_be(400);
    assert_eq!(refused.json()["error"], "invalid_grant");
}

/// The claims of a proof for a request with this token.
fn proved(method: &str, url: &str, token: &str, jti: &str) -> serde_json::Value {
    let ath = encoding::encode(jose::digest(token));
    json!({"htm": method, "htu": url, "iat": START.unix_seconds(), "jti": jti, "ath": ath})
}

async fn bound_token(worker: &Client) -> String {
    let htu = format!("{}/token", worker.issuer);
    let claims = json!({"htm": "POST", "htu": htu, "iat": START.unix_seconds(), "jti": "token"});
    let sent = post(&htu, FORM, request().encoded());
    let sent = with(sent, "authorization", &basic(&worker.id, worker.secret()));
    let sent = with(sent, "dpop", &proof(1, &claims));
    let body = worker.browser.wire.send(sent).await.must_be(200).json();
    assert_eq!(body["token_type"], "DPoP");
    body["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_bound_token_needs_a_proof_by_its_key_for_this_request() {
    let w = World::new().await;
    let token = bound_token(&w.worker().await).await;
    let url = w.url("/deviceAuthentications");
    let send = async |authorization: &str, proof: Option<String>| {
        let sent = post(&url, JSON, w.ann().to_string());
        let sent = with(sent, "authorization", authorization);
        let sent = match proof {
            Some(proof) => with(sent, "dpop", &proof),
            None => sent,
        };
        w.wire.send(sent).await
    };
    let (dpop, bearer) = (format!("DPoP {token}"), format!("Bearer {token}"));
    let good = |jti: &str| proof(1, &proved("POST", &url, &token, jti));
    send(&dpop, Some(good("a"))).await.must_be(201);
    for (authorization, proof) in [
        (&bearer, None),
        (&bearer, Some(good("b"))),
        (&dpop, None),
        (&dpop, Some(good("a"))),
        (&dpop, Some(proof(2, &proved("POST", &url, &token, "c")))),
        (&dpop, Some(proof(1, &proved("GET", &url, &token, "d")))),
        (&dpop, Some(proof(1, &proved("POST", &format!("{url}/x"), &token, "e")))),
        (&dpop, Some(proof(1, &proved("POST", &url, "another", "f")))),
    ] {
        is_unauthorized(&send(authorization, proof).await);
    }
}

#[tokio::test]
async fn a_worker_that_asks_too_much_is_told_when_to_come_back() {
    let mut limits = LimitSettings::off();
    limits.token.application = countersign_server::Limit::new(1.0, 3);
    let w = World::limited(limits).await;
    // One is counted for the token itself.
    let backend = w.backend().await;
    for _ in 0..2 {
        backend.ask(&w.ann()).await.must_be(201);
    }
    let refused = backend.ask(&w.ann()).await.must_be(429);
    assert_eq!(refused.problem().0, "REQUEST_LIMITED");
    assert_eq!(refused.header("retry-after"), "1");
    w.advance(1);
    backend.ask(&w.ann()).await.must_be(201);
}
