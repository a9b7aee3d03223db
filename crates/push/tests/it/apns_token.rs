//! The provider token of APNs over a day, and when it is refused.

use std::sync::Arc;

use countersign_protocol::encoding::decode;
use countersign_protocol::jwk::EcPublicKey;
use countersign_protocol::time::Clock;
use countersign_push::{Answer, Gateway, Outcome, Style, Trouble};
use serde_json::{Value, json};

use crate::server::{Asked, Server};
use crate::world::{
    APNS_KEY, StandingClock, TEAM, apns_address, apns_credentials, gateway, push, settings,
    silent_message,
};

/// The claims of the provider token of a request, after its signature has been checked.
fn claims(asked: &Asked) -> Value {
    let token = asked.header("authorization").strip_prefix("bearer ").unwrap().to_owned();
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!("not a JWS: {token}") };
    let json = |part| serde_json::from_slice::<Value>(&decode(part).unwrap()).unwrap();
    assert_eq!(json(header), json!({ "alg": "ES256", "kid": "KEY1234567" }));
    let key = EcPublicKey::from_uncompressed(APNS_KEY.public_key_raw()).unwrap();
    assert!(key.verify(format!("{header}.{claims}").as_bytes(), &decode(signature).unwrap()));
    json(claims)
}

fn issued_at(asked: &Asked) -> i64 {
    let claims = claims(asked);
    assert_eq!(claims["iss"], TEAM);
    claims["iat"].as_i64().unwrap()
}

async fn send(gateway: &dyn Gateway, clock: &StandingClock) -> Answer {
    let (address, message) = (apns_address(), silent_message());
    gateway.send(&push(&address, &message, Style::Silent, clock)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn four_senders_renew_the_token_29_times_a_day_at_most() {
    const HOUR: i64 = 3_600;
    let server = Server::tls(&[b"h2"], |_| (200, "").into()).await;
    let clock = StandingClock::new();
    let apns = gateway(settings(&server.base), &clock, &apns_credentials());
    for _ in 0..24 * 60 {
        let senders: Vec<_> = (0..4)
            .map(|_| {
                let (apns, clock) = (Arc::clone(&apns), Arc::clone(&clock));
                tokio::spawn(async move { send(&*apns, &clock).await.outcome })
            })
            .collect();
        for sender in senders {
            assert_eq!(sender.await.unwrap(), Outcome::Accepted);
        }
        clock.forward(60);
    }
    let mut issued: Vec<i64> = server
        .seen()
        .chunk_by(|a, b| a.header("authorization") == b.header("authorization"))
        .map(|run| issued_at(&run[0]))
        .collect();
    let runs = issued.len();
    issued.dedup();
    assert_eq!(issued.len(), runs, "no token is made twice for one moment");
    assert!(issued.len() - 1 <= 29 && issued.len() > 24, "{} tokens", issued.len());
    for pair in issued.windows(2) {
        let interval = pair[1] - pair[0];
        assert!((HOUR / 3..=HOUR).contains(&interval), "{interval} seconds");
    }
}

#[tokio::test]
async fn after_a_long_rest_the_token_is_new() {
    let server = Server::tls(&[b"h2"], |_| (200, "").into()).await;
    let clock = StandingClock::new();
    let apns = gateway(settings(&server.base), &clock, &apns_credentials());
    for _ in 0..2 {
        assert_eq!(send(&*apns, &clock).await.outcome, Outcome::Accepted);
        assert_eq!(issued_at(server.seen().last().unwrap()), clock.now().unix_seconds());
        clock.forward(12 * 3_600);
    }
}

#[tokio::test]
async fn an_expired_token_is_renewed_once_and_the_push_sent_again_once() {
    let server =
        Server::tls(&[b"h2"], |_| (403, json!({ "reason": "ExpiredProviderToken" })).into()).await;
    let clock = StandingClock::new();
    let apns = gateway(settings(&server.base), &clock, &apns_credentials());

    // A token that was just made cannot have expired, and APNs takes a third for abuse.
    let credentials = Outcome::Misconfigured(Trouble::Credentials);
    assert_eq!(send(&*apns, &clock).await.outcome, credentials);
    assert_eq!(server.seen().len(), 1);

    clock.forward(25 * 60);
    assert_eq!(send(&*apns, &clock).await.outcome, credentials);
    let seen = server.seen();
    let issued: Vec<i64> = seen.iter().map(issued_at).collect();
    assert_eq!(issued, [issued[0], issued[0], issued[0] + 25 * 60]);
    assert_eq!(seen[1].header("apns-id"), seen[2].header("apns-id"));
}

#[tokio::test]
async fn an_expired_token_that_is_renewed_lets_the_push_through() {
    let clock = StandingClock::new();
    let refused_before = clock.now().unix_seconds() + 60;
    let server = Server::tls(&[b"h2"], move |asked| {
        let is_old = issued_at(asked) < refused_before;
        if is_old { (403, r#"{"reason":"ExpiredProviderToken"}"#) } else { (200, "") }.into()
    })
    .await;
    let apns = gateway(settings(&server.base), &clock, &apns_credentials());
    drop(send(&*apns, &clock).await);
    clock.forward(30 * 60);
    let all = tokio::join!(send(&*apns, &clock), send(&*apns, &clock), send(&*apns, &clock));
    for answer in [all.0, all.1, all.2] {
        assert_eq!(answer.outcome, Outcome::Accepted);
    }
    let mut issued: Vec<i64> = server.seen().iter().map(issued_at).collect();
    issued.sort_unstable();
    issued.dedup();
    assert_eq!(issued.len(), 2, "one renewal for all");
}
