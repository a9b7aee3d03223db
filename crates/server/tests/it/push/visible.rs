//! Questions to the person: approved, denied, matched by a number, withdrawn, left without an answer.

use countersign_domain::{application::NumberMatchingKind, mfa_policy::DeviceSelection};
use countersign_protocol::{
    challenge::ChallengesRequest, device_api::DeviceRequest, mobile_payload::PushService,
    secret::Secret,
};
use countersign_sdk::{
    DenyReason, Error, NotificationObject, NumberMatchingType, RemoteNotification,
};
use countersign_store::Engine;
use serde_json::json;

use crate::world::{JSON, PushWorld, SignOn, claims, post};

async fn asking() -> PushWorld {
    let mut w = PushWorld::new(PushService::Fcm).await;
    w.ask_by_push(|_| {}).await;
    w
}

/// A world in which a number must come back.
async fn matching(kind: NumberMatchingKind) -> PushWorld {
    let mut w = PushWorld::new(PushService::Apns).await;
    w.ask_by_push(|rules| rules.number_matching = true).await;
    w.world.change_native(|native| native.mobile.as_mut().unwrap().number_matching = kind).await;
    w
}

async fn asked(w: &PushWorld) -> (SignOn, NotificationObject) {
    let sign_on = w.sign_in_elsewhere().await;
    assert_eq!(sign_on.status(), "PUSH_CONFIRMATION_REQUIRED", "{}", sign_on.flow);
    let question = w.question().await;
    (sign_on, question)
}

fn number(sign_on: &SignOn) -> u32 {
    sign_on.flow["numberMatching"]["number"].as_str().unwrap().parse().unwrap()
}

async fn a_person_approves(engine: Engine) {
    let mut w = PushWorld::on(engine, PushService::Apns).await;
    w.ask_by_push(|rules| rules.timeout_seconds = 60).await;
    let (mut sign_on, question) = asked(&w).await;
    assert_eq!(question.user().username.as_deref(), Some("ann"));
    assert_eq!(question.application(), "Bank app");
    assert_eq!(question.title(), "Sign in?");
    assert_eq!(question.number_matching_type(), None);
    assert_eq!(question.timeout_duration(), 60);
    question.approve("fpt", None).await.unwrap();
    assert_eq!(sign_on.refresh().await, "COMPLETED");
    let claims = sign_on.tokens().await.id_claims();
    assert_eq!(claims["amr"], json!(["pwd", "swk", "mca", "fpt", "mfa"]));
    w.world.end().await;
}

#[tokio::test]
async fn a_person_approves_on_sqlite() {
    a_person_approves(Engine::Sqlite).await;
}

#[tokio::test]
async fn a_person_approves_on_postgres() {
    if !crate::database::is_skipped(Engine::Postgres) {
        a_person_approves(Engine::Postgres).await;
    }
}

#[tokio::test]
async fn the_message_itself_names_nobody() {
    let w = asking().await;
    w.sign_in_elsewhere().await;
    let text = w.message().await.sent.to_string();
    for secret in ["ann", "Ann", "Bank", "lee"] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[tokio::test]
async fn each_way_to_say_no_ends_the_sign_on_and_is_told() {
    for (reason, action, told) in [
        (DenyReason::None, "NOTIFICATION.REJECTED", "denied_by_user"),
        (DenyReason::BiometricsRejected, "NOTIFICATION.REJECTED", "biometrics_rejected"),
        (DenyReason::ReportFraud, "DEVICE.FRAUD_REPORTED", "fraud_reported"),
    ] {
        let w = asking().await;
        let (mut sign_on, question) = asked(&w).await;
        question.deny(reason).await.unwrap();
        assert_eq!(sign_on.refresh().await, "FAILED");
        assert_eq!(sign_on.response("error"), "access_denied");
        let records = w.world.audit_of(action).await;
        assert_eq!(records[0].entry.event.reason.as_deref(), Some(told));
    }
}

#[tokio::test]
async fn a_number_that_is_picked_must_be_the_one_on_the_page() {
    let w = matching(NumberMatchingKind::SelectNumber).await;
    let (mut sign_on, question) = asked(&w).await;
    assert_eq!(question.number_matching_type(), Some(NumberMatchingType::SelectNumber));
    let right = number(&sign_on);
    assert!(question.number_matching_options().contains(&right));
    assert_eq!(question.number_matching_options().len(), 3);
    question.approve("user", Some(right)).await.unwrap();
    assert_eq!(sign_on.refresh().await, "COMPLETED");
}

#[tokio::test]
async fn a_number_that_is_typed_never_travels_to_the_phone() {
    let w = matching(NumberMatchingKind::EnterManually).await;
    let mut sign_on = w.sign_in_elsewhere().await;
    let shown = sign_on.flow["numberMatching"]["number"].as_str().unwrap().to_owned();
    assert_eq!(shown.len(), 6);
    let question = w.question().await;
    assert!(question.number_matching_options().is_empty());
    // Nor is it in what the phone was told.
    let address = ChallengesRequest::address(&w.world.url("/device/v1"));
    let proof = w.phone.proof(&address, ChallengesRequest::default()).await;
    let body = json!({ "proof": proof }).to_string();
    let told = w.world.wire.send(post(&address, JSON, body)).await.must_be(200).json();
    let statement = claims(told["challenges"][0]["statement"].as_str().unwrap());
    assert_eq!(statement["number_matching"], json!({ "type": "ENTER_MANUALLY", "digits": 6 }));
    assert!(!statement.to_string().contains(&shown));
    question.approve("user", Some(shown.parse().unwrap())).await.unwrap();
    assert_eq!(sign_on.refresh().await, "COMPLETED");
}

#[tokio::test]
async fn one_wrong_number_ends_it() {
    let w = matching(NumberMatchingKind::EnterManually).await;
    let (mut sign_on, question) = asked(&w).await;
    let wrong = (number(&sign_on) + 1) % 1_000_000;
    let refused = question.approve("user", Some(wrong)).await;
    assert!(matches!(refused, Err(Error::WrongNumber)), "{refused:?}");
    assert_eq!(sign_on.refresh().await, "FAILED");
    let again = w.phone.sdk.pending_notifications().await.unwrap();
    assert!(again.is_empty());
    let records = w.world.audit_of("NOTIFICATION.REJECTED").await;
    assert_eq!(records[0].entry.event.reason.as_deref(), Some("wrong_number"));
}

#[tokio::test]
async fn a_lost_push_is_made_up_for_by_looking() {
    let w = asking().await;
    let mut sign_on = w.sign_in_elsewhere().await;
    let found = w.phone.sdk.pending_notifications().await.unwrap();
    found[0].approve("face", None).await.unwrap();
    assert_eq!(sign_on.refresh().await, "COMPLETED");
}

#[tokio::test]
async fn without_an_answer_the_person_can_ask_again_or_give_a_passcode() {
    let w = asking().await;
    let (mut sign_on, late) = asked(&w).await;
    w.world.advance(40);
    assert_eq!(sign_on.refresh().await, "PUSH_CONFIRMATION_TIMED_OUT");
    let refused = late.approve("fpt", None).await;
    assert!(matches!(refused, Err(Error::ChallengeExpired { .. })), "{refused:?}");
    let device = sign_on.flow["selectedDevice"]["id"].clone();
    sign_on.act("device.select", &json!({ "device": { "id": device } })).await.must_be(200);
    assert_eq!(sign_on.status(), "PUSH_CONFIRMATION_REQUIRED");
    w.world.advance(40);
    assert_eq!(sign_on.refresh().await, "PUSH_CONFIRMATION_TIMED_OUT");
    sign_on.passcode(&w.phone.passcode()).await.must_be(200);
    assert_eq!(sign_on.status(), "COMPLETED");
    assert_eq!(sign_on.tokens().await.id_claims()["amr"], json!(["pwd", "otp", "mfa"]));
}

#[tokio::test]
async fn a_passcode_instead_withdraws_the_question() {
    let w = asking().await;
    let (mut sign_on, question) = asked(&w).await;
    sign_on.passcode(&w.phone.passcode()).await.must_be(200);
    assert_eq!(sign_on.status(), "COMPLETED");
    let refused = question.approve("fpt", None).await;
    assert!(matches!(refused, Err(Error::ChallengeCancelled { .. })), "{refused:?}");
    let RemoteNotification::Cancelled { id } = w.deliver().await else { panic!("not cancelled") };
    assert_eq!(id, question.challenge());
}

#[tokio::test]
async fn a_wrong_passcode_is_refused_whether_the_question_waits_or_not() {
    let w = asking().await;
    let (mut sign_on, question) = asked(&w).await;
    let told = sign_on.passcode(&w.phone.wrong_passcode()).await.must_be(400).problem();
    assert_eq!(told.2, "otp");
    question.approve("fpt", None).await.unwrap();
    let (mut sign_on, _) = asked(&w).await;
    w.world.advance(40);
    assert_eq!(sign_on.refresh().await, "PUSH_CONFIRMATION_TIMED_OUT");
    sign_on.passcode(&w.phone.wrong_passcode()).await.must_be(400);
}

#[tokio::test]
async fn the_person_can_change_to_another_device_and_the_phone_is_told() {
    let mut w = asking().await;
    w.world
        .bank
        .change_mfa_policy(&w.world.server, |policy| {
            policy.device_selection = DeviceSelection::DefaultToFirst;
        })
        .await;
    let (mut sign_on, question) = asked(&w).await;
    sign_on
        .act("cancel.push.authentication", &json!({ "reason": "CHANGE_DEVICE" }))
        .await
        .must_be(200);
    assert_eq!(sign_on.status(), "DEVICE_SELECTION_REQUIRED");
    assert!(matches!(w.deliver().await, RemoteNotification::Cancelled { .. }));
    assert!(question.approve("fpt", None).await.is_err());
}

#[tokio::test]
async fn a_user_is_asked_one_question_at_a_time_by_an_app() {
    let w = asking().await;
    let (mut first, old) = asked(&w).await;
    let mut second = w.sign_in_elsewhere().await;
    let pending = w.phone.sdk.pending_notifications().await.unwrap();
    assert_eq!(pending.len(), 1);
    assert!(old.approve("fpt", None).await.is_err());
    assert_eq!(first.refresh().await, "PUSH_CONFIRMATION_TIMED_OUT");
    pending[0].approve("fpt", None).await.unwrap();
    assert_eq!(second.refresh().await, "COMPLETED");
    assert_eq!(first.refresh().await, "PUSH_CONFIRMATION_TIMED_OUT");
}

#[tokio::test]
async fn too_many_questions_without_a_yes_stop_pushes_for_a_while() {
    let mut w = asking().await;
    w.ask_by_push(|rules| rules.limit.count = 3).await;
    for _ in 0..3 {
        let (_, question) = asked(&w).await;
        question.deny(DenyReason::None).await.unwrap();
    }
    let stopped = w.world.audit_of("USER.PUSHES_STOPPED").await;
    assert_eq!(stopped.len(), 1);
    // Another way remains where the policy has one.
    let sign_on = w.sign_in_elsewhere().await;
    assert_eq!(sign_on.status(), "OTP_REQUIRED");
    w.world
        .bank
        .change_mfa_policy(&w.world.server, |policy| {
            policy.mobile.applications[0].passcode_enabled = false;
        })
        .await;
    // And where there is none, nobody passes for it, although who has no device would.
    let sign_on = w.sign_in_elsewhere().await;
    assert_eq!(sign_on.status(), "FAILED");
    assert_eq!(sign_on.response("error_description"), "the user was asked too often");
    w.world.advance(1_800);
    assert_eq!(w.sign_in_elsewhere().await.status(), "PUSH_CONFIRMATION_REQUIRED");
}

#[tokio::test]
async fn a_yes_begins_the_count_anew() {
    let mut w = asking().await;
    w.ask_by_push(|rules| rules.limit.count = 2).await;
    for _ in 0..3 {
        let (_, question) = asked(&w).await;
        question.deny(DenyReason::None).await.unwrap();
        let (_, question) = asked(&w).await;
        question.approve("fpt", None).await.unwrap();
    }
}

#[tokio::test]
async fn denied_questions_lock_the_account_with_wrong_passcodes_together() {
    let w = asking().await;
    w.world.lock_accounts_after(2).await;
    for _ in 0..2 {
        let (_, question) = asked(&w).await;
        question.deny(DenyReason::None).await.unwrap();
    }
    let sign_on = w.sign_in_elsewhere().await;
    assert_eq!(sign_on.status(), "FAILED");
    assert_eq!(sign_on.response("error_description"), "the MFA of the user is locked");
}

#[tokio::test]
async fn reported_fraud_ends_all_questions_of_the_user() {
    let mut w = asking().await;
    w.ask_by_push(|_| {}).await;
    let (mut sign_on, question) = asked(&w).await;
    question.deny(DenyReason::ReportFraud).await.unwrap();
    assert_eq!(sign_on.refresh().await, "FAILED");
    assert!(w.phone.sdk.pending_notifications().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_phone_without_a_push_service_is_asked_where_it_waits() {
    let w = PushWorld::new(PushService::Fcm).await;
    let mut w = w;
    w.ask_by_push(|_| {}).await;
    w.phone.sdk.set_device_token(PushService::Direct, "", None).await.unwrap();
    let sdk = w.phone.sdk.clone();
    let waits = tokio::spawn(async move { sdk.wait_for_notifications(20).await.unwrap() });
    let mut sign_on = w.sign_in_elsewhere().await;
    let mut brought = waits.await.unwrap();
    let Some(RemoteNotification::Notification(question)) = brought.pop() else {
        panic!("not a question: {brought:?}")
    };
    question.approve("pin", None).await.unwrap();
    assert_eq!(sign_on.refresh().await, "COMPLETED");
    // No push service has been asked.
    assert!(!w.services.has_message(PushService::Fcm, &w.token));
}

/// A question that waits while an administrator sets another password.
async fn outdated() -> (PushWorld, SignOn, NotificationObject) {
    let w = asking().await;
    let (sign_on, question) = asked(&w).await;
    w.world.advance(1);
    let new = Secret::new("pear tram lantern".to_owned());
    let (environment, ann) = (w.world.bank.environment.id, w.world.bank.ann.id);
    w.world.server.set_password(environment, ann, &new).await.unwrap();
    (w, sign_on, question)
}

#[tokio::test]
async fn an_approval_does_not_make_up_for_a_password_that_was_set_anew() {
    let (_w, mut sign_on, question) = outdated().await;
    question.approve("fpt", None).await.unwrap();
    assert_eq!(sign_on.refresh().await, "USERNAME_PASSWORD_REQUIRED");
    sign_on.password("ann", "pear tram lantern").await.must_be(200);
    assert_eq!(sign_on.status(), "PUSH_CONFIRMATION_REQUIRED");
}

#[tokio::test]
async fn no_is_no_though_the_password_was_set_anew() {
    let (_w, mut sign_on, question) = outdated().await;
    question.deny(DenyReason::None).await.unwrap();
    assert_eq!(sign_on.refresh().await, "FAILED");
}
