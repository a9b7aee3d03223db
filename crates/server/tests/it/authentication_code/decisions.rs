//! Who may say who signs on, and how it must be said.

use countersign_protocol::authentication_code::{CodeApproval, CodeDenial};
use countersign_sdk::{CodeRefusal, CodeStatus};
use countersign_server::app::DeviceChange;

use super::{change_device_of_ann, read, reasons, refusal};
use crate::world::{Phone, ShownCode, World};

on_both_engines!(
    an_approval_that_is_sent_again_gets_the_same_answer_and_does_nothing,
    of_a_yes_and_a_no_at_once_one_counts,
);

fn approval(w: &World) -> CodeApproval {
    CodeApproval { user: w.bank.ann.id.to_string(), number: None }
}

/// A code that a phone of ann has claimed.
async fn claimed(w: &World) -> (Phone, ShownCode) {
    let phone = w.phone_paired_to("ann").await;
    let code = w.code().await;
    read(&phone, &code).await;
    (phone, code)
}

/// An approval by the key of a phone that verifies its user.
async fn approve(w: &World, (phone, code): (&Phone, &ShownCode), body: CodeApproval) -> String {
    phone.verified_proof(&w.decision_of::<CodeApproval>(code), body).await
}

async fn is_refused(w: &World, code: &ShownCode, proof: &str, told: (&str, &str)) {
    let answer = w.decide::<CodeApproval>(code, proof).await.must_be(400);
    let (error, detail, _) = answer.problem();
    assert_eq!((&*error, &*detail), told, "{answer:?}");
}

const INVALID: (&str, &str) = ("REQUEST_FAILED", "CODE_INVALID");

async fn an_approval_that_is_sent_again_gets_the_same_answer_and_does_nothing(w: &mut World) {
    let (phone, mut code) = claimed(w).await;
    let proof = approve(w, (&phone, &code), approval(w)).await;
    let (one, other) = tokio::join!(
        w.decide::<CodeApproval>(&code, &proof),
        w.decide::<CodeApproval>(&code, &proof)
    );
    assert_eq!(one.must_be(200).json()["status"], "COMPLETED");
    assert_eq!(other.must_be(200).json()["status"], "COMPLETED");
    let again = w.decide::<CodeApproval>(&code, &proof).await.must_be(200);
    assert_eq!(again.json()["status"], "COMPLETED");
    let another = approve(w, (&phone, &code), approval(w)).await;
    is_refused(w, &code, &another, ("REQUEST_FAILED", "CODE_ENDED")).await;
    assert_eq!(code.refresh().await, "COMPLETED");
    assert_eq!(reasons(w).await, ["approved", "claimed"]);
}

async fn of_a_yes_and_a_no_at_once_one_counts(w: &mut World) {
    let (phone, mut code) = claimed(w).await;
    let yes = approve(w, (&phone, &code), approval(w)).await;
    let no = phone.proof(&w.decision_of::<CodeDenial>(&code), CodeDenial::default()).await;
    let (yes, no) =
        tokio::join!(w.decide::<CodeApproval>(&code, &yes), w.decide::<CodeDenial>(&code, &no));
    let expected = if yes.status == 200 { "COMPLETED" } else { "DENIED" };
    let loser = if yes.status == 200 { no } else { yes };
    assert_eq!(loser.must_be(400).problem().1, "CODE_ENDED");
    assert_eq!(code.refresh().await, expected);
    assert_eq!(reasons(w).await.len(), 2);
}

#[tokio::test]
async fn an_approval_without_the_person_is_none() {
    let w = World::new().await;
    let (phone, mut code) = claimed(&w).await;
    // By the key that asks nobody, though there is one that does.
    let proof = phone.proof(&w.decision_of::<CodeApproval>(&code), approval(&w)).await;
    is_refused(&w, &code, &proof, INVALID).await;
    assert_eq!(code.refresh().await, "CLAIMED");
    assert_eq!(reasons(&w).await, ["claimed"]);
}

#[tokio::test]
async fn nobody_else_answers_for_the_phone_that_has_claimed_it() {
    let w = World::new().await;
    let (phone, mut code) = claimed(&w).await;
    // Another phone of the same user, and one that nobody knows.
    let second = w.phone().await;
    w.pair_beside(&phone, &second, "ann").await;
    for other in [&second, &w.phone().await] {
        let yes = approve(&w, (other, &code), approval(&w)).await;
        is_refused(&w, &code, &yes, INVALID).await;
        let no = other.proof(&w.decision_of::<CodeDenial>(&code), CodeDenial::default()).await;
        let refused = w.decide::<CodeDenial>(&code, &no).await.must_be(400);
        assert_eq!(refused.problem().1, "CODE_INVALID");
    }
    assert_eq!(code.refresh().await, "CLAIMED");
}

#[tokio::test]
async fn what_nobody_has_claimed_is_not_approved() {
    let w = World::new().await;
    let phone = w.phone_paired_to("ann").await;
    let mut code = w.code().await;
    let proof = approve(&w, (&phone, &code), approval(&w)).await;
    is_refused(&w, &code, &proof, INVALID).await;
    assert_eq!(code.refresh().await, "UNCLAIMED");
}

#[tokio::test]
async fn an_answer_is_about_one_code_and_one_thing() {
    let w = World::new().await;
    let (phone, mut code) = claimed(&w).await;
    let mut other = w.code().await;
    read(&phone, &other).await;
    let proof = approve(&w, (&phone, &other), approval(&w)).await;
    is_refused(&w, &code, &proof, ("INVALID_REQUEST", "INVALID_VALUE")).await;
    let no = phone.proof(&w.decision_of::<CodeDenial>(&code), CodeDenial::default()).await;
    is_refused(&w, &code, &no, ("INVALID_REQUEST", "INVALID_VALUE")).await;
    assert_eq!((code.refresh().await, other.refresh().await), ("CLAIMED", "CLAIMED"));
}

#[tokio::test]
async fn only_a_user_of_the_claim_signs_on() {
    let w = World::new().await;
    let (phone, mut code) = claimed(&w).await;
    let bob = w.user("bob").await;
    // Whoever comes to the phone after the claim was not asked.
    w.pair(&phone, "bob").await;
    let cid = w.user("cid").await;
    for user in [bob.id.to_string(), cid.id.to_string(), "x".to_owned()] {
        let body = CodeApproval { user: user.clone(), number: None };
        let proof = approve(&w, (&phone, &code), body).await;
        is_refused(&w, &code, &proof, ("INVALID_REQUEST", "INVALID_VALUE")).await;
        let no = CodeDenial { user: Some(user) };
        let no = phone.proof(&w.decision_of::<CodeDenial>(&code), no).await;
        let answer = w.decide::<CodeDenial>(&code, &no).await.must_be(400);
        assert_eq!(answer.problem().2, "proof.user");
    }
    assert_eq!(code.refresh().await, "CLAIMED");
}

#[tokio::test]
async fn who_was_barred_or_unpaired_since_the_claim_approves_nothing() {
    let w = World::new().await;
    let phone = w.phone_paired_to("ann").await;
    let mut code = w.code().await;
    let question = read(&phone, &code).await;
    change_device_of_ann(&w, DeviceChange::Block).await;
    assert_eq!(refusal(question.approve(None, None).await), CodeRefusal::DeviceBarred);
    change_device_of_ann(&w, DeviceChange::Unblock).await;
    question.approve(None, None).await.unwrap();
    assert_eq!(code.refresh().await, "COMPLETED");
    let question = read(&phone, &w.code().await).await;
    change_device_of_ann(&w, DeviceChange::Remove).await;
    assert_eq!(refusal(question.approve(None, None).await), CodeRefusal::Invalid);
}

#[tokio::test]
async fn the_other_users_still_sign_on_when_the_first_is_unpaired_after_the_claim() {
    let w = World::new().await;
    let phone = w.phone_paired_to("ann").await;
    let bob = w.user("bob").await;
    w.pair(&phone, "bob").await;
    let mut code = w.code().await;
    let question = read(&phone, &code).await;
    change_device_of_ann(&w, DeviceChange::Remove).await;
    question.approve(Some(&bob.id.to_string()), None).await.unwrap();
    assert_eq!(question.status(), CodeStatus::Completed);
    assert_eq!(code.refresh().await, "COMPLETED");
}
