//! Questions to the person: approved, denied, matched by a number, taken back, left without an answer.

use countersign_protocol::{challenge::Origin, mobile_payload::PushService};
use countersign_sdk::{DenyReason, NotificationObject, RemoteNotification};
use countersign_store::Engine;
use serde_json::json;

use crate::world::{Authentication, PushWorld};

async fn asking() -> PushWorld {
    let mut w = PushWorld::new(PushService::Fcm).await;
    w.ask_by_push(|_| {}).await;
    w
}

async fn asked(w: &PushWorld) -> (Authentication, NotificationObject) {
    let authentication = w.world.backend().await.begin(&w.world.ann()).await;
    assert_eq!(authentication.status(), "PUSH_CONFIRMATION_REQUIRED", "{}", authentication.shown);
    (authentication, w.question().await)
}

async fn a_person_approves(engine: Engine) {
    let mut w = PushWorld::on(engine, PushService::Apns).await;
    w.ask_by_push(|rules| rules.number_matching = true).await;
    let (mut authentication, question) = asked(&w).await;
    assert_eq!(authentication.actions(), ["cancel.push.authentication", "otp.check"]);
    let number = authentication.shown["numberMatching"]["number"].as_str().unwrap();
    let number = number.parse().unwrap();
    assert!(question.number_matching_options().contains(&number));
    assert_eq!(question.user().username.as_deref(), Some("ann"));
    question.approve("fpt", Some(number)).await.unwrap();
    assert_eq!(authentication.refresh().await, "COMPLETED");
    assert_eq!(authentication.shown["authenticators"], json!(["swk", "mca", "fpt"]));
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
async fn push_confirmation_required_shows_the_number_to_match() {
    let mut w = asking().await;
    w.ask_by_push(|rules| rules.number_matching = true).await;
    let mut authentication = w.world.backend().await.begin(&w.world.ann()).await;
    // The number is drawn anew whenever the test is set up differently.
    assert_eq!(authentication.shown["numberMatching"]["number"].as_str().unwrap().len(), 2);
    authentication.shown["numberMatching"]["number"] = "<number>".into();
    snapshot!("device_authentication_push_confirmation_required", &authentication.shown);
}

#[tokio::test]
async fn a_back_end_that_waits_is_told_at_once() {
    let w = asking().await;
    let (mut authentication, question) = asked(&w).await;
    let (status, approved) = tokio::join!(authentication.wait(30), question.approve("user", None));
    approved.unwrap();
    assert_eq!(status, "COMPLETED");
}

#[tokio::test]
async fn whoever_says_no_ends_it() {
    let w = asking().await;
    let (mut authentication, question) = asked(&w).await;
    question.deny(DenyReason::None).await.unwrap();
    assert_eq!(authentication.refresh().await, "FAILED");
    assert_eq!(authentication.shown["error"]["code"], "PUSH_DENIED");
}

#[tokio::test]
async fn without_an_answer_it_can_be_asked_again_or_proved_by_passcode() {
    let w = asking().await;
    let (mut authentication, _) = asked(&w).await;
    w.world.advance(39);
    assert_eq!(authentication.refresh().await, "PUSH_CONFIRMATION_REQUIRED");
    w.world.advance(1);
    assert_eq!(authentication.refresh().await, "PUSH_CONFIRMATION_TIMED_OUT");
    assert_eq!(authentication.actions(), ["device.select", "otp.check"]);
    let device = authentication.device(0).to_owned();
    authentication.select(&device).await.must_be(200);
    assert_eq!(authentication.status(), "PUSH_CONFIRMATION_REQUIRED");
    authentication.passcode(&w.phone.wrong_passcode()).await.must_be(400);
    authentication.passcode(&w.phone.passcode()).await.must_be(200);
    assert_eq!(authentication.status(), "COMPLETED");
    assert_eq!(authentication.shown["authenticators"], json!(["otp"]));
}

#[tokio::test]
async fn a_question_that_is_taken_back_is_taken_off_the_phone() {
    for (reason, word) in [
        ("CHANGE_DEVICE", "change_device"),
        ("SIGNOUT", "signout"),
        ("ADD_DEVICE", "add_device"),
        ("DEFAULT", "default"),
    ] {
        let w = asking().await;
        let (mut authentication, question) = asked(&w).await;
        authentication.cancel(reason).await.must_be(200);
        assert_eq!(authentication.status(), "DEVICE_SELECTION_REQUIRED");
        let told = w.deliver().await;
        assert!(matches!(told, RemoteNotification::Cancelled { .. }), "{told:?}");
        // An answer to what nobody asks any more does not count.
        assert!(question.approve("user", None).await.is_err());
        assert_eq!(authentication.refresh().await, "DEVICE_SELECTION_REQUIRED");
        let told = w.world.audit_of("AUTHENTICATION.UPDATED").await;
        assert_eq!(told[0].entry.event.reason.as_deref(), Some(word));
        authentication.cancel(reason).await.must_be(400);
    }
}

#[tokio::test]
async fn the_words_and_the_context_of_the_back_end_are_shown() {
    let w = asking().await;
    let mut wanted = w.world.ann();
    wanted["application"] = json!({ "id": w.world.bank.site.id });
    wanted["clientContext"] = json!({ "of": "the whole" });
    wanted["notification"] = json!({
        "template": { "name": "transaction", "variables": { "amount": "10.00", "currency": "EUR" } },
        "clientContext": { "amount": "10.00" },
    });
    w.world.backend().await.begin(&wanted).await;
    let question = w.question().await;
    assert_eq!(question.application(), "Bank site");
    assert!(question.message().contains("10.00"), "{}", question.message());
    assert_eq!(question.client_context(), Some(r#"{"amount":"10.00"}"#));
    // Where the back end is says nothing of where the person is.
    assert_eq!(*question.origin(), Origin::default());
    // Without one for the notification, that of the whole is shown.
    wanted["notification"].as_object_mut().unwrap().remove("clientContext");
    w.world.backend().await.begin(&wanted).await;
    // First comes word that the one before is over.
    assert!(matches!(w.deliver().await, RemoteNotification::Cancelled { .. }));
    assert_eq!(w.question().await.client_context(), Some(r#"{"of":"the whole"}"#));
}

#[tokio::test]
async fn who_says_no_too_often_is_asked_no_more() {
    let mut w = asking().await;
    w.ask_by_push(|rules| {
        rules.limit.count = 1;
        rules.limit.lock_seconds = 600;
    })
    .await;
    let (_, question) = asked(&w).await;
    question.deny(DenyReason::None).await.unwrap();
    let backend = w.world.backend().await;
    assert_eq!(backend.begin(&w.world.ann()).await.status(), "OTP_REQUIRED");
    w.world
        .bank
        .change_mfa_policy(&w.world.server, |policy| {
            policy.mobile.applications[0].passcode_enabled = false;
        })
        .await;
    let stopped = backend.begin(&w.world.ann()).await;
    assert_eq!(stopped.shown["error"]["code"], "PUSH_LIMIT_REACHED");
    let usable = &stopped.shown["_embedded"]["devices"][0]["usableStatus"];
    assert_eq!(*usable, json!({ "status": "DISABLED", "reason": "PUSH_LIMIT_REACHED" }));
}
