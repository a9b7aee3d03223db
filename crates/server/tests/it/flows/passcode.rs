//! The action `otp.check`.

use countersign_domain::{
    lockout::Limit, mfa_settings::MfaSettings, sign_on_policy::NoDevicesMode,
};
use countersign_server::app::DeviceChange;

use crate::world::{MFA_BYPASS, PASSWORD, SignOn, Step, World};

on_both_engines!(
    a_passcode_passes_once,
    three_wrong_passcodes_lock_the_device_and_no_bypass_gets_around_it,
    wrong_passcodes_over_all_devices_lock_the_user,
    of_two_sign_ons_with_one_passcode_at_the_same_time_one_passes,
);

/// A sign-on that waits for a passcode.
async fn waiting(w: &World) -> SignOn {
    let mut sign_on = w.site().begin().await;
    sign_on.password("ann", PASSWORD).await.must_be(200);
    assert_eq!(sign_on.status(), "OTP_REQUIRED");
    sign_on
}

async fn is_wrong(sign_on: &mut SignOn, passcode: &str) {
    let answer = sign_on.passcode(passcode).await.must_be(400);
    let expected = ("INVALID_DATA", "INVALID_VALUE", "otp");
    let (code, detail, target) = answer.problem();
    assert_eq!((code.as_str(), detail.as_str(), target.as_str()), expected);
}

async fn a_passcode_passes_once(w: &mut World) {
    let phone = w.phone_paired_to("ann").await;
    let mut sign_on = waiting(w).await;
    sign_on.passcode(&phone.passcode()).await.must_be(200);
    sign_on.tokens().await;
    let mut again = waiting(w).await;
    is_wrong(&mut again, &phone.passcode()).await;
    w.advance(30);
    again.passcode(&phone.passcode()).await.must_be(200);
    again.tokens().await;
}

async fn three_wrong_passcodes_lock_the_device_and_no_bypass_gets_around_it(w: &mut World) {
    let phone = w.phone_paired_to("ann").await;
    let mut sign_on = waiting(w).await;
    is_wrong(&mut sign_on, &phone.wrong_passcode()).await;
    is_wrong(&mut sign_on, &phone.wrong_passcode()).await;
    sign_on.passcode(&phone.wrong_passcode()).await.must_be(200);
    assert_eq!(sign_on.status(), "FAILED");
    assert_eq!(sign_on.response("error_description"), "the device of the user is locked");
    let mut next = w.site().begin().await;
    next.password("ann", PASSWORD).await.must_be(200);
    assert_eq!(next.status(), "FAILED", "a locked device is not the same as none");
    w.advance(120);
    waiting(w).await.passcode(&phone.passcode()).await.must_be(200);
}

async fn wrong_passcodes_over_all_devices_lock_the_user(w: &mut World) {
    let first = w.phone_paired_to("ann").await;
    let second = w.phone().await;
    w.pair_beside(&first, &second, "ann").await;
    let lockout = Some(Limit { failures: 4, lock_seconds: 600 });
    let settings = MfaSettings { lockout, ..MfaSettings::default() };
    w.server.put_mfa_settings(w.bank.environment.id, settings).await.unwrap();
    let mut sign_on = waiting(w).await;
    let of_first = sign_on.flow["selectedDevice"].clone();
    // The third locks the first device, and the flow goes on with the second one.
    for _ in 0..3 {
        is_wrong(&mut sign_on, &first.wrong_passcode()).await;
    }
    sign_on.flow = sign_on.read().await.json();
    assert_eq!(sign_on.status(), "OTP_REQUIRED");
    assert_ne!(sign_on.flow["selectedDevice"], of_first);
    sign_on.passcode(&second.wrong_passcode()).await.must_be(200);
    assert_eq!(sign_on.status(), "FAILED");
    assert_eq!(sign_on.response("error_description"), "the MFA of the user is locked");
    w.advance(599);
    let mut next = w.site().begin().await;
    next.password("ann", PASSWORD).await.must_be(200);
    assert_eq!(next.status(), "FAILED");
    w.advance(1);
    waiting(w).await.passcode(&first.passcode()).await.must_be(200);
}

async fn of_two_sign_ons_with_one_passcode_at_the_same_time_one_passes(w: &mut World) {
    let phone = w.phone_paired_to("ann").await;
    let (mut one, mut other) = (waiting(w).await, waiting(w).await);
    let passcode = phone.passcode();
    let (one, other) = tokio::join!(one.passcode(&passcode), other.passcode(&passcode));
    let mut statuses = [one.status.as_u16(), other.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400]);
}

#[tokio::test]
async fn what_is_no_passcode_counts_as_a_wrong_one() {
    let w = World::new().await;
    let phone = w.phone_paired_to("ann").await;
    let mut sign_on = waiting(&w).await;
    is_wrong(&mut sign_on, "").await;
    is_wrong(&mut sign_on, "12345a").await;
    sign_on.passcode(&"1".repeat(10_000)).await.must_be(200);
    assert_eq!(sign_on.status(), "FAILED");
    w.advance(120);
    waiting(&w).await.passcode(&format!(" {} ", phone.passcode())).await.must_be(200);
}

#[tokio::test]
async fn a_device_that_is_blocked_meanwhile_fails_the_flow() {
    let w = World::new().await;
    let phone = w.phone_paired_to("ann").await;
    let mut sign_on = waiting(&w).await;
    let environment = w.bank.environment.id;
    let device = w.server.list_devices(environment, w.bank.ann.id).await.unwrap().remove(0);
    w.server.change_device(environment, device.id, DeviceChange::Block).await.unwrap();
    sign_on.passcode(&phone.passcode()).await.must_be(200);
    assert_eq!(sign_on.status(), "FAILED");
    assert_eq!(sign_on.response("error_description"), "the device of the user is blocked");
}

#[tokio::test]
async fn a_device_that_is_removed_meanwhile_is_as_if_it_had_never_been() {
    for (mode, status) in [(NoDevicesMode::Bypass, "COMPLETED"), (NoDevicesMode::Block, "FAILED")] {
        let mut w = World::new().await;
        let phone = w.phone_paired_to("ann").await;
        w.bank.require(&w.server, &[Step::Login, Step::Mfa(mode)]).await;
        let mut sign_on = waiting(&w).await;
        phone.sdk.unpair(None).await.unwrap();
        sign_on.passcode("123456").await.must_be(200);
        assert_eq!(sign_on.status(), status);
    }
}

#[tokio::test]
async fn passcodes_that_the_policy_switches_off_do_not_count() {
    let mut w = World::new().await;
    let phone = w.phone_paired_to("ann").await;
    w.bank.require(&w.server, &[Step::Login, MFA_BYPASS]).await;
    let mut sign_on = waiting(&w).await;
    let off = |policy: &mut countersign_domain::mfa_policy::MfaPolicy| {
        policy.mobile.applications[0].passcode_enabled = false;
    };
    w.bank.change_mfa_policy(&w.server, off).await;
    sign_on.passcode(&phone.passcode()).await.must_be(200);
    assert_eq!(sign_on.tokens().await.id_claims()["amr"], serde_json::json!(["pwd"]));
}
