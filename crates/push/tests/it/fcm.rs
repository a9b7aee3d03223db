//! FCM: the access token, what is sent, and what the answers become.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use countersign_protocol::encoding::decode;
use countersign_protocol::mobile_payload::{PushAddress, PushService};
use countersign_protocol::push::{Hint, PushMessage};
use countersign_push::egress::Egress;
use countersign_push::{Answer, Gateway, Outcome, Push, Settings, Style, Trouble};
use insta::assert_json_snapshot;
use rcgen::PublicKeyData;
use serde_json::{Value, json};

use crate::server::{Asked, Reply, Server};
use crate::world::{
    GOOGLE_KEY, StandingClock, VISIBLE, address, fcm_credentials, gateway, push, settings,
    silent_message,
};

const SEND: &str = "/v1/projects/bank-1/messages:send";

/// The claims of the assertion of a token request, after its signature has been checked.
fn assertion(asked: &Asked) -> (Value, Value) {
    let form = asked.form();
    let [(grant_name, grant), (assertion_name, assertion)] = &form[..] else { panic!("{form:?}") };
    assert_eq!((grant_name.as_str(), assertion_name.as_str()), ("grant_type", "assertion"));
    assert_eq!(grant, "urn:ietf:params:oauth:grant-type:jwt-bearer");
    let parts: Vec<&str> = assertion.split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!("not a JWS: {assertion}") };
    let key = GOOGLE_KEY.subject_public_key_info();
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key);
    let signed = format!("{header}.{claims}");
    key.verify(signed.as_bytes(), &decode(signature).unwrap()).unwrap();
    let json = |part| serde_json::from_slice(&decode(part).unwrap()).unwrap();
    (json(header), json(claims))
}

/// A server that gives out the access tokens `t1`, `t2`, .. and answers pushes by `respond`.
async fn google(respond: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Server {
    let given = AtomicUsize::new(0);
    Server::plain(move |asked| {
        if asked.path != "/token" {
            return respond(asked);
        }
        let token = format!("t{}", given.fetch_add(1, Ordering::SeqCst) + 1);
        (200, json!({ "access_token": token, "expires_in": 3_600, "token_type": "Bearer" })).into()
    })
    .await
}

fn fcm(server: &Server, clock: &Arc<StandingClock>) -> Arc<dyn Gateway> {
    let credentials = fcm_credentials(&format!("{}/token", server.base));
    gateway(settings(&server.base), clock, &credentials)
}

fn fcm_address() -> PushAddress {
    address(PushService::Fcm, "d:APA91")
}

async fn send(gateway: &dyn Gateway, clock: &StandingClock) -> Answer {
    let (address, message) = (fcm_address(), silent_message());
    gateway.send(&push(&address, &message, Style::Silent, clock)).await
}

fn accepted(_: &Asked) -> Reply {
    (200, json!({ "name": "projects/bank-1/messages/1" })).into()
}

#[tokio::test]
async fn the_token_is_asked_for_by_a_signed_assertion_and_used() {
    let server = google(accepted).await;
    let clock = StandingClock::new();
    let answer = send(&*fcm(&server, &clock), &clock).await;
    assert_eq!(answer.outcome, Outcome::Accepted);
    assert_eq!(answer.raw.reason, "projects/bank-1/messages/1");
    let seen = server.seen();
    let (header, claims) = assertion(&seen[0]);
    assert_eq!(header, json!({ "alg": "RS256", "typ": "JWT", "kid": "k1" }));
    assert_eq!(
        claims,
        json!({
            "iss": "push@bank-1.iam.gserviceaccount.com",
            "scope": "https://www.googleapis.com/auth/firebase.messaging",
            "aud": format!("{}/token", server.base),
            "iat": 1_767_603_600,
            "exp": 1_767_607_200,
        })
    );
    assert_eq!(seen[1].header("authorization"), "Bearer t1");
}

#[tokio::test]
async fn each_style_has_its_message() {
    let server = google(accepted).await;
    let clock = StandingClock::new();
    let fcm = fcm(&server, &clock);
    let address = fcm_address();
    let challenge = PushMessage::new(Hint::Challenge { id: "c-1".to_owned() });
    fcm.send(&push(&address, &silent_message(), Style::Silent, &clock)).await;
    fcm.send(&push(&address, &challenge, VISIBLE, &clock)).await;
    let messages: Vec<Value> = server.seen()[1..].iter().map(Asked::json).collect();
    assert_json_snapshot!("fcm", messages);
    let found = messages.iter().map(|sent| PushMessage::find(&sent["message"]["data"]));
    assert_eq!(found.collect::<Vec<_>>(), [Some(silent_message()), Some(challenge)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_token_serves_all_senders_for_four_fifths_of_its_life() {
    let server = google(accepted).await;
    let clock = StandingClock::new();
    let fcm = fcm(&server, &clock);
    for (forward, tokens) in [(0, 1), (2_879, 1), (1, 2)] {
        clock.forward(forward);
        let senders: Vec<_> = (0..8)
            .map(|_| {
                let (fcm, clock) = (Arc::clone(&fcm), Arc::clone(&clock));
                tokio::spawn(async move { send(&*fcm, &clock).await.outcome })
            })
            .collect();
        for sender in senders {
            assert_eq!(sender.await.unwrap(), Outcome::Accepted);
        }
        assert_eq!(server.count("/token"), tokens);
    }
}

#[tokio::test]
async fn a_refused_token_is_renewed_once() {
    let server = google(|asked| {
        let is_new = asked.header("authorization") == "Bearer t2";
        let refusal = json!({ "error": { "code": 401, "status": "UNAUTHENTICATED" } });
        if is_new { accepted(asked) } else { (401, refusal).into() }
    })
    .await;
    let clock = StandingClock::new();
    let fcm = fcm(&server, &clock);
    assert_eq!(send(&*fcm, &clock).await.outcome, Outcome::Accepted);
    assert_eq!((server.count("/token"), server.count(SEND)), (2, 2));
    assert_eq!(send(&*fcm, &clock).await.outcome, Outcome::Accepted);
    assert_eq!((server.count("/token"), server.count(SEND)), (2, 3));
}

#[tokio::test]
async fn a_token_that_stays_refused_is_a_matter_of_the_credentials() {
    let server = google(|_| (401, "{}").into()).await;
    let clock = StandingClock::new();
    let answer = send(&*fcm(&server, &clock), &clock).await;
    assert_eq!(answer.outcome, Outcome::Misconfigured(Trouble::Credentials));
    assert_eq!((server.count("/token"), server.count(SEND)), (2, 2));
}

#[tokio::test]
async fn trouble_of_another_service_behind_fcm_renews_nothing() {
    let server = google(|_| {
        let detail = json!({ "@type": "x.FcmError", "errorCode": "THIRD_PARTY_AUTH_ERROR" });
        (401, json!({ "error": { "status": "UNAUTHENTICATED", "details": [detail] } })).into()
    })
    .await;
    let clock = StandingClock::new();
    let answer = send(&*fcm(&server, &clock), &clock).await;
    assert_eq!(answer.outcome, Outcome::Misconfigured(Trouble::Credentials));
    assert_eq!((server.count("/token"), server.count(SEND)), (1, 1));
}

#[tokio::test]
async fn google_is_not_asked_for_a_token_with_every_push_that_it_refuses() {
    let server = Server::plain(|_| (400, r#"{"error":"invalid_grant"}"#).into()).await;
    let clock = StandingClock::new();
    let fcm = fcm(&server, &clock);
    for (forward, asked) in [(0, 1), (29, 1), (1, 2)] {
        clock.forward(forward);
        let answer = send(&*fcm, &clock).await;
        assert_eq!(answer.outcome, Outcome::Misconfigured(Trouble::Credentials));
        assert_eq!(answer.raw.reason, "token endpoint: invalid_grant");
        assert_eq!(server.count("/token"), asked);
    }
    assert_eq!(server.count(SEND), 0);
}

#[tokio::test]
async fn what_google_says_of_a_dead_address_and_of_waiting_comes_through() {
    let server = google(|_| {
        let detail = json!({ "@type": "x.FcmError", "errorCode": "UNREGISTERED" });
        (404, json!({ "error": { "status": "NOT_FOUND", "details": [detail] } })).into()
    })
    .await;
    let clock = StandingClock::new();
    let answer = send(&*fcm(&server, &clock), &clock).await;
    assert_eq!(answer.outcome, Outcome::Unregistered { as_of: None });

    let busy = google(|_| {
        let until = "Mon, 05 Jan 2026 09:02:00 GMT".to_owned();
        Reply(503, "{}".to_owned(), Some(("retry-after", until)))
    })
    .await;
    let answer = send(&*fcm(&busy, &clock), &clock).await;
    assert_eq!(answer.outcome, Outcome::Retry { after: Some(Duration::from_mins(2)) });
}

#[tokio::test]
async fn a_service_account_cannot_make_the_platform_call_inside() {
    let inside = google(accepted).await;
    let clock = StandingClock::new();
    let strict = Settings { egress: Egress::default(), ..settings(&inside.base) };
    let port = inside.base.rsplit(':').next().unwrap().to_owned();
    for token_uri in [
        "https://10.0.0.1/token".to_owned(),
        "https://169.254.169.254/token".to_owned(),
        format!("http://127.0.0.1:{port}/token"),
        format!("https://localhost:{port}/token"),
    ] {
        let fcm = gateway(strict.clone(), &clock, &fcm_credentials(&token_uri));
        let answer = send(&*fcm, &clock).await;
        let expected = Outcome::Misconfigured(Trouble::Credentials);
        assert_eq!(answer.outcome, expected, "{token_uri}: {:?}", answer.raw);
        assert_eq!(answer.raw.reason, "the service account's token_uri must not be called");
    }
    assert!(inside.seen().is_empty());
}

#[tokio::test]
async fn nothing_is_sent_that_has_expired_or_is_too_large() {
    let server = google(accepted).await;
    let clock = StandingClock::new();
    let fcm = fcm(&server, &clock);
    let (address, message, long) = (fcm_address(), silent_message(), "x".repeat(4_096));
    let whole = push(&address, &message, Style::Silent, &clock);
    let expired = Push { expires_at: whole.expires_at.minus_seconds(60), ..whole };
    assert_eq!(fcm.send(&expired).await.outcome, Outcome::Expired);
    let style = Style::Visible { title: "t", body: &long, category: "c" };
    let answer = fcm.send(&Push { style, ..whole }).await;
    assert_eq!(answer.outcome, Outcome::Rejected(Trouble::TooLarge));
    assert!(server.seen().is_empty());
}
