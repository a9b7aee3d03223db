//! What may be sent, and what arrives.

use countersign_emulator::push_service::mailbox::Kind;
use countersign_protocol::push::{Hint, PushMessage};
use countersign_protocol::time::Clock;
use serde_json::{Value, json};

use super::World;
use crate::world::{AT_ONCE, PROJECT, SOON};

#[tokio::test]
async fn a_phone_waits_for_its_message_and_gets_it_as_it_was_sent() {
    let world = World::new().await;
    let installations = world.server.installations().clone();
    let token = world.token.clone();
    let waiting = tokio::spawn(async move { installations.receive(&token, SOON).await });
    let message = PushMessage::new(Hint::Challenge { id: "c-1".to_owned() });
    let mut sent = world.message();
    sent["message"]["data"]["countersign"] = serde_json::to_string(&message).unwrap().into();
    let answer = world.send(&sent).await;
    assert_eq!(answer.status, 200);
    let received = waiting.await.unwrap().unwrap();
    assert_eq!(answer.json(), json!({ "name": received.id }));
    assert!(received.id.starts_with("projects/bank-project/messages/0:"));
    assert_eq!((received.kind, &received.sent), (Kind::Visible, &sent));
    assert_eq!(received.accepted_at, world.clock.now());
    assert_eq!(received.headers["ttl"], "60s");
    assert_eq!(PushMessage::find(&received.delivered), Some(message));
}

#[tokio::test]
async fn a_message_of_normal_priority_is_silent_in_both_spellings() {
    let world = World::new().await;
    let message = json!({ "validateOnly": false, "message": {
        "token": world.token,
        "data": { "a": "1" },
        "android": { "priority": "normal", "collapseKey": "k", "directBootOk": true, "ttl": null },
    } });
    assert_eq!(world.send(&message).await.status, 200);
    let received = world.server.installations().receive(&world.token, AT_ONCE).await.unwrap();
    assert_eq!((received.kind, received.headers["collapse_key"].as_str()), (Kind::Silent, "k"));
}

#[tokio::test]
async fn validation_alone_sends_nothing() {
    let world = World::new().await;
    let mut message = world.message();
    message["validate_only"] = true.into();
    let answer = world.send(&message).await;
    assert!((answer.status, answer.json()["name"].is_string()) == (200, true));
    assert_eq!(world.server.installations().receive(&world.token, AT_ONCE).await, None);
    message["message"]["data"]["from"] = "me".into();
    assert_eq!(world.send(&message).await.status, 400);
}

#[tokio::test]
async fn each_wrong_message_names_its_field() {
    type Change = fn(&mut Value);
    /// Whether Google's front has read the message and FCM refuses it.
    const FCM: bool = true;
    const FRONT: bool = false;
    let world = World::new().await;
    let access_token = world.access_token().await;
    let cases: &[(bool, &str, Change)] = &[
        (FRONT, "", |m| m["mesage"] = json!({})),
        (FRONT, "message", |m| m["message"]["to"] = json!("x")),
        (FRONT, "message.android", |m| m["message"]["android"]["Priority2"] = json!("HIGH")),
        (FRONT, "message", |m| m["message"] = json!("hello")),
        (FRONT, "message.data[1].value", |m| m["message"]["data"]["n"] = json!(1)),
        (FRONT, "message.data", |m| m["message"]["data"] = json!(["a"])),
        (FRONT, "validate_only", |m| m["validate_only"] = json!("yes")),
        (FRONT, "message.android.priority", |m| {
            m["message"]["android"]["priority"] = json!("URGENT");
        }),
        (FRONT, "message.android.ttl", |m| m["message"]["android"]["ttl"] = json!("60")),
        (FRONT, "message.android.ttl", |m| m["message"]["android"]["ttl"] = json!("-1s")),
        (FCM, "message.android.ttl", |m| m["message"]["android"]["ttl"] = json!("2419201s")),
        (FCM, "message", |m| _ = m.as_object_mut().unwrap().remove("message")),
        (FCM, "message", |m| m["message"]["topic"] = json!("news")),
        (FCM, "message", |m| _ = m["message"].as_object_mut().unwrap().remove("token")),
        (FCM, "message.token", |m| m["message"]["token"] = json!("never-a-token")),
        (FCM, "message.data", |m| m["message"]["data"]["from"] = json!("me")),
        (FCM, "message.data", |m| m["message"]["data"]["message_type"] = json!("me")),
        (FCM, "message.data", |m| m["message"]["data"]["google.x"] = json!("me")),
        (FCM, "message.data", |m| m["message"]["data"]["gcm.x"] = json!("me")),
        (FCM, "message.data", |m| m["message"]["data"]["x"] = json!("x".repeat(4_083))),
        (FCM, "message.apns.headers.apns-priority", |m| {
            m["message"]["apns"] =
                json!({ "headers": { "apns-push-type": "background", "apns-priority": "10" } });
        }),
    ];
    for (of_fcm, field, change) in cases {
        let mut message = world.message();
        change(&mut message);
        let answer = world.try_to_send(PROJECT, &access_token, message.to_string()).await.unwrap();
        assert_eq!(answer.field().as_deref(), Some(*field), "{message}");
        assert_eq!(answer.json()["error"]["status"], "INVALID_ARGUMENT");
        assert_eq!((answer.status, answer.code().is_some()), (400, *of_fcm), "{message}");
    }
    for body in ["", "{", "[]", r#"{"message":{},"message":{}}"#] {
        let answer = world.try_to_send(PROJECT, &access_token, body.to_owned()).await.unwrap();
        assert_eq!((answer.status, answer.code()), (400, None), "{body}");
    }
    let mut message = world.message();
    message["message"]["data"]["x"] = json!("x".repeat(4_082));
    assert_eq!(world.send(&message).await.status, 200, "4096 bytes are not too many");
}

#[tokio::test]
async fn a_token_lives_from_installation_to_removal() {
    let world = World::new().await;
    let installations = world.server.installations();
    let to = |token: &str| {
        let mut message = world.message();
        message["message"]["token"] = token.into();
        message
    };
    let unregistered = async |token: &str| {
        let answer = world.send(&to(token)).await;
        assert_eq!((answer.status, answer.code().as_deref()), (404, Some("UNREGISTERED")));
        assert_eq!(answer.json()["error"]["status"], "NOT_FOUND");
    };
    installations.uninstall(&world.token).unwrap();
    unregistered(&world.token).await;
    let new = installations.reinstall(&world.token).unwrap();
    unregistered(&world.token).await;
    assert_eq!(world.send(&to(&new)).await.status, 200);
    let mut by_fid = to(&new);
    let message = by_fid["message"].as_object_mut().unwrap();
    let token = message.remove("token").unwrap();
    message.insert("fid".to_owned(), token);
    assert_eq!(world.send(&by_fid).await.status, 200);
    installations.expire(&new).unwrap();
    unregistered(&new).await;
    let never = new.replace(":APA91b", ":APA91bxx");
    unregistered(&never).await;
    let foreign = installations.install("other-project").unwrap();
    let answer = world.send(&to(&foreign)).await;
    assert_eq!((answer.status, answer.code().as_deref()), (403, Some("SENDER_ID_MISMATCH")));
}

#[tokio::test]
async fn for_a_phone_without_network_messages_are_stored_by_life_and_collapse_key() {
    let world = World::new().await;
    let installations = world.server.installations();
    let mailbox = installations.mailbox(&world.token).unwrap();
    let access_token = world.access_token().await;
    let send = async |n: usize, ttl: &str, key: Option<&str>| {
        let mut message = world.message();
        message["message"]["data"] = json!({ "n": n.to_string() });
        message["message"]["android"] = json!({ "ttl": ttl, "collapse_key": key });
        let answer = world.try_to_send(PROJECT, &access_token, message.to_string()).await.unwrap();
        assert_eq!(answer.status, 200);
    };
    let arrived = || {
        installations.set_online(&world.token, true).unwrap();
        std::iter::from_fn(|| mailbox.next())
            .map(|message| message.delivered["n"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
            .join(" ")
    };
    installations.set_online(&world.token, false).unwrap();
    for (n, (ttl, key)) in [
        ("0s", None),
        ("60s", None),
        ("60s", Some("a")),
        ("60s", Some("b")),
        ("60s", Some("a")),
        ("30s", None),
        ("60.5s", None),
    ]
    .into_iter()
    .enumerate()
    {
        send(n, ttl, key).await;
    }
    world.clock.advance(30);
    assert_eq!(arrived(), "1 3 4 6");
    installations.set_online(&world.token, false).unwrap();
    for (n, key) in ["a", "b", "c", "d", "e"].into_iter().enumerate() {
        send(n, "60s", Some(key)).await;
    }
    assert_eq!(arrived(), "1 2 3 4", "four collapse keys are kept");
    installations.set_online(&world.token, false).unwrap();
    for n in 0..101 {
        send(n, "60s", None).await;
    }
    assert_eq!(arrived(), "100", "what is beyond the store empties it");
}
