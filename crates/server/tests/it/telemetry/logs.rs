//! Log lines: one a request, under the name that its answer and its audit records have, and no secret in any of them.

use std::{
    io,
    sync::{Mutex, Once},
};

use countersign_domain::application::TokenEndpointAuthMethod;
use countersign_store::{StoreError, Tx, Work, audit};
use serde_json::Value;
use tracing_subscriber::{
    EnvFilter, Layer,
    fmt::{self, format::FmtSpan},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::world::{Browser, PASSWORD, World, get, post, with};

/// What all tests of this program have logged since the first of this file began, in lines of JSON.
static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct ToLines;

impl io::Write for ToLines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Logs everything that our crates say, spans too, on every thread: the store has its own.
fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let lines = fmt::layer().json().flatten_event(true).with_writer(|| ToLines);
        let lines = lines.with_span_events(FmtSpan::NEW);
        let filter = EnvFilter::new("off,countersign=trace");
        tracing_subscriber::registry().with(lines.with_filter(filter)).init();
    });
}

fn lines() -> Vec<Value> {
    let text = String::from_utf8(LINES.lock().unwrap().clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The lines of the request that called itself so. Its correlation id would not do: each world draws the same.
fn of_transaction(transaction: &str) -> Vec<Value> {
    lines().into_iter().filter(|line| line["transaction.id"] == transaction).collect()
}

/// Whether a line tells a secret, in any of its texts but the time. Short secrets count as whole words only.
fn leaks(line: &Value, secret: &str) -> bool {
    match line {
        Value::String(text) if secret.len() < 16 => {
            text.split(|c: char| !c.is_alphanumeric()).any(|word| word == secret)
        }
        Value::String(text) => text.contains(secret),
        Value::Array(values) => values.iter().any(|value| leaks(value, secret)),
        Value::Object(members) => {
            let told = members.iter().filter(|(name, _)| *name != "timestamp");
            told.into_iter().any(|(name, value)| name.contains(secret) || leaks(value, secret))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[test]
fn a_leak_is_seen() {
    let line =
        serde_json::json!({ "timestamp": "123456", "a": { "b": ["code=123456&x"] }, "n": 1 });
    assert!(leaks(&line, "123456"));
    assert!(!leaks(&line, "23456") && !leaks(&line, "1"));
}

struct Records(World);

impl Work for Records {
    type Output = Vec<String>;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<String>, StoreError> {
        let environment = self.0.bank.environment.id;
        let records = audit::list(tx, environment, audit::ENDS, 1_000).await?;
        let name = |stored| Ok(audit::read(environment, stored)?.entry.correlation);
        records.iter().map(name).collect()
    }
}

#[tokio::test]
async fn a_request_has_one_name_in_its_answer_its_line_and_its_audit_records() {
    listen();
    let w = World::new().await;
    let url = w.app().authorize_url(&w.app().request());
    let request = with(get(&url), "x-ping-external-transaction-id", "tx 1\"é");
    let request = with(request, "x-ping-external-session-id", "session-1");
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let request = with(request, "traceparent", &format!("00-{trace}-00f067aa0ba902b7-01"));
    let answer = w.wire.send(request).await.must_be(302);
    let told = of_transaction("tx_1_é");
    assert_eq!(told.len(), 1, "a request gets one line: {told:?}");
    let line = &told[0];
    let id = answer.header("correlation-id");
    assert_eq!((&line["level"], &line["correlation.id"]), (&"INFO".into(), &id.into()));
    assert_eq!(line["http.route"], "/{environment}/as/authorize");
    assert_eq!(
        (&line["http.request.method"], &line["session.id"]),
        (&"GET".into(), &"session-1".into())
    );
    assert_eq!(
        (&line["http.response.status_code"], &line["trace.id"]),
        (&302.into(), &trace.into())
    );
    let path = format!("/{}/as/authorize", w.bank.environment.id);
    assert_eq!(line["url.path"], path.as_str(), "without the query");
    assert!(line["duration_ms"].is_number());
    let store = w.server.store().clone();
    assert!(store.read(Records(w)).await.unwrap().contains(&id.to_owned()));
}

#[tokio::test]
async fn a_failure_is_told_once_with_its_cause_and_the_caller_learns_its_name_alone() {
    listen();
    let w = World::new().await;
    let url = w.app().authorize_url(&w.app().request());
    w.wire.send(get(&url)).await.must_be(302);
    w.server.store().close().await;
    let request = with(get(&url), "x-ping-external-transaction-id", "transaction-of-a-failure");
    let router = countersign_server::router(std::sync::Arc::clone(&w.server));
    let answer = tower::ServiceExt::oneshot(router, request).await.unwrap();
    assert_eq!(answer.status(), 503);
    let told = of_transaction("transaction-of-a-failure");
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["level"], "ERROR");
    assert!(told[0]["cause"].as_str().unwrap().contains("closed"), "{told:?}");
    assert_eq!(answer.headers()["correlation-id"], told[0]["correlation.id"].as_str().unwrap());
}

#[tokio::test]
async fn an_address_that_is_none_is_not_written_down() {
    listen();
    let w = World::new().await;
    let pasted = "/eyJhbGciOiJFUzI1NiJ9-pasted-in-the-wrong-place";
    let request = with(get(pasted), "x-ping-external-transaction-id", "transaction-of-a-stranger");
    w.wire.send(request).await.must_be(404);
    assert_eq!(of_transaction("transaction-of-a-stranger").len(), 1);
    assert!(!lines().iter().any(|line| leaks(line, pasted)));
}

/// The values of the cookies that a browser has.
fn cookies(browser: &Browser) -> Vec<String> {
    let cookies = browser.cookie();
    cookies.split("; ").filter_map(|it| Some(it.split_once('=')?.1.to_owned())).collect()
}

/// Everything secret that a life of enrolment, sign-ons and failures brings forth.
async fn live(w: &World) -> Vec<String> {
    let mut secrets = vec![PASSWORD.to_owned(), "wrong-Password-7731".to_owned()];
    let phone = w.phone().await;
    let payload = phone.sdk.generate_mobile_payload().await.unwrap();
    let request = w.app().request().with("mobilePayload", &payload);
    let mut sign_on = w.app().begin_with(request).await;
    sign_on.password("ann", "wrong-Password-7731").await.must_be(400);
    sign_on.password("ann", PASSWORD).await.must_be(200);
    let code = sign_on.code();
    let tokens = sign_on.tokens().await;
    let ticket = tokens.id_claims()["countersign_pairing"]["ticket"].as_str().unwrap().to_owned();
    phone.approve(&tokens).await;
    secrets.extend([payload, code, ticket]);
    secrets.extend(cookies(&sign_on.client.browser));
    secrets.extend([tokens.access_token.clone(), tokens.id_token.clone()]);
    w.advance(30);
    let mut site = w.site().begin().await;
    site.password("ann", PASSWORD).await.must_be(200);
    let (wrong, right) = (phone.wrong_passcode(), phone.passcode());
    site.passcode(&wrong).await.must_be(400);
    site.passcode(&right).await.must_be(200);
    w.site().user_info(&tokens.access_token).await.must_be(200);
    let code = site.code();
    site.client.tokens(&code).await;
    site.client.redeem(&site.client.token_request(&code)).await.must_be(400);
    secrets.extend([wrong, right, code]);
    secrets.extend(cookies(&site.client.browser));
    secrets.extend(confidential(w).await);
    secrets
}

/// The secrets of a client that has some, sent rightly, wrongly, and where they do not belong.
async fn confidential(w: &World) -> Vec<String> {
    let method = TokenEndpointAuthMethod::ClientSecretBasic;
    let created = w.bank.confidential(&w.server, method).await;
    let id = created.application.id.to_string();
    let portal = w.client(&id, "https://portal.example/callback").with_secret(&created);
    let code = portal.code_for("ann").await;
    let form = portal.token_request(&code);
    let verifier = form.encoded();
    let (_, verifier) = verifier.split_once("code_verifier=").unwrap();
    let verifier = verifier.split('&').next().unwrap().to_owned();
    let wrong = "a-client-secret-that-is-wrong";
    portal.redeem_as(&form, Some(&crate::world::basic(&id, wrong))).await.must_be(401);
    let posted = form.clone().with("client_id", &id).with("client_secret", portal.secret());
    portal.redeem_as(&posted, None).await.must_be(401);
    portal.redeem(&form).await.must_be(200);
    let nonsense = format!("{}/as/token?code={code}", w.url(""));
    w.wire.send(post(&nonsense, "text/plain", code.clone())).await;
    vec![portal.secret().to_owned(), wrong.to_owned(), code, verifier]
}

#[tokio::test]
async fn no_secret_is_in_any_line_however_much_is_told() {
    listen();
    let w = World::new().await;
    let secrets = live(&w).await;
    // Failures have the longest lines.
    let mut begun = w.app().begin().await;
    w.server.store().close().await;
    let url = begun.url();
    let body = format!(r#"{{"username":"ann","password":"{PASSWORD}"}}"#);
    let media_type = "application/vnd.pingidentity.usernamePassword.check+json";
    let request = with(post(&url, media_type, body), "cookie", &begun.client.browser.cookie());
    let router = countersign_server::router(std::sync::Arc::clone(&w.server));
    assert!(tower::ServiceExt::oneshot(router, request).await.unwrap().status().is_server_error());
    begun.flow = Value::Null;
    let lines = lines();
    for target in ["countersign::request", "countersign::store"] {
        assert!(lines.iter().any(|line| line["target"] == target), "{target} is told");
    }
    assert!(secrets.len() > 15 && secrets.iter().all(|secret| secret.len() >= 6));
    for secret in &secrets {
        let found = lines.iter().find(|line| leaks(line, secret));
        assert!(found.is_none(), "{secret} is in {found:?}");
    }
}
