//! What APNs is sent, and what its answers become.

use countersign_protocol::mobile_payload::{PushAddress, PushEnvironment, PushService};
use countersign_protocol::push::{Hint, PushMessage};
use countersign_protocol::time::Timestamp;
use countersign_push::{Outcome, Push, Settings, Style, Trouble};
use insta::assert_json_snapshot;
use serde_json::{Value, json};
use url::Url;

use crate::server::{Asked, Server};
use crate::world::{
    DEVICE_TOKEN, StandingClock, VISIBLE, address, apns_address, apns_credentials, gateway, push,
    settings, silent_message,
};

/// A request without what differs from run to run.
fn shown(asked: &Asked) -> Value {
    let mut headers: Vec<_> = asked.headers.keys().map(http::HeaderName::as_str).collect();
    headers.sort_unstable();
    let headers: serde_json::Map<_, _> = headers
        .into_iter()
        .filter(|name| *name != "authorization")
        .map(|name| (name.to_owned(), asked.header(name).into()))
        .collect();
    json!({ "path": asked.path, "headers": headers, "body": asked.json() })
}

#[tokio::test]
async fn each_style_has_its_headers_and_its_payload() {
    let server = Server::tls(&[b"h2"], |_| (200, "").into()).await;
    let clock = StandingClock::new();
    let apns = gateway(settings(&server.base), &clock, &apns_credentials());
    let address = apns_address();
    let challenge = PushMessage::new(Hint::Challenge { id: "c-1".to_owned() });
    let cancelled = PushMessage::new(Hint::Cancelled { id: "c-1".to_owned() });
    for (message, style) in
        [(&silent_message(), Style::Silent), (&challenge, VISIBLE), (&cancelled, Style::Cancel)]
    {
        let answer = apns.send(&push(&address, message, style, &clock)).await;
        assert_eq!(answer.outcome, Outcome::Accepted);
    }
    let seen = server.seen();
    assert!(seen.iter().all(|asked| asked.connection == 0), "one connection is kept");
    assert_json_snapshot!("apns", seen.iter().map(shown).collect::<Vec<_>>());
    for (asked, message) in seen.iter().zip([silent_message(), challenge, cancelled]) {
        assert_eq!(PushMessage::find(&asked.json()), Some(message));
    }
}

#[tokio::test]
async fn development_builds_are_reached_by_the_sandbox() {
    let production = Server::tls(&[b"h2"], |_| (200, "").into()).await;
    let sandbox = Server::tls(&[b"h2"], |_| (200, "").into()).await;
    let mut settings = settings(&production.base);
    settings.endpoints.apns_sandbox = Url::parse(&sandbox.base).unwrap();
    let clock = StandingClock::new();
    let apns = gateway(settings, &clock, &apns_credentials());
    let environment = Some(PushEnvironment::Sandbox);
    let (message, address) = (silent_message(), PushAddress { environment, ..apns_address() });
    apns.send(&push(&address, &message, Style::Silent, &clock)).await;
    assert_eq!((production.seen().len(), sandbox.seen().len()), (0, 1));
}

#[tokio::test]
async fn what_apple_says_of_a_dead_address_comes_through() {
    let body = r#"{"reason":"Unregistered","timestamp":1767600000000}"#;
    let server = Server::tls(&[b"h2"], move |_| (410, body).into()).await;
    let clock = StandingClock::new();
    let apns = gateway(settings(&server.base), &clock, &apns_credentials());
    let (address, message) = (apns_address(), silent_message());
    let answer = apns.send(&push(&address, &message, Style::Silent, &clock)).await;
    let as_of = Some(Timestamp::from_unix_seconds(1_767_600_000));
    assert_eq!(answer.outcome, Outcome::Unregistered { as_of });
    assert_eq!((answer.raw.status, answer.raw.reason.as_str()), (Some(410), "Unregistered"));
}

#[tokio::test]
async fn after_shutdown_the_next_push_takes_a_new_connection() {
    let server = Server::tls(&[b"h2"], |_| (503, r#"{"reason":"Shutdown"}"#).into()).await;
    let clock = StandingClock::new();
    let apns = gateway(settings(&server.base), &clock, &apns_credentials());
    let (address, message) = (apns_address(), silent_message());
    for _ in 0..2 {
        let answer = apns.send(&push(&address, &message, Style::Silent, &clock)).await;
        assert_eq!(answer.outcome, Outcome::Retry { after: None });
    }
    let connections: Vec<_> = server.seen().iter().map(|asked| asked.connection).collect();
    assert_eq!(connections, [0, 1]);
}

#[tokio::test]
async fn what_must_not_be_sent_is_not() {
    let server = Server::tls(&[b"h2"], |_| (200, "").into()).await;
    let clock = StandingClock::new();
    let apns = gateway(settings(&server.base), &clock, &apns_credentials());
    let (good, message) = (apns_address(), silent_message());
    let expect = async |push: Push<'_>, expected| {
        assert_eq!(apns.send(&push).await.outcome, expected, "{push:?}");
    };

    let whole = push(&good, &message, Style::Silent, &clock);
    let over = Push { expires_at: whole.expires_at.minus_seconds(60), ..whole };
    expect(over, Outcome::Expired).await;

    let foreign = Outcome::Misconfigured(Trouble::Address);
    let odd = "0".repeat(63);
    let endless = "0".repeat(402);
    let path = format!("../../{DEVICE_TOKEN}");
    for text in ["", "00", &odd, &endless, &path, "zz".repeat(32).as_str()] {
        let address = address(PushService::Apns, text);
        expect(push(&address, &message, Style::Silent, &clock), foreign).await;
    }
    let fcm = address(PushService::Fcm, DEVICE_TOKEN);
    expect(push(&fcm, &message, Style::Silent, &clock), foreign).await;

    let long = "x".repeat(4_096);
    let style = Style::Visible { title: "t", body: &long, category: "c" };
    expect(push(&good, &message, style, &clock), Outcome::Rejected(Trouble::TooLarge)).await;

    let request = Outcome::Rejected(Trouble::Request);
    for collapse in ["", "x".repeat(65).as_str(), "a b", "a\r\nb: c", "ä"] {
        expect(Push { collapse, ..whole }, request).await;
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_push_does_not_outlive_its_time_on_a_slow_connection() {
    // Nobody answers on this port, and the push has 200 ms to live.
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let base = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let clock = StandingClock::new();
    let apns = gateway(Settings { ..settings(&base) }, &clock, &apns_credentials());
    let (address, message) = (apns_address(), silent_message());
    let whole = push(&address, &message, Style::Silent, &clock);
    let expires_at = whole.expires_at.minus_seconds(60).plus_micros(200_000);
    let answer = apns.send(&Push { expires_at, ..whole }).await;
    assert_eq!(answer.outcome, Outcome::Unreachable);
    assert!(answer.raw.reason.contains("200ms"), "{:?}", answer.raw);
}
