//! Answers that must not count: replayed, by another key, about something else, late, or from another tenant.

use countersign_domain::mfa_policy::ExtraVerification;
use countersign_protocol::{
    challenge::{Acknowledgement, Approval, ChallengeRequest, Refusal, RefusalReason, ShownHash},
    mobile_payload::PushService,
    proof::Proof,
    push::{Hint, PushMessage, PushNonce},
};
use countersign_sdk::DenyReason;
use serde_json::json;

use crate::world::{Answer, JSON, Phone, PushWorld, SignOn, post};

async fn asking() -> PushWorld {
    let mut w = PushWorld::new(PushService::Fcm).await;
    w.ask_by_push(|_| {}).await;
    w
}

async fn verifying() -> PushWorld {
    let mut w = PushWorld::new(PushService::Fcm).await;
    w.world.verify_by_silent_push(ExtraVerification::Restrictive).await;
    w
}

async fn send(w: &PushWorld, address: &str, proof: &str) -> Answer {
    let body = json!({ "proof": proof }).to_string();
    w.world.wire.send(post(address, JSON, body)).await
}

/// Posts an answer of this kind, signed by the possession key of a phone.
async fn answer<C: ChallengeRequest + Proof>(
    w: &PushWorld,
    phone: &Phone,
    challenge: &str,
    body: C,
) -> Answer {
    let address = C::address(&w.world.url("/device/v1"), challenge);
    let proof = phone.proof(&address, body).await;
    send(w, &address, &proof).await
}

async fn question(w: &PushWorld) -> (SignOn, String) {
    let sign_on = w.sign_in_elsewhere().await;
    let message = w.message().await;
    let Some(PushMessage { hint: Hint::Challenge { id }, .. }) =
        PushMessage::find(&message.delivered)
    else {
        panic!("not a question")
    };
    (sign_on, id)
}

async fn silent(w: &PushWorld) -> (SignOn, String, PushNonce) {
    let sign_on = w.world.sign_in_on(&w.phone, "ann").await;
    let message = w.message().await;
    let Some(PushMessage { hint: Hint::Silent { id, nonce }, .. }) =
        PushMessage::find(&message.delivered)
    else {
        panic!("not silent")
    };
    (sign_on, id, nonce)
}

#[tokio::test]
async fn an_approval_by_the_key_that_asks_nobody_does_not_count() {
    let w = asking().await;
    let (mut sign_on, id) = question(&w).await;
    let approval = Approval { shown: ShownHash::of(b"{}"), method: "fpt".to_owned(), number: None };
    answer(&w, &w.phone, &id, approval).await.must_be(400);
    assert_eq!(sign_on.refresh().await, "PUSH_CONFIRMATION_REQUIRED");
}

#[tokio::test]
async fn an_approval_of_something_else_than_was_asked_does_not_count() {
    let w = asking().await;
    let (mut sign_on, id) = question(&w).await;
    let approval = Approval { shown: ShownHash::of(b"{}"), method: "fpt".to_owned(), number: None };
    let address = Approval::address(&w.world.url("/device/v1"), &id);
    let proof = w.phone.verified_proof(&address, approval).await;
    let problem = send(&w, &address, &proof).await.must_be(400).problem();
    assert_eq!(problem.2, "proof.shown");
    assert_eq!(sign_on.refresh().await, "PUSH_CONFIRMATION_REQUIRED");
}

#[tokio::test]
async fn the_phone_of_somebody_else_answers_nothing() {
    let w = asking().await;
    w.world.user("bob").await;
    let (bob, _) = w.another("bob").await;
    let (mut sign_on, id) = question(&w).await;
    let deny = Refusal { reason: RefusalReason::None };
    let told = answer(&w, &bob, &id, deny).await.must_be(400).json();
    assert_eq!(told["details"][0]["code"], "CHALLENGE_INVALID");
    // Nor does it learn whether there is such a question.
    let none = "019c0000-0000-7000-8000-000000000000";
    let same = answer(&w, &bob, none, Refusal { reason: RefusalReason::None }).await.json();
    assert_eq!(same["details"][0]["code"], "CHALLENGE_INVALID");
    assert_eq!(same["message"], told["message"]);
    assert_eq!(sign_on.refresh().await, "PUSH_CONFIRMATION_REQUIRED");
}

#[tokio::test]
async fn an_answer_for_one_question_does_not_count_for_another_or_for_the_opposite() {
    let w = asking().await;
    let (_, id) = question(&w).await;
    let base = w.world.url("/device/v1");
    let deny = w.phone.proof(&Refusal::address(&base, &id), Refusal::default()).await;
    let other = "019c0000-0000-7000-8000-000000000000";
    for address in [
        Refusal::address(&base, other),
        Approval::address(&base, &id),
        Acknowledgement::address(&base, &id),
        format!("{base}/challenges"),
        format!("{base}/info"),
    ] {
        send(&w, &address, &deny).await.must_be_refused();
    }
}

#[tokio::test]
async fn an_acknowledgement_needs_the_nonce_of_the_message() {
    let w = verifying().await;
    let (mut sign_on, id, nonce) = silent(&w).await;
    let wrong = Acknowledgement { nonce: PushNonce::from_bytes([7; 16]) };
    let told = answer(&w, &w.phone, &id, wrong).await.must_be(400).problem();
    assert_eq!(told.2, "proof.nonce");
    assert_eq!(sign_on.refresh().await, "PUSH_CONFIRMATION_REQUIRED");
    answer(&w, &w.phone, &id, Acknowledgement { nonce }).await.must_be(200);
    assert_eq!(sign_on.refresh().await, "COMPLETED");
}

#[tokio::test]
async fn the_nonce_of_one_message_does_not_acknowledge_another() {
    let w = verifying().await;
    let (_, _, first) = silent(&w).await;
    let (mut sign_on, id, _) = silent(&w).await;
    answer(&w, &w.phone, &id, Acknowledgement { nonce: first }).await.must_be(400);
    assert_eq!(sign_on.refresh().await, "PUSH_CONFIRMATION_REQUIRED");
}

#[tokio::test]
async fn somebody_with_the_nonce_but_without_the_key_acknowledges_nothing() {
    let w = verifying().await;
    w.world.user("bob").await;
    let (bob, _) = w.another("bob").await;
    let (mut sign_on, id, nonce) = silent(&w).await;
    answer(&w, &bob, &id, Acknowledgement { nonce }).await.must_be(400);
    assert_eq!(sign_on.refresh().await, "PUSH_CONFIRMATION_REQUIRED");
}

#[tokio::test]
async fn pulling_does_not_give_the_nonce_to_a_phone_that_has_a_push_service() {
    let w = verifying().await;
    silent(&w).await;
    let brought = w.phone.sdk.wait_for_notifications(0).await.unwrap();
    assert!(brought.is_empty(), "{brought:?}");
}

#[tokio::test]
async fn a_late_acknowledgement_changes_nothing() {
    let w = verifying().await;
    let (mut sign_on, id, nonce) = silent(&w).await;
    w.world.advance(20);
    let told = answer(&w, &w.phone, &id, Acknowledgement { nonce }).await.must_be(400).json();
    assert_eq!(told["details"][0]["code"], "CHALLENGE_EXPIRED");
    assert_eq!(sign_on.refresh().await, "FAILED");
}

#[tokio::test]
async fn the_same_answer_again_has_no_second_effect() {
    let w = asking().await;
    let (mut sign_on, id) = question(&w).await;
    let address = Refusal::address(&w.world.url("/device/v1"), &id);
    let proof = w.phone.proof(&address, Refusal::default()).await;
    let first = send(&w, &address, &proof).await.must_be(200).json();
    let again = send(&w, &address, &proof).await.must_be(200).json();
    assert_eq!(first, again);
    assert_eq!(sign_on.refresh().await, "FAILED");
    assert_eq!(w.world.audit_of("NOTIFICATION.REJECTED").await.len(), 1);
}

#[tokio::test]
async fn of_yes_and_no_at_once_one_counts() {
    for _ in 0..10 {
        let w = asking().await;
        let mut sign_on = w.sign_in_elsewhere().await;
        let yes = w.question().await;
        let no = w.phone.sdk.pending_notifications().await.unwrap().remove(0);
        let (yes, no) = tokio::join!(yes.approve("fpt", None), no.deny(DenyReason::None));
        assert!(yes.is_ok() != no.is_ok(), "{yes:?} {no:?}");
        let expected = if yes.is_ok() { "COMPLETED" } else { "FAILED" };
        assert_eq!(sign_on.refresh().await, expected);
    }
}

#[tokio::test]
async fn a_question_without_prompt_is_not_put_to_anybody() {
    let w = asking().await;
    let mut app = w.world.app();
    let request = app.request().with("prompt", "none").with("login_hint", "ann");
    app.authorize(&request).await;
    w.world.server.send_due().await.unwrap();
    assert!(!w.services.has_message(PushService::Fcm, &w.token));
}
