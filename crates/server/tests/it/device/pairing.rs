//! Automatic enrolment, and its end.

use countersign_domain::{mfa_policy::MfaPolicy, mfa_settings::MfaSettings};
use countersign_sdk::PairingOutcome;
use countersign_server::app::DeviceChange;

use crate::world::World;

on_both_engines!(
    a_phone_that_is_approved_is_paired,
    a_phone_that_is_denied_is_not_paired_and_its_offer_is_spent,
    an_offer_that_is_taken_twice_makes_one_device,
);

async fn devices(w: &World) -> usize {
    w.server.list_devices(w.bank.environment.id, w.bank.ann.id).await.unwrap().len()
}

async fn a_phone_that_is_approved_is_paired(w: &mut World) {
    let phone = w.phone().await;
    assert!(phone.sdk.info().await.unwrap().is_empty());
    w.pair(&phone, "ann").await;
    let users = phone.sdk.info().await.unwrap();
    assert_eq!(users.len(), 1);
    assert_eq!(users[0].username.as_deref(), Some("ann"));
    assert_eq!(devices(w).await, 1);
}

async fn a_phone_that_is_denied_is_not_paired_and_its_offer_is_spent(w: &mut World) {
    let phone = w.phone().await;
    let tokens = w.sign_in_on(&phone, "ann").await.tokens().await;
    let [first, second] = [(), ()].map(|()| phone.sdk.process_id_token(&tokens.id_token));
    let (first, second) = (first.await.unwrap().unwrap(), second.await.unwrap().unwrap());
    first.deny().await.unwrap();
    second.approve().await.unwrap_err();
    assert_eq!(devices(w).await, 0);
}

async fn an_offer_that_is_taken_twice_makes_one_device(w: &mut World) {
    let phone = w.phone().await;
    let tokens = w.sign_in_on(&phone, "ann").await.tokens().await;
    phone.approve(&tokens).await;
    let again = phone.sdk.process_id_token(&tokens.id_token).await.unwrap().unwrap();
    let info = again.approve().await.unwrap();
    assert_eq!(devices(w).await, 1);
    let known = phone.sdk.info().await.unwrap().remove(0);
    assert_eq!(info.device, known.device.id);
}

#[tokio::test]
async fn an_offer_lasts_for_ten_minutes() {
    let w = World::new().await;
    let phone = w.phone().await;
    let tokens = w.sign_in_on(&phone, "ann").await.tokens().await;
    let offer = phone.sdk.process_id_token(&tokens.id_token).await.unwrap().unwrap();
    w.advance(600);
    offer.approve().await.unwrap_err();
    assert_eq!(devices(&w).await, 0);
}

#[tokio::test]
async fn an_offer_is_of_use_to_its_own_phone_only() {
    let w = World::new().await;
    let (phone, other) = (w.phone().await, w.phone().await);
    let tokens = w.sign_in_on(&phone, "ann").await.tokens().await;
    other.sdk.process_id_token(&tokens.id_token).await.unwrap_err();
    phone.approve(&tokens).await;
}

/// What a phone is told that signs ann in.
async fn told(w: &World) -> PairingOutcome {
    let phone = w.phone().await;
    let tokens = w.sign_in_on(&phone, "ann").await.tokens().await;
    assert!(phone.sdk.process_id_token(&tokens.id_token).await.unwrap().is_none());
    phone.sdk.pairing_outcome()
}

#[tokio::test]
async fn no_phone_is_offered_where_the_policy_is_against_it() {
    let changes: [fn(&mut MfaPolicy); 4] = [
        |policy| policy.mobile.applications[0].auto_enrollment = false,
        |policy| policy.mobile.applications[0].pairing_disabled = true,
        |policy| policy.mobile.applications.clear(),
        |policy| policy.mobile.enabled = false,
    ];
    for change in changes {
        let mut w = World::new().await;
        w.bank.change_mfa_policy(&w.server, change).await;
        assert_eq!(told(&w).await, PairingOutcome::Disabled);
    }
}

#[tokio::test]
async fn no_phone_is_offered_beyond_the_limit() {
    let w = World::new().await;
    let first = w.phone_paired_to("ann").await;
    let settings = MfaSettings { max_allowed_devices: 1, ..MfaSettings::default() };
    w.server.put_mfa_settings(w.bank.environment.id, settings).await.unwrap();
    let phone = w.phone().await;
    let mut sign_on = w.sign_in_on(&phone, "ann").await;
    sign_on.passcode(&first.passcode()).await.must_be(200);
    let tokens = sign_on.tokens().await;
    assert!(phone.sdk.process_id_token(&tokens.id_token).await.unwrap().is_none());
    assert_eq!(phone.sdk.pairing_outcome(), PairingOutcome::LimitReached);
}

#[tokio::test]
async fn a_limit_that_is_reached_meanwhile_counts() {
    let w = World::new().await;
    let (one, other) = (w.phone().await, w.phone().await);
    let first = w.sign_in_on(&one, "ann").await.tokens().await;
    let second = w.sign_in_on(&other, "ann").await.tokens().await;
    let settings = MfaSettings { max_allowed_devices: 1, ..MfaSettings::default() };
    w.server.put_mfa_settings(w.bank.environment.id, settings).await.unwrap();
    one.approve(&first).await;
    let late = other.sdk.process_id_token(&second.id_token).await.unwrap().unwrap();
    late.approve().await.unwrap_err();
    assert_eq!(devices(&w).await, 1);
}

#[tokio::test]
async fn a_phone_that_unpairs_itself_is_forgotten() {
    let w = World::new().await;
    let phone = w.phone_paired_to("ann").await;
    phone.sdk.unpair(None).await.unwrap();
    assert_eq!(devices(&w).await, 0);
    assert!(phone.sdk.info().await.unwrap().is_empty());
    w.pair(&phone, "ann").await;
    assert_eq!(devices(&w).await, 1);
}

#[tokio::test]
async fn a_phone_that_an_administrator_removes_learns_of_it() {
    let w = World::new().await;
    let phone = w.phone_paired_to("ann").await;
    let environment = w.bank.environment.id;
    let device = w.server.list_devices(environment, w.bank.ann.id).await.unwrap().remove(0);
    w.server.change_device(environment, device.id, DeviceChange::Remove).await.unwrap();
    assert!(phone.sdk.info().await.unwrap().is_empty());
    phone.sdk.one_time_passcode().unwrap_err();
}
