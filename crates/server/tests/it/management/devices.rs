//! Devices of a user by the management API, and the logs of their apps.

use countersign_domain::role::{Role, Scope};
use countersign_protocol::{device_log::LogRequest, mobile_payload::PushService};
use http::Method;
use serde_json::{Value, json};

use crate::world::{
    JSON, MFA_BYPASS, Phone, PushWorld, Step, World, administrator::Administrator, post,
};

on_both_engines!(
    a_phone_is_shown_as_it_is_and_found_under_its_user_only,
    a_device_is_blocked_unblocked_and_removed_and_its_links_say_what_is_possible,
    devices_are_listed_by_filters_and_in_parts,
    the_order_is_set_used_and_forgotten,
    a_device_is_named_by_an_administrator,
    the_logs_of_an_app_are_asked_for_sent_and_read,
    logs_that_break_a_rule_or_are_too_old_are_not_there,
);

const NO_ID: &str = "00000000-0000-7000-8000-000000000000";

fn devices_of(user: impl std::fmt::Display) -> String {
    format!("/users/{user}/devices")
}

async fn list(admin: &Administrator, path: &str) -> Value {
    admin.get(path).await.must_be(200).json()
}

fn own_url(device: &Value) -> String {
    device["_links"]["self"]["href"].as_str().unwrap().to_owned()
}

/// The only device of ann.
async fn only(admin: &Administrator, w: &World) -> Value {
    let list = list(admin, &devices_of(w.bank.ann.id)).await;
    assert_eq!((&list["count"], &list["size"]), (&json!(1), &json!(1)));
    assert!(list["_embedded"].get("order").is_none());
    list["_embedded"]["devices"][0].clone()
}

async fn two_phones(w: &World) -> (Phone, Phone) {
    let first = w.phone_paired_to("ann").await;
    let second = w.phone().await;
    w.pair_beside(&first, &second, "ann").await;
    (first, second)
}

fn links(device: &Value) -> Vec<&str> {
    device["_links"].as_object().unwrap().keys().map(String::as_str).collect()
}

async fn a_phone_is_shown_as_it_is_and_found_under_its_user_only(w: &mut World) {
    let admin = w.administrator().await;
    assert_eq!(list(&admin, &devices_of(w.bank.ann.id)).await["count"], 0);
    let phone = w.phone_paired_to("ann").await;
    phone.sdk.set_device_token(PushService::Fcm, "token", None).await.unwrap();
    let device = only(&admin, w).await;
    assert_eq!(admin.get(&own_url(&device)).await.must_be(200).json(), device);
    for (member, value) in [
        ("type", json!("MOBILE")),
        ("status", json!("ACTIVE")),
        ("user", json!({ "id": w.bank.ann.id })),
        ("block", json!({ "status": "UNBLOCKED" })),
        ("lock", json!({ "status": "UNLOCKED" })),
        ("usableStatus", json!({ "status": "ENABLED" })),
        ("pushEnabled", json!(true)),
        ("pushStatus", json!({ "status": "ENABLED" })),
        ("otpEnabled", json!(true)),
        ("notificationProvider", json!("FCM")),
    ] {
        assert_eq!(device[member], value, "{member}");
    }
    assert_eq!(device["application"]["id"], json!(w.bank.native.id));
    assert_eq!(device["application"]["name"], json!(w.bank.native.name));
    assert!(!device.to_string().contains("seed") && !device.to_string().contains("thumbprint"));
    let id = device["id"].as_str().unwrap();
    // Under nobody else, nor in another environment.
    let bob = w.user("bob").await.id;
    for path in [
        format!("{}/{id}", devices_of(bob)),
        format!("{}/{NO_ID}", devices_of(w.bank.ann.id)),
        devices_of(NO_ID),
    ] {
        admin.get(&path).await.must_be(404);
    }
    let other = w.server.create_environment("Other").await.unwrap().id;
    let elsewhere = format!("{}{}", w.environment_url(other), devices_of(w.bank.ann.id));
    admin.get(&elsewhere).await.must_be(404);
    admin.get(&format!("{elsewhere}/{id}")).await.must_be(404);
    let of_bob = format!("{}/{id}", devices_of(bob));
    for action in ["device.block", "device.unlock"] {
        admin.act(Method::POST, &of_bob, action, &json!({})).await.must_be(404);
        let there = format!("{elsewhere}/{id}");
        admin.act(Method::POST, &there, action, &json!({})).await.must_be(404);
    }
    admin.delete(&of_bob).await.must_be(404);
    admin.delete(&format!("{elsewhere}/{id}")).await.must_be(404);
    admin.put(&format!("{of_bob}/nickname"), &json!({ "nickname": "x" })).await.must_be(404);
    admin.put(&format!("{of_bob}/logs"), &json!({ "status": "PENDING" })).await.must_be(404);
    assert_eq!(only(&admin, w).await, device);
}

async fn a_device_is_blocked_unblocked_and_removed_and_its_links_say_what_is_possible(
    w: &mut World,
) {
    let admin = w.administrator().await;
    let phone = w.phone_paired_to("ann").await;
    let device = only(&admin, w).await;
    let url = own_url(&device);
    assert_eq!(links(&device), ["device.block", "environment", "logs", "nickname", "self", "user"]);
    let act = async |action: &str| admin.act(Method::POST, &url, action, &json!({})).await;
    let blocked = act("device.block").await.must_be(200).json();
    assert_eq!(blocked["block"]["status"], "BLOCKED");
    assert!(blocked["block"]["blockedAt"].is_string());
    assert_eq!(
        blocked["usableStatus"],
        json!({ "status": "DISABLED", "reason": "DEVICE_BLOCKED" })
    );
    assert!(links(&blocked).contains(&"device.unblock"));
    assert!(!links(&blocked).contains(&"device.block"));
    assert_eq!(w.sign_in_on(&phone, "ann").await.status(), "FAILED");
    // What is so already stays so.
    assert_eq!(act("device.block").await.must_be(200).json(), blocked);
    act("device.unlock").await.must_be(200);
    act("device.unblock").await.must_be(200);
    assert_eq!(w.sign_in_on(&phone, "ann").await.status(), "COMPLETED");
    act("device.eat").await.must_be(415);
    admin.post(&url, &json!({})).await.must_be(415);
    let mut sign_on = w.site().begin().await;
    sign_on.password("ann", crate::world::PASSWORD).await.must_be(200);
    for _ in 0..3 {
        sign_on.passcode(&phone.wrong_passcode()).await;
    }
    let locked = admin.get(&url).await.must_be(200).json();
    assert_eq!(locked["lock"]["status"], "LOCKED");
    assert!(locked["lock"]["expiresAt"].is_string());
    assert!(links(&locked).contains(&"device.unlock"));
    let unlocked = act("device.unlock").await.must_be(200).json();
    assert_eq!(unlocked["lock"], json!({ "status": "UNLOCKED" }));
    admin.delete(&url).await.must_be(204);
    admin.delete(&url).await.must_be(404);
    admin.get(&url).await.must_be(404);
    assert!(phone.sdk.info().await.unwrap().is_empty());
    let told = w.audit_of("DEVICE.DELETED").await;
    assert_eq!(told[0].entry.event.reason.as_deref(), Some("removed_by_administrator"));
    assert!(told[0].entry.actors().client.is_some());
}

async fn devices_are_listed_by_filters_and_in_parts(w: &mut World) {
    let admin = w.administrator().await;
    two_phones(w).await;
    let path = devices_of(w.bank.ann.id);
    let found = async |filter: &str| {
        let query: String = form_urlencoded::byte_serialize(filter.as_bytes()).collect();
        list(&admin, &format!("{path}?filter={query}")).await["count"].clone()
    };
    assert_eq!(found(r#"type eq "MOBILE" and status eq "ACTIVE""#).await, 2);
    assert_eq!(found(r#"type eq "EMAIL""#).await, 0);
    assert_eq!(found(r#"block.status eq "BLOCKED""#).await, 0);
    let all = list(&admin, &path).await;
    let first = list(&admin, &format!("{path}?limit=1")).await;
    assert_eq!((&first["count"], &first["size"]), (&json!(2), &json!(1)));
    let second = list(&admin, first["_links"]["next"]["href"].as_str().unwrap()).await;
    assert!(second["_links"].get("next").is_none());
    assert_eq!(
        [&first, &second].map(|part| &part["_embedded"]["devices"][0]),
        [0, 1].map(|place| &all["_embedded"]["devices"][place])
    );
    for bad in ["limit=0", "limit=1001", "cursor=x", "filter=type"] {
        admin.get(&format!("{path}?{bad}")).await.must_be(400);
    }
}

async fn the_order_is_set_used_and_forgotten(w: &mut World) {
    let admin = w.administrator().await;
    let (first, second) = two_phones(w).await;
    let path = devices_of(w.bank.ann.id);
    let ids = async || {
        let list = list(&admin, &path).await;
        let id = |device: &Value| device["id"].clone();
        let devices = list["_embedded"]["devices"].as_array().unwrap();
        (devices.iter().map(id).collect::<Vec<_>>(), list["_embedded"]["order"].clone())
    };
    let (before, none) = ids().await;
    assert_eq!(none, Value::Null);
    let order = json!({ "order": [{ "id": before[1] }] });
    let set = admin.act(Method::POST, &path, "devices.reorder", &order).await.must_be(200).json();
    assert_eq!(set["_embedded"]["order"], order["order"]);
    assert_eq!(ids().await, (vec![before[1].clone(), before[0].clone()], order["order"].clone()));
    // The first is asked.
    let mut sign_on = w.site().begin().await;
    sign_on.password("ann", crate::world::PASSWORD).await.must_be(200);
    sign_on.passcode(&first.passcode()).await.must_be(400);
    sign_on.passcode(&second.passcode()).await.must_be(200);
    for (bad, target, code) in [
        (json!([{ "id": NO_ID }]), "order[0].id", "INVALID_VALUE"),
        (json!([{ "id": before[0] }, { "id": before[0] }]), "order[1].id", "UNIQUENESS_VIOLATION"),
        (json!([{ "id": "x" }]), "order[0].id", "INVALID_VALUE"),
    ] {
        let body = json!({ "order": bad });
        let refused = admin.act(Method::POST, &path, "devices.reorder", &body).await.must_be(400);
        let detail = &refused.json()["details"][0];
        assert_eq!((&detail["target"], &detail["code"]), (&json!(target), &json!(code)));
    }
    admin.post(&path, &json!({ "type": "MOBILE" })).await.must_be(415);
    admin.delete(&path).await.must_be(415);
    admin.act(Method::DELETE, &path, "devices.order.remove", &json!({})).await.must_be(204);
    assert_eq!(ids().await, (before, Value::Null));
    assert_eq!(w.audit_of("DEVICES.ORDER_UPDATED").await.len(), 1);
    assert_eq!(w.audit_of("DEVICES.ORDER_DELETED").await.len(), 1);
}

async fn a_device_is_named_by_an_administrator(w: &mut World) {
    let admin = w.administrator().await;
    let phone = w.phone_paired_to("ann").await;
    let device = only(&admin, w).await;
    assert_eq!(device["createdAt"], device["updatedAt"]);
    let url = format!("{}/nickname", own_url(&device));
    let body = json!({ "nickname": "Ann's phone" });
    let named = admin.put(&url, &body).await.must_be(200).json();
    assert_eq!(named["nickname"], body["nickname"]);
    let device = only(&admin, w).await;
    assert_eq!(device["nickname"], body["nickname"]);
    assert_ne!(device["createdAt"], device["updatedAt"]);
    assert_eq!(phone.sdk.info().await.unwrap()[0].device.nickname.as_deref(), Some("Ann's phone"));
    for bad in ["", " x", "a\nb", &"x".repeat(101)] {
        let refused = admin.put(&url, &json!({ "nickname": bad })).await.must_be(400).json();
        assert_eq!(refused["details"][0]["target"], "nickname");
    }
    admin.put(&url, &json!({})).await.must_be(200);
    assert!(only(&admin, w).await.get("nickname").is_none());
}

async fn the_logs_of_an_app_are_asked_for_sent_and_read(w: &mut World) {
    let admin = w.administrator().await;
    let phone = w.phone_paired_to("ann").await;
    let url = format!("{}/logs", own_url(&only(&admin, w).await));
    admin.get(&url).await.must_be(404);
    admin.put(&url, &json!({ "status": "RECEIVED" })).await.must_be(400);
    let asked = admin.put(&url, &json!({ "status": "PENDING" })).await.must_be(200).json();
    assert_eq!(asked["status"], "PENDING");
    assert_eq!(only(&admin, w).await["logs"]["status"], "PENDING");
    let is_asked = async || phone.sdk.info().await.unwrap()[0].device.logs_requested;
    assert!(is_asked().await);
    w.advance(86_400);
    assert!(!is_asked().await, "a day is over");
    let admin = w.administrator().await;
    admin.get(&url).await.must_be(404);
    admin.put(&url, &json!({ "status": "PENDING" })).await.must_be(200);
    phone.sdk.send_logs("started\r\nfailed: no network\n").await.unwrap();
    assert!(!is_asked().await);
    let read = admin.get(&url).await.must_be(200).json();
    assert_eq!(
        (&read["status"], &read["log"]),
        (&json!("RECEIVED"), &json!("started \nfailed: no network\n"))
    );
    let shown = only(&admin, w).await;
    assert!(shown["logs"].get("log").is_none(), "the list tells no log");
    // Who asks anew waits for what comes then.
    admin.put(&url, &json!({ "status": "PENDING" })).await.must_be(200);
    assert!(admin.get(&url).await.must_be(200).json().get("log").is_none());
    // The newest takes the place of the one before, and does not outlive the device.
    phone.sdk.send_logs("again").await.unwrap();
    assert_eq!(admin.get(&url).await.must_be(200).json()["log"], "again");
    assert_eq!(w.audit_of("DEVICE.LOGS_RECEIVED").await.len(), 2);
    let users = w.administrator_with(&[(Role::ConfigurationReadOnly, here(w))]).await;
    users.get(&url).await.must_be(403);
    w.advance(30 * 86_400);
    let admin = w.administrator().await;
    admin.get(&url).await.must_be(404);
}

fn here(w: &World) -> Scope {
    Scope::Environment(w.bank.environment.id)
}

async fn logs_that_break_a_rule_or_are_too_old_are_not_there(w: &mut World) {
    let phone = w.phone_paired_to("ann").await;
    let url = w.url("/device/v1/logs");
    let send = async |nonce: &str, log: &str| {
        let request = LogRequest { nonce: nonce.to_owned(), log: log.to_owned() };
        let proof = phone.proof(&url, request).await;
        w.wire.send(post(&url, JSON, json!({ "proof": proof }).to_string())).await
    };
    let nonce = w.wire.get(&w.url("/device/v1/nonce")).await.must_be(200).json();
    let nonce = nonce["nonce"].as_str().unwrap();
    for (nonce, log, target) in
        [("x", "log", "proof.nonce"), (nonce, "", "proof.log"), (nonce, "a\u{1b}b", "proof.log")]
    {
        let refused = send(nonce, log).await.must_be(400).json();
        assert_eq!(refused["details"][0]["target"], target);
    }
    send(nonce, &"\u{1f600}".repeat(5_000)).await.must_be(400);
    send(nonce, "good").await.must_be(200);
    let stranger = w.phone().await;
    let request = LogRequest { nonce: nonce.to_owned(), log: "mine".to_owned() };
    let proof = stranger.proof(&url, request).await;
    let body = json!({ "proof": proof }).to_string();
    w.wire.send(post(&url, JSON, body)).await.must_be(401);
}

/// Who is deleted signs on nowhere: not even where users without a device may pass.
#[tokio::test]
async fn a_deleted_user_ends_what_waits_for_the_phone_and_passes_nowhere() {
    let mut w = PushWorld::new(PushService::Fcm).await;
    w.ask_by_push(|_| {}).await;
    w.world.bank.require(&w.world.server, &[Step::Login, MFA_BYPASS]).await;
    let mut waiting = w.sign_in_elsewhere().await;
    assert_eq!(waiting.status(), "PUSH_CONFIRMATION_REQUIRED");
    let admin = w.world.administrator().await;
    admin.delete(&format!("/users/{}", w.world.bank.ann.id)).await.must_be(204);
    assert_eq!(waiting.refresh().await, "FAILED");
    assert!(w.world.audit_of("USER.ACCESS_ALLOWED").await.len() <= 1, "the pairing alone");
    let told = w.world.audit_of("DEVICE.DELETED").await;
    assert_eq!(told[0].entry.event.reason.as_deref(), Some("user_deleted"));
    assert!(w.phone.sdk.pending_notifications().await.unwrap_or_default().is_empty());
}
