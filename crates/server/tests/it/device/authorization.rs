//! Automatic device authorization: a paired phone passes the MFA step by itself, as far as the policy lets it.

use countersign_domain::{
    mfa_policy::{DeviceAuthorization, ExtraVerification, MfaPolicy},
    sign_on_policy::NoDevicesMode,
};
use countersign_server::app::DeviceChange;
use serde_json::json;

use crate::world::{SignOn, Step, World};

on_both_engines!(a_paired_phone_passes_by_itself, a_mobile_payload_counts_once);

/// What a flow came to in which ann's phone vouches, under a changed policy that blocks who has no device.
async fn sign_on_under(change: fn(&mut MfaPolicy)) -> (World, SignOn) {
    let mut w = World::new().await;
    let phone = w.phone_paired_to("ann").await;
    w.bank.require(&w.server, &[Step::Login, Step::Mfa(NoDevicesMode::Block)]).await;
    w.bank.change_mfa_policy(&w.server, change).await;
    let sign_on = w.sign_in_on(&phone, "ann").await;
    (w, sign_on)
}

const fn extra(verification: Option<ExtraVerification>) -> DeviceAuthorization {
    DeviceAuthorization { extra_verification: verification }
}

async fn a_paired_phone_passes_by_itself(w: &mut World) {
    let phone = w.phone_paired_to("ann").await;
    let sign_on = w.sign_in_on(&phone, "ann").await;
    let claims = sign_on.tokens().await.id_claims();
    assert_eq!(claims["amr"], json!(["pwd", "swk", "mfa"]));
    assert_eq!(claims["countersign_pairing"], json!({ "status": "already_paired" }));
}

async fn a_mobile_payload_counts_once(w: &mut World) {
    let phone = w.phone_paired_to("ann").await;
    let payload = phone.sdk.generate_mobile_payload().await.unwrap();
    let mut app = w.app();
    let request = app.request().with("mobilePayload", &payload);
    app.authorize(&request).await;
    let answer = app.authorize(&request).await;
    let told = answer.returned("error_description").unwrap();
    assert_eq!(told, "mobilePayload: proof.jti was used already");
}

#[tokio::test]
async fn a_phone_alone_passes_where_the_policy_asks_for_nothing_else() {
    let mut w = World::new().await;
    let phone = w.phone_paired_to("ann").await;
    w.bank.require(&w.server, &[Step::Mfa(NoDevicesMode::Block)]).await;
    let payload = phone.sdk.generate_mobile_payload().await.unwrap();
    let request = w.app().request().with("mobilePayload", &payload).with("login_hint", "ann");
    let sign_on = w.app().begin_with(request).await;
    assert_eq!(sign_on.tokens().await.id_claims()["amr"], json!(["swk"]));
}

#[tokio::test]
async fn where_it_is_off_the_person_is_asked() {
    let off = |policy: &mut MfaPolicy| policy.mobile.applications[0].device_authorization = None;
    let (_w, sign_on) = Box::pin(sign_on_under(off)).await;
    assert_eq!(sign_on.status(), "OTP_REQUIRED");
}

#[tokio::test]
async fn permissive_verification_passes_a_phone_that_no_push_reaches() {
    let (_w, sign_on) = Box::pin(sign_on_under(|policy| {
        let permissive = Some(ExtraVerification::Permissive);
        policy.mobile.applications[0].device_authorization = Some(extra(permissive));
    }))
    .await;
    assert_eq!(sign_on.tokens().await.id_claims()["amr"], json!(["pwd", "swk", "mfa"]));
}

#[tokio::test]
async fn restrictive_verification_fails_a_phone_that_no_push_reaches() {
    let (_w, sign_on) = Box::pin(sign_on_under(|policy| {
        let restrictive = Some(ExtraVerification::Restrictive);
        policy.mobile.applications[0].device_authorization = Some(extra(restrictive));
    }))
    .await;
    assert_eq!(sign_on.status(), "FAILED");
    assert_eq!(sign_on.response("error_description"), "the device could not be verified");
}

#[tokio::test]
async fn a_blocked_phone_does_not_vouch_until_it_is_unblocked() {
    let w = World::new().await;
    let phone = w.phone_paired_to("ann").await;
    let environment = w.bank.environment.id;
    let device = w.server.list_devices(environment, w.bank.ann.id).await.unwrap().remove(0).id;
    w.server.change_device(environment, device, DeviceChange::Block).await.unwrap();
    let sign_on = w.sign_in_on(&phone, "ann").await;
    assert_eq!(sign_on.status(), "FAILED");
    assert_eq!(sign_on.response("error_description"), "the device of the user is blocked");
    w.server.change_device(environment, device, DeviceChange::Unblock).await.unwrap();
    w.sign_in_on(&phone, "ann").await.tokens().await;
}

#[tokio::test]
async fn a_phone_vouches_for_its_own_user_only() {
    let w = World::new().await;
    let phone = w.phone_paired_to("ann").await;
    w.user("bob").await;
    w.phone_paired_to("bob").await;
    let sign_on = w.sign_in_on(&phone, "bob").await;
    assert_eq!(sign_on.status(), "OTP_REQUIRED");
}

#[tokio::test]
async fn a_payload_that_does_not_count_is_never_taken_for_none() {
    let w = World::new().await;
    let phone = w.phone_paired_to("ann").await;
    let payload = phone.sdk.generate_mobile_payload().await.unwrap();
    let mut site = w.site();
    let answer = site.authorize(&site.request().with("mobilePayload", &payload)).await;
    let told = answer.returned("error_description").unwrap();
    assert_eq!(told, "mobilePayload: proof.app.id must equal client_id");
    w.advance(181);
    let mut app = w.app();
    let answer = app.authorize(&app.request().with("mobilePayload", &payload)).await;
    assert_eq!(answer.returned("error").as_deref(), Some("invalid_request"));
    let own_screens =
        app.request().with("mobilePayload", &payload).with("response_mode", "pi.flow");
    let answer = app.authorize(&own_screens).await.must_be(400);
    assert_eq!(answer.problem().2, "mobilePayload");
}
