//! From a pairing key to the device, with everything that can be lost on the way.

use countersign_protocol::pairing::{AuthenticatorKind, AuthenticatorStatus};
use tokio::sync::oneshot;

use super::platform::{Fate, KEY, KEY_SECONDS, error};
use super::world::{World, told};
use crate::installation::lock;
use crate::protocol::device_api::{DetailCode, ErrorCode};
use crate::{Category, Countersign, Error, KeyStore, PairingInfo, PairingRefusal};

const CLAIMS: &str = "/pairing-keys/claims";

/// An app that nobody is paired to, and a key for Ann.
async fn keyed() -> (World, Countersign) {
    let world = World::new();
    world.platform.make_key(KEY, "ann");
    let sdk = world.open().await;
    (world, sdk)
}

fn refusal(result: Result<PairingInfo, Error>) -> PairingRefusal {
    match result {
        Err(Error::PairingRefused { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

fn of(info: &PairingInfo, kind: AuthenticatorKind) -> (AuthenticatorStatus, Option<&str>) {
    let found = info.authenticators.iter().find(|one| one.kind == kind).unwrap();
    (found.status, found.error_code.as_deref())
}

/// Fates of the nonce's request and of three tries to pair.
fn lose_all(fate: fn() -> Fate) -> [Fate; 4] {
    [Fate::Arrive, fate(), fate(), fate()]
}

#[tokio::test]
async fn a_key_makes_a_device_with_passcodes_that_says_what_works() {
    let (world, sdk) = keyed().await;
    let info = sdk.pair(KEY).await.unwrap();
    assert_eq!((info.device.as_str(), info.user.id.as_str()), ("device-0", "ann"));
    let passcode = of(&info, AuthenticatorKind::OneTimePasscode);
    assert_eq!(passcode, (AuthenticatorStatus::Completed, None));
    let push = of(&info, AuthenticatorKind::Push);
    assert_eq!(push, (AuthenticatorStatus::Failed, Some("MissingDeviceToken")));
    assert_eq!(sdk.one_time_passcode().unwrap().passcode.expose(), world.expected_passcode("ann"));
    assert_eq!(sdk.paired_users().len(), 1);
    assert!(world.platform.has_verification_key());
}

#[tokio::test]
async fn a_key_is_taken_as_people_write_it() {
    for text in ["4938 2017 5564", " 493-820-175-564 ", "4938\u{a0}2017\u{2011}5564"] {
        let (_world, sdk) = keyed().await;
        sdk.pair(text).await.unwrap();
    }
    let (world, sdk) = keyed().await;
    world.platform.make_key("7F45HGF5ABCDWXYZ", "bob");
    assert_eq!(sdk.pair("7f45-hgf5-abcd-wxyz").await.unwrap().user.id, "bob");
}

#[tokio::test]
async fn what_is_no_key_is_not_sent() {
    let (world, sdk) = keyed().await;
    for text in ["", "12345", "7F45HG22", "https://bank.example/493820175564", "\u{202e}"] {
        let refused = sdk.pair(text).await.unwrap_err();
        assert!(matches!(refused, Error::NoPairingKey(_)), "{text}: {refused}");
        assert_eq!((refused.category(), refused.pingone_code()), (Category::Input, 10_005));
    }
    assert!(lock(&world.platform.log).is_empty());
}

#[tokio::test]
async fn several_users_are_paired_each_by_a_key_of_their_own() {
    let (world, sdk) = keyed().await;
    world.platform.make_key("000000000001", "bob");
    sdk.pair(KEY).await.unwrap();
    let info = sdk.pair("000000000001").await.unwrap();
    assert_eq!(info.user.id, "bob");
    assert_eq!(sdk.paired_users().len(), 2);
    assert!(sdk.one_time_passcode_for("bob").is_ok());
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_with_the_same_proof_across_restarts() {
    let (world, sdk) = keyed().await;
    world.platform.will(lose_all(|| Fate::LoseAnswer));
    assert!(sdk.pair(KEY).await.unwrap_err().is_retriable());
    drop(sdk);
    world.advance(299);
    let sdk = world.open().await;
    let info = sdk.resume_pairing().await.unwrap().unwrap();
    assert_eq!(info.user.id, "ann");
    let proofs = world.platform.proofs(CLAIMS);
    assert!(proofs.len() == 4 && proofs.iter().all(|proof| *proof == proofs[0]));
    assert_eq!(world.device_count(), 1);
    assert!(sdk.resume_pairing().await.unwrap().is_none());
}

#[tokio::test]
async fn after_the_life_of_its_proof_the_phone_asks_anew_and_is_told_the_same() {
    let (world, sdk) = keyed().await;
    world.platform.will(lose_all(|| Fate::LoseAnswer));
    sdk.pair(KEY).await.unwrap_err();
    world.advance(300);
    let info = sdk.pair(KEY).await.unwrap();
    assert_eq!((info.device.as_str(), world.device_count()), ("device-0", 1));
    assert_eq!(sdk.one_time_passcode().unwrap().passcode.expose(), world.expected_passcode("ann"));
}

#[tokio::test]
async fn an_answer_lost_for_good_leaves_a_device_without_passcodes() {
    let (world, sdk) = keyed().await;
    world.platform.will(lose_all(|| Fate::LoseAnswer));
    sdk.pair(KEY).await.unwrap_err();
    world.advance(KEY_SECONDS);
    let info = world.open().await.resume_pairing().await.unwrap().unwrap();
    assert_eq!((info.device.as_str(), info.user.id.as_str()), ("device-0", "ann"));
    let passcode = of(&info, AuthenticatorKind::OneTimePasscode);
    assert_eq!(passcode, (AuthenticatorStatus::Failed, Some("InvalidSeed")));
}

#[tokio::test]
async fn a_key_that_never_arrived_and_has_expired_is_given_up() {
    let (world, sdk) = keyed().await;
    world.platform.will(lose_all(|| Fate::LoseRequest));
    sdk.pair(KEY).await.unwrap_err();
    world.advance(KEY_SECONDS);
    assert_eq!(refusal(sdk.resume_pairing().await.map(Option::unwrap)), PairingRefusal::KeyExpired);
    assert!(sdk.resume_pairing().await.unwrap().is_none());
    assert_eq!(world.device_count(), 0);
}

#[tokio::test]
async fn a_key_that_another_phone_has_used_is_told_so() {
    let (world, sdk) = keyed().await;
    sdk.pair(KEY).await.unwrap();
    sdk.remove_local_data().await.unwrap();
    assert_eq!(refusal(sdk.pair(KEY).await), PairingRefusal::KeyClaimed);
    assert!(sdk.paired_users().is_empty());
    assert_eq!(world.platform.count("/info"), 0);
}

#[tokio::test]
async fn one_pairing_runs_at_a_time() {
    let (world, sdk) = keyed().await;
    let offer = world.offer(&sdk, "bob").await;
    let (open, gate) = oneshot::channel();
    world.platform.will([Fate::Wait(gate)]);
    let meanwhile = async {
        let busy = sdk.pair(KEY).await.unwrap_err();
        assert!(matches!(busy, Error::PairingAlreadyRunning));
        assert_eq!((busy.is_retriable(), busy.pingone_code()), (true, 10_013));
        assert!(matches!(offer.approve().await, Err(Error::PairingAlreadyRunning)));
        open.send(()).unwrap();
    };
    let (paired, ()) = tokio::join!(sdk.pair(KEY), meanwhile);
    paired.unwrap();
    offer.approve().await.unwrap();
    assert_eq!(world.device_count(), 2);
}

#[tokio::test]
async fn each_refusal_says_why_and_leaves_nothing_pending() {
    use Category::{Policy, State};
    let rows = [
        (DetailCode::PairingKeyInvalid, PairingRefusal::KeyInvalid, State, 10_005),
        (DetailCode::PairingKeyExpired, PairingRefusal::KeyExpired, State, 10_005),
        (DetailCode::PairingKeyClaimed, PairingRefusal::KeyClaimed, State, 10_005),
        (DetailCode::AlreadyPaired, PairingRefusal::AlreadyPaired, State, 10_005),
        (DetailCode::PairingKeyOtherApplication, PairingRefusal::OtherApplication, State, 10_006),
        (DetailCode::LimitExceeded, PairingRefusal::LimitExceeded, Policy, 10_012),
        (DetailCode::PairingDisabled, PairingRefusal::PairingDisabled, Policy, 10_012),
        (DetailCode::DeviceCompromised, PairingRefusal::DeviceCompromised, Policy, 10_012),
    ];
    for (code, reason, category, number) in rows {
        let (world, sdk) = keyed().await;
        world.platform.refuse_key(KEY, Some(code));
        let refused = sdk.pair(KEY).await.unwrap_err();
        assert_eq!((refused.category(), refused.pingone_code()), (category, number));
        assert_eq!(refused.correlation_id(), Some("correlation"));
        assert!(!refused.is_retriable());
        assert_eq!(refusal(Err(refused)), reason);
        assert!(sdk.resume_pairing().await.unwrap().is_none());
        assert_eq!(world.device_count(), 0);
        // What was in the way may be gone later.
        world.platform.refuse_key(KEY, None);
        sdk.pair(KEY).await.unwrap();
    }
}

#[tokio::test]
async fn too_many_guesses_are_a_reason_to_wait() {
    let (world, sdk) = keyed().await;
    let mut limited = error(429, ErrorCode::Unavailable, None);
    limited.headers.push(("retry-after".to_owned(), "40".to_owned()));
    world.platform.will([Fate::Arrive, Fate::Answer(limited)]);
    let refused = sdk.pair(KEY).await.unwrap_err();
    assert_eq!(refused.retry_after_seconds(), Some(40));
    sdk.pair(KEY).await.unwrap();
}

#[tokio::test]
async fn a_person_who_is_not_verified_pairs_nothing() {
    let (world, sdk) = keyed().await;
    world.keys.let_person_refuse(true);
    assert_eq!(told(sdk.pair(KEY).await), "countersign.error.not_verified");
    assert_eq!(world.platform.count(CLAIMS), 0);
    world.keys.let_person_refuse(false);
    sdk.pair(KEY).await.unwrap();
    assert!(world.keys.ensure().await.unwrap().verification.is_some());
}

#[tokio::test]
async fn a_wrong_clock_is_corrected_in_the_proof_and_told_of_the_passcodes() {
    let (world, sdk) = keyed().await;
    world.clock.advance(-400);
    let info = sdk.pair(KEY).await.unwrap();
    let passcode = of(&info, AuthenticatorKind::OneTimePasscode);
    assert_eq!(passcode, (AuthenticatorStatus::Failed, Some("UnSynchronizedClock")));
    assert_eq!(world.platform.count(CLAIMS), 2);
}
