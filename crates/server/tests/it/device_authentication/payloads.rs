//! Device authentication with a mobile payload: the phone passes by itself (platform API, section 10.6).

use countersign_domain::{mfa_policy::ExtraVerification, sign_on_policy::NoDevicesMode};
use countersign_protocol::mobile_payload::PushService;
use countersign_sdk::RemoteNotification;
use countersign_server::app::DeviceChange;
use countersign_store::Engine;
use serde_json::{Value, json};

use crate::world::{Answer, Phone, PushWorld, Step, World};

on_both_engines!(a_paired_phone_passes_at_once, a_payload_counts_once);

/// What a back end sends that got a payload of a phone.
async fn vouched(w: &World, phone: &Phone) -> Value {
    let mut wanted = w.ann();
    wanted["application"] = json!({ "id": w.bank.native.id });
    wanted["mobilePayload"] = phone.sdk.generate_mobile_payload().await.unwrap().into();
    wanted
}

#[track_caller]
fn is_refused(answer: Answer, words: &str) {
    let answer = answer.must_be(400);
    let told = ["INVALID_DATA", "INVALID_VALUE", "mobilePayload"].map(str::to_owned);
    assert_eq!(<[String; 3]>::from(answer.problem()), told);
    let message = answer.json()["details"][0]["message"].as_str().unwrap().to_owned();
    assert!(message.contains(words), "{message}");
}

async fn a_paired_phone_passes_at_once(w: &mut World) {
    let phone = w.phone_paired_to("ann").await;
    let authentication = w.backend().await.begin(&vouched(w, &phone).await).await;
    assert_eq!(authentication.status(), "COMPLETED");
    assert_eq!(authentication.shown["authenticators"], json!(["swk"]));
    assert_eq!(authentication.shown["application"]["id"], json!(w.bank.native.id));
    let told = w.audit_of("DEVICE_PAYLOAD.CHECK_SUCCESS").await;
    assert_eq!(told.len(), 1);
}

async fn a_payload_counts_once(w: &mut World) {
    let phone = w.phone_paired_to("ann").await;
    let (backend, wanted) = (w.backend().await, vouched(w, &phone).await);
    let (one, other) = tokio::join!(backend.ask(&wanted), backend.ask(&wanted));
    let mut statuses = [one.status.as_u16(), other.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 400]);
    is_refused(backend.ask(&wanted).await, "proof.jti was used already");
    let told = w.audit_of("DEVICE_PAYLOAD.CHECK_INVALID").await;
    assert_eq!(told.len(), 2);
    // Nor does one that has opened a sign-on.
    let spent = vouched(w, &phone).await;
    let payload = spent["mobilePayload"].as_str().unwrap();
    w.app().begin_with(w.app().request().with("mobilePayload", payload)).await;
    is_refused(backend.ask(&spent).await, "proof.jti was used already");
}

#[tokio::test]
async fn a_payload_that_does_not_count_is_never_taken_for_none() {
    let w = World::new().await;
    let phone = w.phone_paired_to("ann").await;
    let backend = w.backend().await;
    let mut other = vouched(&w, &phone).await;
    other["application"]["id"] = json!(w.bank.site.id);
    is_refused(backend.ask(&other).await, "proof.app.id must equal application.id");
    let mut broken = vouched(&w, &phone).await;
    broken["mobilePayload"] = "x".into();
    is_refused(backend.ask(&broken).await, "mobilePayload");
    let old = vouched(&w, &phone).await;
    w.advance(181);
    is_refused(backend.ask(&old).await, "mobilePayload");
    let elsewhere = phone.proof("https://other.example/as", payload_for_nobody()).await;
    let mut wanted = vouched(&w, &phone).await;
    wanted["mobilePayload"] = elsewhere.into();
    is_refused(backend.ask(&wanted).await, "mobilePayload");
}

/// Any other statement of the phone than a payload.
fn payload_for_nobody() -> countersign_protocol::device_api::InfoRequest {
    countersign_protocol::device_api::InfoRequest::default()
}

#[tokio::test]
async fn a_phone_vouches_for_its_own_user_only() {
    let w = World::new().await;
    let phone = w.phone_paired_to("ann").await;
    let bob = w.user("bob").await;
    let mut wanted = vouched(&w, &phone).await;
    wanted["user"]["id"] = json!(bob.id);
    let authentication = w.backend().await.begin(&wanted).await;
    assert_eq!(authentication.status(), "FAILED");
    assert_eq!(authentication.shown["error"]["code"], "NO_USABLE_DEVICES");
}

#[tokio::test]
async fn where_it_is_off_or_the_phone_is_blocked_the_person_is_asked_or_refused() {
    let mut w = World::new().await;
    let phone = w.phone_paired_to("ann").await;
    let backend = w.backend().await;
    let environment = w.bank.environment.id;
    let device = w.server.list_devices(environment, w.bank.ann.id).await.unwrap().remove(0).id;
    w.server.change_device(environment, device, DeviceChange::Block).await.unwrap();
    let blocked = backend.begin(&vouched(&w, &phone).await).await;
    assert_eq!(blocked.shown["error"]["code"], "DEVICE_BLOCKED");
    w.server.change_device(environment, device, DeviceChange::Unblock).await.unwrap();
    let off = |policy: &mut countersign_domain::mfa_policy::MfaPolicy| {
        policy.mobile.applications[0].device_authorization = None;
    };
    w.bank.change_mfa_policy(&w.server, off).await;
    let mut asked = backend.begin(&vouched(&w, &phone).await).await;
    assert_eq!(asked.status(), "OTP_REQUIRED");
    asked.passcode(&phone.passcode()).await.must_be(200);
    assert_eq!(asked.status(), "COMPLETED");
}

/// A world whose policy asks paired phones for an answer to a silent push.
async fn verifying(mode: ExtraVerification) -> PushWorld {
    let mut w = PushWorld::on(Engine::Sqlite, PushService::Fcm).await;
    let world = &mut w.world;
    world.bank.require(&world.server, &[Step::Login, Step::Mfa(NoDevicesMode::Block)]).await;
    world.verify_by_silent_push(mode).await;
    w
}

#[tokio::test]
async fn a_silent_push_is_answered_without_anybody_noticing() {
    let w = verifying(ExtraVerification::Restrictive).await;
    let wanted = vouched(&w.world, &w.phone).await;
    let mut authentication = w.world.backend().await.begin(&wanted).await;
    assert_eq!(authentication.status(), "PUSH_CONFIRMATION_REQUIRED");
    assert!(authentication.actions().is_empty());
    // Nobody is asked, so there is nothing to take back.
    authentication.cancel("DEFAULT").await.must_be(400);
    assert!(matches!(w.deliver().await, RemoteNotification::Silent));
    assert_eq!(authentication.refresh().await, "COMPLETED");
    assert_eq!(authentication.shown["authenticators"], json!(["swk", "mca"]));
}

#[tokio::test]
async fn a_silent_push_without_an_answer_passes_or_fails_as_the_policy_says() {
    for (mode, status) in
        [(ExtraVerification::Permissive, "COMPLETED"), (ExtraVerification::Restrictive, "FAILED")]
    {
        let w = verifying(mode).await;
        let wanted = vouched(&w.world, &w.phone).await;
        let mut authentication = w.world.backend().await.begin(&wanted).await;
        w.world.advance(20);
        assert_eq!(authentication.refresh().await, status);
        if status == "FAILED" {
            assert_eq!(authentication.shown["error"]["code"], "EXTRA_VERIFICATION_FAILED");
        }
    }
}
