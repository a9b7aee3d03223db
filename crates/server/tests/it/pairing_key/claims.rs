//! From the key to the device.

use countersign_protocol::{
    pairing::{AuthenticatorKind, AuthenticatorStatus},
    pairing_key::KeyFormat,
};
use countersign_sdk::PairingRefusal;
use serde_json::{Value, json};

use super::{devices_of_ann, make_keys_of, reasons, refusal};
use crate::world::{Answer, PASSWORD, World};

on_both_engines!(
    a_phone_is_paired_by_twelve_digits_and_vouches,
    a_phone_is_paired_by_sixteen_letters_and_digits_as_people_write_them,
    of_two_phones_at_once_one_is_paired,
    a_claim_that_is_sent_again_gets_the_same_answer_and_makes_no_second_device,
    the_same_claim_twice_at_once_counts_once,
    a_phone_that_has_lost_the_answer_is_told_the_same_again,
    who_waits_for_a_key_is_told_at_once,
);

async fn a_phone_is_paired_by_twelve_digits_and_vouches(w: &mut World) {
    // Automatic enrolment is another matter.
    w.bank
        .change_mfa_policy(&w.server, |policy| {
            policy.mobile.applications[0].auto_enrollment = false;
        })
        .await;
    let mut key = w.pairing_key().await;
    assert_eq!(key.characters().len(), 12);
    assert!(key.characters().bytes().all(|byte| byte.is_ascii_digit()));
    assert_eq!(key.status(), "UNCLAIMED");
    let phone = w.phone().await;
    let info = phone.sdk.pair(key.characters()).await.unwrap();
    assert_eq!(info.user.username.as_deref(), Some("ann"));
    let [push, passcode] = info.authenticators.as_slice() else { panic!("{info:?}") };
    assert_eq!((push.kind, push.status), (AuthenticatorKind::Push, AuthenticatorStatus::Failed));
    assert_eq!(push.error_code.as_deref(), Some("MissingDeviceToken"));
    assert_eq!(passcode.status, AuthenticatorStatus::Completed);
    assert_eq!(key.refresh().await, "CLAIMED");
    assert_eq!(key.shown.pointer("/device/id"), Some(&json!(info.device)));
    // The phone is as good as one that was enrolled by itself.
    let sign_on = w.sign_in_on(&phone, "ann").await;
    sign_on.tokens().await;
    w.advance(30);
    let mut sign_on = w.site().begin().await;
    sign_on.password("ann", PASSWORD).await.must_be(200);
    sign_on.passcode(&phone.passcode()).await.must_be(200);
}

async fn a_phone_is_paired_by_sixteen_letters_and_digits_as_people_write_them(w: &mut World) {
    make_keys_of(w, KeyFormat::Alphanumeric).await;
    let mut key = w.pairing_key().await;
    let characters = key.characters().to_lowercase();
    assert_eq!(characters.len(), 16);
    let (one, rest) = characters.split_at(4);
    let info = w.phone().await.sdk.pair(&format!(" {one}-{rest}\n")).await.unwrap();
    assert_eq!(info.user.id, w.bank.ann.id.to_string());
    assert_eq!(key.refresh().await, "CLAIMED");
}

async fn of_two_phones_at_once_one_is_paired(w: &mut World) {
    for devices in 1..4 {
        let mut key = w.pairing_key().await;
        let (one, other) = (w.phone().await, w.phone().await);
        let (first, second) =
            tokio::join!(one.sdk.pair(key.characters()), other.sdk.pair(key.characters()));
        let (winner, loser) = if first.is_ok() { (first, second) } else { (second, first) };
        assert_eq!(refusal(loser), PairingRefusal::KeyClaimed);
        assert_eq!(devices_of_ann(w).await.len(), devices);
        key.refresh().await;
        assert_eq!(key.shown["device"]["id"], winner.unwrap().device);
    }
}

async fn a_claim_that_is_sent_again_gets_the_same_answer_and_makes_no_second_device(w: &mut World) {
    let (key, phone) = (w.pairing_key().await, w.phone().await);
    let claim = w.key_claim_of(&phone, key.characters()).await;
    let first = w.claim_key(&claim).await.must_be(201);
    assert_eq!(w.claim_key(&claim).await.must_be(201).body, first.body);
    w.advance(299);
    assert_eq!(w.claim_key(&claim).await.must_be(201).body, first.body);
    w.advance(2);
    assert_eq!(w.claim_key(&claim).await.must_be(400).problem().1, "CLOCK_SKEW");
    assert_eq!(devices_of_ann(w).await.len(), 1);
    assert_eq!(reasons(w, "DEVICE.CREATED").await, ["pairing_key"]);
}

async fn the_same_claim_twice_at_once_counts_once(w: &mut World) {
    let (key, phone) = (w.pairing_key().await, w.phone().await);
    let claim = w.key_claim_of(&phone, key.characters()).await;
    let (one, other) = tokio::join!(w.claim_key(&claim), w.claim_key(&claim));
    assert_eq!(one.must_be(201).body, other.must_be(201).body);
    assert_eq!(devices_of_ann(w).await.len(), 1);
}

async fn a_phone_that_has_lost_the_answer_is_told_the_same_again(w: &mut World) {
    let (mut key, phone) = (w.pairing_key().await, w.phone().await);
    let id = |answer: Answer| answer.json()["device"]["id"].clone();
    let first = w.key_claim_of(&phone, key.characters()).await;
    let first = id(w.claim_key(&first).await.must_be(201));
    let again = w.key_claim_of(&phone, key.characters()).await;
    assert_eq!(id(w.claim_key(&again).await.must_be(201)), first);
    assert_eq!(devices_of_ann(w).await.len(), 1);
    // Not any more once the key has expired: an answer carries a seed.
    w.advance(600);
    let late = w.key_claim_of(&phone, key.characters()).await;
    assert_eq!(w.claim_key(&late).await.must_be(400).problem().1, "PAIRING_KEY_EXPIRED");
    assert_eq!(key.refresh().await, "CLAIMED");
}

async fn who_waits_for_a_key_is_told_at_once(w: &mut World) {
    let (mut key, phone) = (w.pairing_key().await, w.phone().await);
    let characters = key.characters().to_owned();
    let (status, paired) =
        tokio::join!(async { key.wait(20).await.to_owned() }, phone.sdk.pair(&characters));
    paired.unwrap();
    assert_eq!(status, "CLAIMED");
    // What has ended is not waited for.
    assert_eq!(key.wait(20).await, "CLAIMED");
}

#[tokio::test]
async fn a_key_and_what_the_phone_is_told_have_their_form() {
    let w = World::new().await;
    let mut key = w.pairing_key().await;
    snapshot!("pairing_key_unclaimed", &key.snapshot());
    let phone = w.phone().await;
    let claim = w.key_claim_of(&phone, key.characters()).await;
    let mut answer: Value = w.claim_key(&claim).await.must_be(201).json();
    assert_eq!(answer["seed"].as_str().unwrap().split('.').count(), 5);
    answer["seed"] = json!("<seed>");
    snapshot!("pairing_key_claim", &answer);
    key.refresh().await;
    snapshot!("pairing_key_claimed", &key.snapshot());
}

#[tokio::test]
async fn the_audit_log_tells_who_has_made_a_key_and_what_has_come_of_it() {
    let w = World::new().await;
    let (key, phone) = (w.pairing_key().await, w.phone().await);
    phone.sdk.pair(key.characters()).await.unwrap();
    w.pairing_key().await.withdraw().await.must_be(204);
    for (action, count) in
        [("PAIRING_KEY.CREATED", 2), ("PAIRING_KEY.DELETED", 1), ("DEVICE.CREATED", 1)]
    {
        let records = w.audit_of(action).await;
        assert_eq!(records.len(), count, "{action}");
        for record in records {
            let about = record.entry.event.user.as_ref().unwrap();
            assert_eq!((about.id, about.name.as_deref()), (w.bank.ann.id, Some("ann")));
            let by_worker = record.entry.by.as_ref().is_some_and(|by| by.client.is_some());
            assert_eq!(by_worker, action != "DEVICE.CREATED");
            assert!(!format!("{record:?}").contains(key.characters()));
        }
    }
}

#[tokio::test]
async fn one_phone_is_paired_to_several_users_each_by_a_key() {
    let w = World::new().await;
    let (bob, phone) = (w.user("bob").await, w.phone().await);
    phone.sdk.pair(w.pairing_key().await.characters()).await.unwrap();
    let of_bob = w.pairing_key_of(bob.id).await;
    assert_eq!(phone.sdk.pair(of_bob.characters()).await.unwrap().user.id, bob.id.to_string());
    assert_eq!(phone.sdk.info().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_passcode_proof_counts_steps_of_thirty_seconds_whatever_the_application_has() {
    let w = World::new().await;
    w.change_native(|native| native.mobile.as_mut().unwrap().passcode_step_seconds = 60).await;
    let info = w.phone().await.sdk.pair(w.pairing_key().await.characters()).await.unwrap();
    let passcode = info.authenticators.last().unwrap();
    assert_eq!(passcode.kind, AuthenticatorKind::OneTimePasscode);
    assert_eq!(passcode.status, AuthenticatorStatus::Completed);
}
