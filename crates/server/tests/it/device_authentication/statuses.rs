//! Each status with exactly the actions that are possible in it, and each way to fail.

use countersign_domain::{
    device::Device,
    id::Id,
    lockout::Limit,
    mfa_policy::{DeviceSelection, MfaPolicy},
    mfa_settings::MfaSettings,
};
use countersign_server::app::DeviceChange;
use serde_json::{Value, json};

use crate::world::{Authentication, Phone, World};

on_both_engines!(a_passcode_completes_it, three_wrong_passcodes_lock_the_device);

async fn begun(w: &World) -> Authentication {
    w.backend().await.begin(&w.ann()).await
}

/// Ann with two phones.
async fn two_phones(w: &World) -> [Phone; 2] {
    let first = w.phone_paired_to("ann").await;
    let second = w.phone().await;
    w.pair_beside(&first, &second, "ann").await;
    [first, second]
}

async fn change(w: &mut World, change: impl FnOnce(&mut MfaPolicy)) {
    w.bank.change_mfa_policy(&w.server, change).await;
}

async fn change_device(w: &World, place: usize, change: DeviceChange) -> Id<Device> {
    let environment = w.bank.environment.id;
    let device = w.server.list_devices(environment, w.bank.ann.id).await.unwrap().remove(place);
    w.server.change_device(environment, device.id, change).await.unwrap();
    device.id
}

fn error_code(authentication: &Authentication) -> &str {
    assert_eq!(authentication.status(), "FAILED", "{}", authentication.shown);
    authentication.shown["error"]["code"].as_str().unwrap()
}

async fn a_passcode_completes_it(w: &mut World) {
    let phone = w.phone_paired_to("ann").await;
    let mut authentication = begun(w).await;
    assert_eq!(authentication.status(), "OTP_REQUIRED");
    authentication.passcode(&phone.passcode()).await.must_be(200);
    assert_eq!(authentication.status(), "COMPLETED");
    assert_eq!(authentication.refresh().await, "COMPLETED");
    // It is over, and the passcode has counted.
    let answer = authentication.passcode(&phone.passcode()).await.must_be(400);
    assert_eq!(answer.problem().0, "REQUEST_FAILED");
    let mut again = begun(w).await;
    let answer = again.passcode(&phone.passcode()).await.must_be(400);
    let expected = ["INVALID_DATA", "INVALID_VALUE", "otp"].map(str::to_owned);
    assert_eq!(<[String; 3]>::from(answer.problem()), expected);
    for (action, told) in [
        ("AUTHENTICATION.CREATED", 2),
        ("USER.ACCESS_ALLOWED", 2), // One of them of the sign-on in which the phone was paired.
        ("OTP.CHECK_SUCCESS", 1),
    ] {
        assert_eq!(w.audit_of(action).await.len(), told, "{action}");
    }
}

async fn three_wrong_passcodes_lock_the_device(w: &mut World) {
    let phone = w.phone_paired_to("ann").await;
    let mut authentication = begun(w).await;
    for _ in 0..2 {
        authentication.passcode(&phone.wrong_passcode()).await.must_be(400);
        assert_eq!(authentication.refresh().await, "OTP_REQUIRED");
    }
    authentication.passcode(&phone.wrong_passcode()).await.must_be(200);
    assert_eq!(error_code(&authentication), "DEVICE_LOCKED");
    let device = &authentication.shown["_embedded"]["devices"][0];
    assert_eq!(device["lock"]["status"], "LOCKED");
    let usable = json!({ "status": "DISABLED", "reason": "DEVICE_LOCKED" });
    assert_eq!(device["usableStatus"], usable);
    // A new one does not begin the count anew, not even with the right passcode.
    let next = begun(w).await;
    assert_eq!(error_code(&next), "DEVICE_LOCKED");
    w.advance(120);
    let mut last = begun(w).await;
    last.passcode(&phone.passcode()).await.must_be(200);
    assert_eq!(last.status(), "COMPLETED");
}

#[tokio::test]
async fn otp_required_asks_for_a_passcode_of_the_first_device() {
    let w = World::new().await;
    two_phones(&w).await;
    let authentication = begun(&w).await;
    assert_eq!(authentication.status(), "OTP_REQUIRED");
    assert_eq!(authentication.actions(), ["device.select", "otp.check"]);
    snapshot!("device_authentication_otp_required", &authentication.shown);
}

#[tokio::test]
async fn completed_says_how() {
    let w = World::new().await;
    let phone = w.phone_paired_to("ann").await;
    let mut authentication = begun(&w).await;
    w.advance(1);
    authentication.passcode(&phone.passcode()).await.must_be(200);
    assert_eq!(authentication.shown["authenticators"], json!(["otp"]));
    assert!(authentication.actions().is_empty());
    snapshot!("device_authentication_completed", &authentication.shown);
}

#[tokio::test]
async fn failed_says_why() {
    let w = World::new().await;
    let authentication = begun(&w).await;
    assert_eq!(error_code(&authentication), "NO_USABLE_DEVICES");
    assert!(authentication.actions().is_empty());
    snapshot!("device_authentication_failed", &authentication.shown);
}

#[tokio::test]
async fn device_selection_required_lists_what_can_be_chosen_and_what_cannot() {
    let mut w = World::new().await;
    let [first, second] = two_phones(&w).await;
    change(&mut w, |policy| policy.device_selection = DeviceSelection::AlwaysDisplayDevices).await;
    let blocked = change_device(&w, 1, DeviceChange::Block).await;
    let mut authentication = begun(&w).await;
    assert_eq!(authentication.status(), "DEVICE_SELECTION_REQUIRED");
    assert_eq!(authentication.actions(), ["device.select"]);
    let embedded = &authentication.shown["_embedded"];
    assert_eq!(embedded["blockedDevices"], json!([{ "id": blocked }]));
    snapshot!("device_authentication_device_selection_required", &authentication.shown);
    authentication.passcode(&second.passcode()).await.must_be(400);
    let barred = authentication.select(&blocked.to_string()).await.must_be(400);
    assert_eq!(barred.problem().2, "device.id");
    let usable = authentication.device(0).to_owned();
    authentication.select(&usable).await.must_be(200);
    assert_eq!(authentication.status(), "OTP_REQUIRED");
    assert_eq!(authentication.shown["selectedDevice"]["id"], usable.as_str());
    authentication.passcode(&first.passcode()).await.must_be(200);
    assert_eq!(authentication.status(), "COMPLETED");
    let told = w.audit_of("AUTHENTICATION.UPDATED").await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].entry.event.reason.as_deref(), Some("device_selected"));
}

#[tokio::test]
async fn whom_the_policy_refuses_fails_with_the_reason() {
    let mut w = World::new().await;
    let phone = w.phone_paired_to("ann").await;
    change_device(&w, 0, DeviceChange::Block).await;
    assert_eq!(error_code(&begun(&w).await), "DEVICE_BLOCKED");
    change_device(&w, 0, DeviceChange::Unblock).await;
    change(&mut w, |policy| policy.mobile.applications[0].passcode_enabled = false).await;
    let none = begun(&w).await;
    assert_eq!(error_code(&none), "NO_USABLE_DEVICES");
    let usable = &none.shown["_embedded"]["devices"][0]["usableStatus"];
    assert_eq!(*usable, json!({ "status": "DISABLED", "reason": "NO_USABLE_METHOD" }));
    change(&mut w, |policy| policy.mobile.applications[0].passcode_enabled = true).await;
    let lockout = Some(Limit { failures: 1, lock_seconds: 600 });
    let settings = MfaSettings { lockout, ..MfaSettings::default() };
    w.server.put_mfa_settings(w.bank.environment.id, settings).await.unwrap();
    let mut locked = begun(&w).await;
    locked.passcode(&phone.wrong_passcode()).await.must_be(200);
    assert_eq!(error_code(&locked), "USER_LOCKED");
    assert_eq!(error_code(&begun(&w).await), "USER_LOCKED");
    w.advance(600);
    assert_eq!(begun(&w).await.status(), "OTP_REQUIRED");
    w.bank.disable_ann(&w.server).await;
    assert_eq!(error_code(&begun(&w).await), "USER_LOCKED");
}

#[tokio::test]
async fn who_has_no_device_passes_under_no_policy() {
    // Not even where the sign-on policy lets such users pass: the worker has proved nothing to the platform.
    let w = World::new().await;
    for policy in [json!(w.bank.mfa_policy.id), Value::Null] {
        let mut wanted = w.ann();
        match policy {
            Value::Null => drop(wanted.as_object_mut().unwrap().remove("policy")),
            policy => wanted["policy"]["id"] = policy,
        }
        let authentication = w.backend().await.begin(&wanted).await;
        assert_eq!(error_code(&authentication), "NO_USABLE_DEVICES");
        assert_eq!(authentication.shown["bypassAllowed"], false);
    }
}

#[tokio::test]
async fn it_is_forgotten_when_nothing_happens() {
    let w = World::new().await;
    w.phone_paired_to("ann").await;
    let mut authentication = begun(&w).await;
    assert_eq!(authentication.shown["updatedAt"], "2026-01-05T09:00:30.000Z");
    w.advance(899);
    let device = authentication.device(0).to_owned();
    authentication.select(&device).await.must_be(200);
    w.advance(899);
    assert_eq!(authentication.refresh().await, "OTP_REQUIRED");
    assert_eq!(authentication.shown["createdAt"], "2026-01-05T09:00:30.000Z");
    assert_eq!(authentication.shown["updatedAt"], "2026-01-05T09:15:29.000Z");
    w.advance(1);
    assert_eq!(authentication.read().await.must_be(404).problem().0, "NOT_FOUND");
}
