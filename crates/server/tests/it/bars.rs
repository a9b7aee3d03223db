//! What bars a user or a device stays a bar, whatever else the policy lets pass (docs/adr/0007).

use countersign_domain::{lockout::Limit, mfa_policy::DeviceSelection, mfa_settings::MfaSettings};
use countersign_sdk::PairingOutcome;
use countersign_server::app::DeviceChange;
use serde_json::json;

use crate::world::{MFA_BYPASS, PASSWORD, Phone, SignOn, Step, World};

async fn block_only_device(w: &World) {
    let environment = w.bank.environment.id;
    let device = w.server.list_devices(environment, w.bank.ann.id).await.unwrap().remove(0);
    w.server.change_device(environment, device.id, DeviceChange::Block).await.unwrap();
}

/// A sign-on on the web site that waits for a passcode.
async fn waiting(w: &World) -> SignOn {
    let mut sign_on = w.site().begin().await;
    sign_on.password("ann", PASSWORD).await.must_be(200);
    assert_eq!(sign_on.status(), "OTP_REQUIRED");
    sign_on
}

async fn is_refused_on(w: &World, phone: &Phone) {
    let sign_on = w.sign_in_on(phone, "ann").await;
    assert_eq!(sign_on.status(), "FAILED");
    assert_eq!(sign_on.response("error"), "access_denied");
}

#[tokio::test]
async fn a_blocked_phone_does_not_lift_its_block_by_unpairing() {
    let w = World::new().await;
    let phone = w.phone_paired_to("ann").await;
    block_only_device(&w).await;
    phone.sdk.unpair(None).await.unwrap();
    let devices = w.server.list_devices(w.bank.environment.id, w.bank.ann.id).await.unwrap();
    assert_eq!(devices.len(), 1);
    is_refused_on(&w, &phone).await;
    is_refused_on(&w, &w.phone().await).await;
}

#[tokio::test]
async fn a_second_phone_is_not_enrolled_by_the_password_alone() {
    let mut w = World::new().await;
    w.phone_paired_to("ann").await;
    let off = |policy: &mut countersign_domain::mfa_policy::MfaPolicy| {
        policy.mobile.applications[0].passcode_enabled = false;
    };
    w.bank.change_mfa_policy(&w.server, off).await;
    let stranger = w.phone().await;
    let tokens = w.sign_in_on(&stranger, "ann").await.tokens().await;
    assert_eq!(tokens.id_claims()["amr"], json!(["pwd"]));
    assert!(stranger.sdk.process_id_token(&tokens.id_token).await.unwrap().is_none());
    assert_eq!(stranger.sdk.pairing_outcome(), PairingOutcome::Disabled);
}

#[tokio::test]
async fn a_lock_of_the_user_stops_sign_ons_that_already_wait() {
    let w = World::new().await;
    let phone = w.phone_paired_to("ann").await;
    let lockout = Some(Limit { failures: 1, lock_seconds: 600 });
    let settings = MfaSettings { lockout, ..MfaSettings::default() };
    w.server.put_mfa_settings(w.bank.environment.id, settings).await.unwrap();
    let (mut guessing, mut early) = (waiting(&w).await, waiting(&w).await);
    guessing.passcode(&phone.wrong_passcode()).await.must_be(200);
    assert_eq!(guessing.status(), "FAILED");
    early.passcode(&phone.passcode()).await.must_be(200);
    assert_eq!(early.status(), "FAILED", "a right passcode must not count during the lock");
    let mut later = w.site().begin().await;
    later.password("ann", PASSWORD).await.must_be(200);
    assert_eq!(later.response("error_description"), "the MFA of the user is locked");
}

#[tokio::test]
async fn a_sign_on_ends_after_an_hour_however_often_it_is_touched() {
    let w = World::new().await;
    let mut sign_on = w.site().begin().await;
    for _ in 0..5 {
        w.advance(700);
        sign_on.act("session.reset", &json!({})).await.must_be(200);
    }
    w.advance(100);
    sign_on.read().await.must_be(404);
}

#[tokio::test]
async fn a_mobile_payload_counts_for_a_quarter_of_an_hour_after_it_came() {
    let w = World::new().await;
    let phone = w.phone_paired_to("ann").await;
    for (seconds, status) in [(800, "COMPLETED"), (900, "OTP_REQUIRED")] {
        let payload = phone.sdk.generate_mobile_payload().await.unwrap();
        let request = w.app().request().with("mobilePayload", &payload);
        let mut sign_on = w.app().begin_with(request).await;
        w.advance(400);
        sign_on.act("session.reset", &json!({})).await.must_be(200);
        w.advance(seconds - 400);
        sign_on.password("ann", PASSWORD).await.must_be(200);
        assert_eq!(sign_on.status(), status, "after {seconds} s");
    }
}

#[tokio::test]
async fn who_has_only_named_a_user_learns_nothing_about_that_user_s_devices() {
    let mut w = World::new().await;
    w.phone_paired_to("ann").await;
    let ask = |policy: &mut countersign_domain::mfa_policy::MfaPolicy| {
        policy.device_selection = DeviceSelection::AlwaysDisplayDevices;
        policy.mobile.applications[0].device_authorization = None;
    };
    w.bank.change_mfa_policy(&w.server, ask).await;
    w.bank.require(&w.server, &[MFA_BYPASS, Step::Login]).await;
    let mut stranger = w.site().begin().await;
    stranger.act("user.lookup", &json!({ "username": "ann" })).await.must_be(200);
    assert_eq!(stranger.status(), "DEVICE_SELECTION_REQUIRED");
    let embedded = &stranger.flow["_embedded"];
    assert_eq!(embedded["user"], json!(null));
    assert_eq!(embedded["devices"][0]["model"]["name"], json!(null));
}

#[tokio::test]
async fn a_code_that_was_redeemed_is_not_given_again() {
    let w = World::new().await;
    let mut sign_on = w.app().begin().await;
    sign_on.password("ann", PASSWORD).await.must_be(200);
    let code = sign_on.code();
    assert_eq!(sign_on.read().await.json()["authorizeResponse"]["code"], json!(code));
    sign_on.tokens().await;
    let read = sign_on.read().await.json();
    assert_eq!((&read["status"], &read["authorizeResponse"]), (&json!("COMPLETED"), &json!(null)));
}

#[tokio::test]
async fn a_user_who_is_disabled_meanwhile_gets_no_tokens() {
    let w = World::new().await;
    let app = w.app();
    let code = app.code_for("ann").await;
    w.bank.disable_ann(&w.server).await;
    let answer = app.redeem(&app.token_request(&code)).await.must_be(400);
    assert_eq!(answer.json()["error"], json!("invalid_grant"));
}
