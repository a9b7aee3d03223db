//! Push Kit: the access token, what is sent, and what the answers become.

use std::sync::atomic::{AtomicUsize, Ordering};

use countersign_protocol::mobile_payload::PushService;
use countersign_protocol::push::{Hint, PushMessage};
use countersign_push::{Outcome, Style, Trouble};
use insta::assert_json_snapshot;
use serde_json::{Value, json};

use crate::server::{Asked, Reply, Server};
use crate::world::{
    StandingClock, VISIBLE, address, gateway, hms_credentials, push, settings, silent_message,
};

const SEND: &str = "/v1/100001/messages:send";

async fn huawei(respond: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Server {
    let given = AtomicUsize::new(0);
    Server::plain(move |asked| {
        if asked.path != "/token" {
            return respond(asked);
        }
        let token = format!("t{}", given.fetch_add(1, Ordering::SeqCst) + 1);
        (200, json!({ "access_token": token, "expires_in": 3_600 })).into()
    })
    .await
}

fn coded(code: &str) -> Reply {
    (200, json!({ "code": code, "msg": "m", "requestId": "r" })).into()
}

#[tokio::test]
async fn each_style_has_its_message_and_the_app_shows_its_secret_for_a_token() {
    let server = huawei(|_| coded("80000000")).await;
    let clock = StandingClock::new();
    let hms = gateway(settings(&server.base), &clock, &hms_credentials());
    let address = address(PushService::Hms, "IQAAAACy0tYp");
    let challenge = PushMessage::new(Hint::Challenge { id: "c-1".to_owned() });
    for (message, style) in [(&silent_message(), Style::Silent), (&challenge, VISIBLE)] {
        let answer = hms.send(&push(&address, message, style, &clock)).await;
        assert_eq!(answer.outcome, Outcome::Accepted);
    }
    let seen = server.seen();
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", "100001"),
        ("client_secret", "correct-horse"),
    ];
    assert_eq!(seen[0].form(), form.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(seen[1].header("authorization"), "Bearer t1");
    let messages: Vec<Value> = seen[1..].iter().map(Asked::json).collect();
    assert_json_snapshot!("hms", messages);
    for (sent, message) in messages.iter().zip([silent_message(), challenge]) {
        let data = sent["message"]["data"].as_str().unwrap();
        assert_eq!(PushMessage::find(&serde_json::from_str(data).unwrap()), Some(message));
    }
}

#[tokio::test]
async fn an_expired_token_is_renewed_once() {
    let server = huawei(|asked| {
        let is_new = asked.header("authorization") == "Bearer t2";
        coded(if is_new { "80000000" } else { "80200003" })
    })
    .await;
    let clock = StandingClock::new();
    let hms = gateway(settings(&server.base), &clock, &hms_credentials());
    let (address, message) = (address(PushService::Hms, "t"), silent_message());
    let answer = hms.send(&push(&address, &message, Style::Silent, &clock)).await;
    assert_eq!(answer.outcome, Outcome::Accepted);
    assert_eq!((server.count("/token"), server.count(SEND)), (2, 2));

    let stubborn = huawei(|_| coded("80200003")).await;
    let hms = gateway(settings(&stubborn.base), &clock, &hms_credentials());
    let answer = hms.send(&push(&address, &message, Style::Silent, &clock)).await;
    assert_eq!(answer.outcome, Outcome::Misconfigured(Trouble::Credentials));
    assert_eq!((stubborn.count("/token"), stubborn.count(SEND)), (2, 2));
}

#[tokio::test]
async fn a_success_of_http_can_be_a_dead_address() {
    let server = huawei(|_| coded("80300007")).await;
    let clock = StandingClock::new();
    let hms = gateway(settings(&server.base), &clock, &hms_credentials());
    let (address, message) = (address(PushService::Hms, "t"), silent_message());
    let answer = hms.send(&push(&address, &message, Style::Silent, &clock)).await;
    assert_eq!(answer.outcome, Outcome::Unregistered { as_of: None });
    assert_eq!((answer.raw.status, answer.raw.reason.as_str()), (Some(200), "80300007"));
}
