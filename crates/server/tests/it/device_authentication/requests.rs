//! What a request must say, and what is told of one that does not.

use countersign_domain::{device::Device, id::Id};
use countersign_server::app::DeviceChange;
use serde_json::{Value, json};

use crate::world::{Backend, JSON, World, get, post};

const NO_ID: &str = "00000000-0000-7000-8000-000000000000";

/// `wanted` with one member in another way.
fn with(wanted: &Value, member: &str, value: Value) -> Value {
    let mut wanted = wanted.clone();
    wanted[member] = value;
    wanted
}

async fn is_refused(backend: &Backend, wanted: &Value, told: (&str, &str, &str)) {
    let answer = backend.ask(wanted).await;
    assert_eq!(answer.status, 400, "{wanted}: {answer:?}");
    let (code, detail, target) = answer.problem();
    assert_eq!((code.as_str(), detail.as_str(), target.as_str()), told, "{wanted}");
}

async fn devices_of(w: &World, user: &countersign_domain::user::User) -> Vec<Id<Device>> {
    let devices = w.server.list_devices(w.bank.environment.id, user.id).await.unwrap();
    devices.into_iter().map(|device| device.id).collect()
}

#[tokio::test]
async fn each_member_that_breaks_a_rule_is_named_with_it() {
    let w = World::new().await;
    w.phone_paired_to("ann").await;
    let (backend, ann) = (w.backend().await, w.ann());
    let long = json!({ "text": "x".repeat(4_096) });
    let code = json!({ "type": "EMAIL", "email": "ann@bank.example" });
    for (wanted, detail, target) in [
        (json!({}), "REQUIRED_VALUE", "user.id"),
        (json!({ "user": {} }), "REQUIRED_VALUE", "user.id"),
        (with(&ann, "user", json!({ "id": "ann" })), "INVALID_VALUE", "user.id"),
        (with(&ann, "user", json!({ "id": NO_ID })), "INVALID_VALUE", "user.id"),
        (with(&ann, "policy", json!({})), "REQUIRED_VALUE", "policy.id"),
        (with(&ann, "policy", json!({ "id": NO_ID })), "INVALID_VALUE", "policy.id"),
        (with(&ann, "application", json!({ "id": NO_ID })), "INVALID_VALUE", "application.id"),
        (with(&ann, "mobilePayload", json!("x")), "REQUIRED_VALUE", "application.id"),
        (with(&ann, "selectedDevice", json!({})), "REQUIRED_VALUE", "selectedDevice.id"),
        (with(&ann, "selectedDevice", json!({ "id": "x" })), "INVALID_VALUE", "selectedDevice.id"),
        (
            with(&ann, "selectedDevice", json!({ "oneTime": code })),
            "INVALID_VALUE",
            "selectedDevice.oneTime",
        ),
        (with(&ann, "clientContext", long.clone()), "INVALID_VALUE", "clientContext"),
        (
            with(&ann, "notification", json!({ "clientContext": long })),
            "INVALID_VALUE",
            "notification.clientContext",
        ),
        (
            with(&ann, "notification", json!({ "template": long })),
            "INVALID_VALUE",
            "notification.template",
        ),
    ] {
        is_refused(&backend, &wanted, ("INVALID_DATA", detail, target)).await;
    }
    for (wanted, target) in [
        (with(&ann, "notification", json!({ "template": "x" })), "notification.template"),
        (with(&ann, "clientContext", json!("{}")), "clientContext"),
        (with(&ann, "user", json!("ann")), "user"),
    ] {
        is_refused(&backend, &wanted, ("INVALID_REQUEST", "INVALID_VALUE", target)).await;
    }
    is_refused(&backend, &json!("ann"), ("INVALID_REQUEST", "", "")).await;
    assert!(w.audit_of("AUTHENTICATION.CREATED").await.is_empty());
}

#[tokio::test]
async fn members_that_are_not_known_are_passed_over() {
    let w = World::new().await;
    w.phone_paired_to("ann").await;
    let wanted = with(&w.ann(), "deviceSession", json!({ "id": "x" }));
    assert_eq!(w.backend().await.begin(&wanted).await.status(), "OTP_REQUIRED");
}

#[tokio::test]
async fn the_device_that_is_named_is_asked_at_once() {
    let w = World::new().await;
    let first = w.phone_paired_to("ann").await;
    let second = w.phone().await;
    w.pair_beside(&first, &second, "ann").await;
    let [of_first, of_second] = devices_of(&w, &w.bank.ann).await.try_into().unwrap();
    let wanted = with(&w.ann(), "selectedDevice", json!({ "id": of_second }));
    let backend = w.backend().await;
    let mut authentication = backend.begin(&wanted).await;
    assert_eq!(authentication.shown["selectedDevice"]["id"], json!(of_second));
    authentication.passcode(&first.passcode()).await.must_be(400);
    authentication.passcode(&second.passcode()).await.must_be(200);
    assert_eq!(authentication.status(), "COMPLETED");
    // Whatever else there is to choose from, one that cannot be used is not replaced in silence.
    let environment = w.bank.environment.id;
    w.server.change_device(environment, of_second, DeviceChange::Block).await.unwrap();
    let told = ("INVALID_DATA", "INVALID_VALUE", "selectedDevice.id");
    is_refused(&backend, &wanted, told).await;
    w.server.change_device(environment, of_first, DeviceChange::Block).await.unwrap();
    is_refused(&backend, &wanted, told).await;
}

#[tokio::test]
async fn the_device_of_another_user_is_as_unknown_as_none() {
    let w = World::new().await;
    w.phone_paired_to("ann").await;
    let bob = w.user("bob").await;
    w.phone_paired_to("bob").await;
    let bobs = devices_of(&w, &bob).await.remove(0);
    let backend = w.backend().await;
    let mut texts = Vec::new();
    for id in [json!(bobs), json!(NO_ID)] {
        let wanted = with(&w.ann(), "selectedDevice", json!({ "id": id }));
        let answer = backend.ask(&wanted).await.must_be(400);
        texts.push(answer.json()["details"].clone());
        let mut authentication = backend.begin(&w.ann()).await;
        let answer = authentication.select(id.as_str().unwrap()).await.must_be(400);
        assert_eq!(answer.problem().2, "device.id");
        texts.push(answer.json()["details"].clone());
    }
    assert_eq!(texts[..2], texts[2..]);
}

#[tokio::test]
async fn what_is_not_json_is_refused_by_its_media_type() {
    let w = World::new().await;
    let backend = w.backend().await;
    let url = w.url("/deviceAuthentications");
    let sent = backend.signed(post(&url, "text/plain", w.ann().to_string()));
    w.wire.send(sent).await.must_be(415);
    let sent = backend.signed(post(&url, JSON, "{"));
    assert_eq!(w.wire.send(sent).await.must_be(400).problem().0, "INVALID_REQUEST");
    w.wire.send(backend.signed(get(&url))).await.must_be(405);
}

#[tokio::test]
async fn an_action_that_there_is_not_is_told_those_that_there_are() {
    let w = World::new().await;
    w.phone_paired_to("ann").await;
    let mut authentication = w.backend().await.begin(&w.ann()).await;
    for action in ["assertion.check", "session.reset", "usernamePassword.check", "x"] {
        let answer = authentication.act(action, &json!({})).await.must_be(415);
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        for known in ["device.select", "otp.check", "cancel.push.authentication"] {
            let known = format!("application/vnd.pingidentity.{known}+json");
            assert!(message.contains(&known), "{message}");
        }
    }
    let backend = authentication.backend.clone();
    let url = backend.url(authentication.id());
    w.wire.send(backend.signed(post(&url, JSON, "{}"))).await.must_be(415);
}

#[tokio::test]
async fn actions_that_break_a_rule_change_nothing() {
    let w = World::new().await;
    w.phone_paired_to("ann").await;
    let mut authentication = w.backend().await.begin(&w.ann()).await;
    let before = authentication.shown.clone();
    for (action, body, told) in [
        ("otp.check", json!({}), ("INVALID_DATA", "REQUIRED_VALUE", "otp")),
        ("otp.check", json!({ "otp": 1 }), ("INVALID_REQUEST", "INVALID_VALUE", "otp")),
        ("device.select", json!({}), ("INVALID_DATA", "REQUIRED_VALUE", "device.id")),
        (
            "device.select",
            json!({ "device": { "id": "x" } }),
            ("INVALID_DATA", "INVALID_VALUE", "device.id"),
        ),
        ("cancel.push.authentication", json!({}), ("INVALID_DATA", "REQUIRED_VALUE", "reason")),
        (
            "cancel.push.authentication",
            json!({ "reason": "change_device" }),
            ("INVALID_DATA", "INVALID_VALUE", "reason"),
        ),
        // No push is under way.
        ("cancel.push.authentication", json!({ "reason": "DEFAULT" }), ("REQUEST_FAILED", "", "")),
    ] {
        let answer = authentication.act(action, &body).await.must_be(400);
        let (code, detail, target) = answer.problem();
        assert_eq!((code.as_str(), detail.as_str(), target.as_str()), told, "{action} {body}");
    }
    assert_eq!(authentication.read().await.json(), before);
}
