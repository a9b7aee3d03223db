//! Phones that are not paired by a key, and what becomes of the key.

use countersign_domain::{mfa_policy::MfaPolicy, mfa_settings::MfaSettings};
use countersign_protocol::{
    entropy::SystemEntropy, pairing_key::KeyPairingRequest, private_key::EcPrivateKey,
};
use countersign_sdk::PairingRefusal;
use countersign_server::app::DeviceChange;
use serde_json::json;

use super::{devices_of_ann, reasons, refusal};
use crate::world::{Bank, World};

on_both_engines!(
    a_key_of_another_environment_is_none,
    a_key_goes_with_its_user,
    a_phone_that_is_refused_leaves_the_key_to_another_and_its_creator_sees_why,
);

const FAILED: &str = "DEVICE.ACTIVATION_FAILED";

async fn a_key_of_another_environment_is_none(w: &mut World) {
    let other = Bank::open(&w.server, "Other").await;
    let mut key = w.pairing_key().await;
    let own = std::mem::replace(&mut w.bank, other);
    let phone = w.phone().await;
    assert_eq!(refusal(phone.sdk.pair(key.characters()).await), PairingRefusal::KeyInvalid);
    // What is signed for the one is none of the other.
    let elsewhere = w.key_claim_of(&phone, key.characters()).await;
    w.bank = own;
    assert_eq!(w.claim_key(&elsewhere).await.must_be(400).problem().2, "proof.aud");
    assert_eq!(key.refresh().await, "UNCLAIMED");
}

async fn a_key_goes_with_its_user(w: &mut World) {
    let bob = w.user("bob").await;
    let key = w.pairing_key_of(bob.id).await;
    w.server.delete_user(bob.environment, bob.id).await.unwrap();
    let phone = w.phone().await;
    assert_eq!(refusal(phone.sdk.pair(key.characters()).await), PairingRefusal::KeyInvalid);
    key.read().await.must_be(404);
    key.withdraw().await.must_be(404);
}

async fn a_phone_that_is_refused_leaves_the_key_to_another_and_its_creator_sees_why(w: &mut World) {
    let full = MfaSettings { max_allowed_devices: 1, ..MfaSettings::default() };
    w.server.put_mfa_settings(w.bank.environment.id, full).await.unwrap();
    let (mut key, phone) = (w.pairing_key().await, w.phone().await);
    let first = w.pairing_key().await;
    w.phone().await.sdk.pair(first.characters()).await.unwrap();
    assert_eq!(refusal(phone.sdk.pair(key.characters()).await), PairingRefusal::LimitExceeded);
    assert_eq!((key.refresh().await, devices_of_ann(w).await.len()), ("UNCLAIMED", 1));
    assert_eq!(key.error(), Some("LIMIT_EXCEEDED"));
    assert_eq!(reasons(w, FAILED).await, ["limit_reached"]);
    let room = MfaSettings::default();
    w.server.put_mfa_settings(w.bank.environment.id, room).await.unwrap();
    phone.sdk.pair(key.characters()).await.unwrap();
    assert_eq!(key.refresh().await, "CLAIMED");
    assert_eq!(key.error(), None);
}

#[tokio::test]
async fn a_key_counts_once_and_not_after_its_time() {
    let w = World::new().await;
    let (mut key, mut late) = (w.pairing_key().await, w.pairing_key().await);
    w.phone().await.sdk.pair(key.characters()).await.unwrap();
    let phone = w.phone().await;
    assert_eq!(refusal(phone.sdk.pair(key.characters()).await), PairingRefusal::KeyClaimed);
    w.advance(599);
    assert_eq!(late.refresh().await, "UNCLAIMED");
    w.advance(1);
    assert_eq!(refusal(phone.sdk.pair(late.characters()).await), PairingRefusal::KeyExpired);
    assert_eq!(late.refresh().await, "FAILED");
    assert_eq!(late.error(), Some("EXPIRED"));
    assert_eq!(key.refresh().await, "CLAIMED");
    assert_eq!(devices_of_ann(&w).await.len(), 1);
    // A day later nobody needs to know.
    w.advance(86_400);
    assert_eq!(refusal(phone.sdk.pair(late.characters()).await), PairingRefusal::KeyInvalid);
    key.backend = w.pairing_backend().await;
    key.read().await.must_be(404);
}

#[tokio::test]
async fn a_withdrawn_key_is_none_and_the_phone_that_it_has_paired_stays() {
    let w = World::new().await;
    let (key, other) = (w.pairing_key().await, w.pairing_key().await);
    w.phone().await.sdk.pair(key.characters()).await.unwrap();
    for key in [&key, &other] {
        key.withdraw().await.must_be(204);
        key.withdraw().await.must_be(404);
        let phone = w.phone().await;
        assert_eq!(refusal(phone.sdk.pair(key.characters()).await), PairingRefusal::KeyInvalid);
    }
    assert_eq!(devices_of_ann(&w).await.len(), 1);
}

#[tokio::test]
async fn a_key_is_for_the_applications_that_it_was_made_for() {
    let mut w = World::new().await;
    let (other, app) = w.phone_with_another_app().await;
    let wanted = json!({
        "policy": { "id": w.bank.mfa_policy.id }, "applications": [{ "id": w.bank.native.id }],
    });
    let ann = w.bank.ann.id;
    let mut key = w.pairing_backend().await.make_key(ann, &wanted).await;
    let refused = other.sdk.pair(key.characters()).await;
    assert_eq!(refusal(refused), PairingRefusal::OtherApplication);
    // Who says to be another application than there is hears the same.
    let phone = w.phone().await;
    for id in [app.id.to_string(), w.bank.site.id.to_string(), "x".to_owned()] {
        let claim = w.key_claim_with(&phone, key.characters(), |claim| claim.app.id = id).await;
        let (_, code, target) = w.claim_key(&claim).await.must_be(400).problem();
        assert_eq!((&*code, &*target), ("PAIRING_KEY_OTHER_APPLICATION", "proof.app.id"));
    }
    assert_eq!(key.refresh().await, "UNCLAIMED");
    assert_eq!(key.error(), None);
    assert_eq!(reasons(&w, FAILED).await, ["other_application"; 3]);
    phone.sdk.pair(key.characters()).await.unwrap();
    // Without a list, a key is for all that the policy lets be paired.
    let key = w.pairing_key().await;
    assert_eq!(other.sdk.pair(key.characters()).await.unwrap().user.id, ann.to_string());
}

#[tokio::test]
async fn a_policy_that_pairs_no_more_pairs_by_no_key() {
    fn switch(off: bool) -> impl FnOnce(&mut MfaPolicy) {
        move |policy| policy.mobile.applications[0].pairing_disabled = off
    }
    let mut w = World::new().await;
    let (mut key, phone) = (w.pairing_key().await, w.phone().await);
    w.bank.change_mfa_policy(&w.server, switch(true)).await;
    let refused = refusal(phone.sdk.pair(key.characters()).await);
    assert_eq!(refused, PairingRefusal::PairingDisabled);
    assert_eq!(key.refresh().await, "UNCLAIMED");
    assert_eq!(key.error(), Some("PAIRING_DISABLED"));
    assert_eq!(reasons(&w, FAILED).await, ["pairing_disabled"]);
    w.bank.change_mfa_policy(&w.server, switch(false)).await;
    phone.sdk.pair(key.characters()).await.unwrap();
}

#[tokio::test]
async fn a_user_who_is_disabled_gets_no_device() {
    let w = World::new().await;
    let (mut key, phone) = (w.pairing_key().await, w.phone().await);
    w.bank.disable_ann(&w.server).await;
    let refused = refusal(phone.sdk.pair(key.characters()).await);
    assert_eq!(refused, PairingRefusal::PairingDisabled);
    assert_eq!(key.refresh().await, "UNCLAIMED");
    assert!(devices_of_ann(&w).await.is_empty());
}

#[tokio::test]
async fn a_rooted_phone_is_not_paired_where_the_application_cares() {
    let w = World::new().await;
    w.change_native(|native| native.mobile.as_mut().unwrap().integrity_detection = true).await;
    let (mut key, phone) = (w.pairing_key().await, w.phone().await);
    let rooted = |claim: &mut KeyPairingRequest| claim.dev.rooted = Some(true);
    let claim = w.key_claim_with(&phone, key.characters(), rooted).await;
    let (_, code, target) = w.claim_key(&claim).await.must_be(400).problem();
    assert_eq!((&*code, &*target), ("DEVICE_COMPROMISED", "proof.key"));
    key.refresh().await;
    assert_eq!(key.error(), Some("DEVICE_COMPROMISED"));
    let told = reasons(&w, "DEVICE.PAIRING_FAILED_COMPROMISED").await;
    assert_eq!(told, ["device_compromised"]);
    snapshot!("pairing_key_refused", &key.snapshot());
    phone.sdk.pair(key.characters()).await.unwrap();
}

#[tokio::test]
async fn a_phone_is_not_paired_twice_and_a_blocked_one_does_not_come_back() {
    let w = World::new().await;
    let phone = w.phone().await;
    phone.sdk.pair(w.pairing_key().await.characters()).await.unwrap();
    let key = w.pairing_key().await;
    let refused = refusal(phone.sdk.pair(key.characters()).await);
    assert_eq!(refused, PairingRefusal::AlreadyPaired);
    let device = devices_of_ann(&w).await.remove(0);
    w.server.change_device(w.bank.environment.id, device.id, DeviceChange::Block).await.unwrap();
    let refused = refusal(phone.sdk.pair(key.characters()).await);
    assert_eq!(refused, PairingRefusal::PairingDisabled);
    assert_eq!(devices_of_ann(&w).await.len(), 1);
}

#[tokio::test]
async fn who_is_unpaired_is_paired_again_by_another_key_and_not_by_the_same() {
    let w = World::new().await;
    let (key, phone) = (w.pairing_key().await, w.phone().await);
    phone.sdk.pair(key.characters()).await.unwrap();
    phone.sdk.unpair(None).await.unwrap();
    assert_eq!(refusal(phone.sdk.pair(key.characters()).await), PairingRefusal::KeyClaimed);
    phone.sdk.pair(w.pairing_key().await.characters()).await.unwrap();
    assert_eq!(devices_of_ann(&w).await.len(), 1);
}

#[tokio::test]
async fn what_is_signed_by_another_key_or_is_not_fresh_pairs_nobody() {
    let w = World::new().await;
    let (mut key, phone) = (w.pairing_key().await, w.phone().await);
    let stranger = EcPrivateKey::generate(&SystemEntropy).public();
    let claim = w.key_claim_with(&phone, key.characters(), |claim| claim.cnf.jwk = stranger).await;
    w.claim_key(&claim).await.must_be(400);
    let claim = w.key_claim_with(&phone, key.characters(), |claim| claim.nonce = "x".to_owned());
    assert_eq!(w.claim_key(&claim.await).await.must_be(400).problem().2, "proof.nonce");
    let claim = w.key_claim_of(&phone, key.characters()).await;
    let (rest, signature) = claim.rsplit_once('.').unwrap();
    let first = if signature.starts_with('A') { "B" } else { "A" };
    w.claim_key(&format!("{rest}.{first}{}", &signature[1..])).await.must_be(400);
    w.claim_key("x").await.must_be(400);
    assert_eq!(key.refresh().await, "UNCLAIMED");
    assert!(devices_of_ann(&w).await.is_empty());
}
