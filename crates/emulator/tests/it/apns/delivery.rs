//! What arrives at a phone, and what does not.

use countersign_emulator::push_service::fault::{Fault, Order};
use countersign_emulator::push_service::mailbox::Kind;
use countersign_protocol::push::{Hint, PushMessage};
use countersign_protocol::time::Clock;
use serde_json::json;

use super::World;
use crate::world::{AT_ONCE, SOON};

#[tokio::test]
async fn a_phone_waits_for_its_message_and_gets_it_as_it_was_sent() {
    let world = World::new().await;
    let installations = world.server.installations().clone();
    let token = world.token.clone();
    let waiting = tokio::spawn(async move { installations.receive(&token, SOON).await });
    let message = PushMessage::new(Hint::Challenge { id: "c-1".to_owned() });
    let payload = json!({ "aps": { "alert": "Sign in?" }, "countersign": message });
    world.send(world.request().json(&payload).header("apns-collapse-id", "mfa")).await;
    let received = waiting.await.unwrap().unwrap();
    assert_eq!(received.kind, Kind::Visible);
    assert_eq!(received.sent, payload);
    assert_eq!(received.accepted_at, world.clock.now());
    assert_eq!(received.headers["apns-collapse-id"], "mfa");
    assert!(!received.headers.contains_key("authorization"));
    assert_eq!(PushMessage::find(&received.delivered), Some(message));
    assert_eq!(world.server.installations().receive(&world.token, AT_ONCE).await, None);
}

#[tokio::test]
async fn after_a_removal_the_token_is_unregistered_since_then() {
    let world = World::new().await;
    let installations = world.server.installations();
    let removed_at = world.clock.now();
    installations.uninstall(&world.token).unwrap();
    world.clock.advance(100);
    let answer = world.send(world.request()).await;
    assert_eq!(answer.status, 410);
    let timestamp = removed_at.micros() / 1_000;
    assert_eq!(answer.json(), json!({ "reason": "Unregistered", "timestamp": timestamp }));
    let new = installations.reinstall(&world.token).unwrap();
    assert_ne!(new, world.token);
    assert_eq!(world.send(world.request()).await.json()["timestamp"], timestamp);
    assert_eq!(world.send(world.request().to(&new)).await.status, 200);
    installations.expire(&new).unwrap();
    let answer = world.send(world.request().to(&new)).await;
    assert_eq!((answer.status, answer.json()), (410, json!({ "reason": "ExpiredToken" })));
}

#[tokio::test]
async fn for_a_phone_without_network_the_newest_message_is_stored_until_it_expires() {
    let world = World::new().await;
    let installations = world.server.installations();
    let connection = world.connect().await;
    let numbered = |n: i64| world.request().json(&json!({ "aps": { "alert": "?" }, "n": n }));
    let request = numbered(0);
    let authorization = request.headers[0].1.clone();
    let in_a_minute = (world.clock.now().unix_seconds() + 60).to_string();
    for (expirations, seconds, arrived) in [
        (vec![None, None], 0, vec![1]),
        (vec![None, Some("0")], 0, vec![0]),
        (vec![Some("0")], 0, vec![]),
        (vec![Some("1")], 0, vec![]),
        (vec![Some(in_a_minute.as_str())], 59, vec![0]),
        (vec![Some(in_a_minute.as_str())], 1, vec![]),
    ] {
        installations.set_online(&world.token, false).unwrap();
        for (n, expiration) in (0..).zip(expirations) {
            let push = numbered(n).header("authorization", &authorization);
            let push = match expiration {
                Some(at) => push.header("apns-expiration", at),
                None => push,
            };
            assert_eq!(connection.send(push.into()).await.unwrap().status, 200);
        }
        world.clock.advance(seconds);
        installations.set_online(&world.token, true).unwrap();
        let mailbox = installations.mailbox(&world.token).unwrap();
        let numbers: Vec<_> =
            std::iter::from_fn(|| mailbox.next()).map(|m| m.sent["n"].as_i64().unwrap()).collect();
        assert_eq!(numbers, arrived);
    }
}

#[tokio::test]
async fn only_the_newest_hundred_are_kept() {
    let world = World::new().await;
    let connection = world.connect().await;
    for n in 0..103 {
        let push = world.request().json(&json!({ "aps": { "alert": "?" }, "n": n }));
        assert_eq!(connection.send(push.into()).await.unwrap().status, 200);
    }
    let mailbox = world.server.installations().mailbox(&world.token).unwrap();
    assert_eq!(mailbox.messages().len(), 100);
    assert_eq!(mailbox.next().unwrap().sent["n"], 3);
    assert_eq!(mailbox.messages().last().unwrap().sent["n"], 102);
}

#[tokio::test]
async fn what_is_accepted_may_be_lost_doubled_or_held_back() {
    let world = World::new().await;
    let (installations, faults) = (world.server.installations(), world.server.faults());
    let mailbox = installations.mailbox(&world.token).unwrap();
    let other = installations.install(crate::world::TOPIC).unwrap();
    let connection = world.connect().await;
    let arrivals = async |expiration: &str| {
        let push = world.request().header("apns-expiration", expiration);
        let authorization = format!("bearer {}", world.provider_token());
        let push = push.header("authorization", &authorization);
        assert_eq!(world.connect().await.send(push.into()).await.unwrap().status, 200);
        std::iter::from_fn(|| mailbox.next()).count()
    };
    let far = "1900000000";
    faults.order(Order::from(Fault::Lose {}).for_token(&world.token)).unwrap();
    let to_other = world.request().to(&other);
    assert_eq!(connection.send(to_other.into()).await.unwrap().status, 200);
    assert!(installations.receive(&other, AT_ONCE).await.is_some());
    assert_eq!(arrivals(far).await, 0);
    assert_eq!(arrivals(far).await, 1);
    faults.order(Fault::Duplicate {}).unwrap();
    assert_eq!(arrivals(far).await, 2);
    faults.order(Order::from(Fault::HoldBack {}).times(2)).unwrap();
    assert_eq!(arrivals(far).await, 0);
    let soon = (world.clock.now().unix_seconds() + 60).to_string();
    assert_eq!(arrivals(&soon).await, 0);
    world.clock.advance(60);
    installations.release(&world.token).unwrap();
    assert_eq!(std::iter::from_fn(|| mailbox.next()).count(), 1, "the other one has expired");
    assert_eq!(faults.list(), []);
}
