//! From the offer to the device, with everything that can be lost on the way.

use countersign_protocol::pairing::{AuthenticatorKind, AuthenticatorStatus};
use tokio::sync::oneshot;

use super::platform::{FakePlatform, Fate, error, ok};
use super::world::{World, told};
use crate::protocol::device_api::{DetailCode, ErrorCode};
use crate::protocol::proof::Jti;
use crate::{Category, Error, PairingInfo, PairingOutcome, PairingRefusal, TransportError};

fn passcodes(info: &PairingInfo) -> (AuthenticatorStatus, Option<&str>) {
    let mut of_kind =
        info.authenticators.iter().filter(|other| other.kind == AuthenticatorKind::OneTimePasscode);
    let only = of_kind.next().unwrap();
    assert!(of_kind.next().is_none());
    (only.status, only.error_code.as_deref())
}

/// Fates of the nonce's request and of three tries to pair.
fn lose_all(fate: fn() -> Fate) -> [Fate; 4] {
    [Fate::Arrive, fate(), fate(), fate()]
}

#[tokio::test]
async fn an_approved_offer_makes_a_device_with_passcodes() {
    let world = World::new();
    let sdk = world.open().await;
    let offer = world.offer(&sdk, "ann").await;
    assert_eq!(sdk.pairing_outcome(), PairingOutcome::Offered);
    assert_eq!(offer.user(), "ann");
    let info = offer.approve().await.unwrap();
    assert_eq!((info.device.as_str(), info.environment.as_str()), ("device-0", "e"));
    assert_eq!(info.user.username.as_deref(), Some("ann@example"));
    assert_eq!(passcodes(&info), (AuthenticatorStatus::Completed, None));
    let shown = sdk.one_time_passcode().unwrap();
    assert_eq!(shown.passcode.expose(), world.expected_passcode("ann"));
}

#[tokio::test]
async fn a_denied_offer_makes_no_device_and_is_spent() {
    let world = World::new();
    let sdk = world.open().await;
    let offer = world.offer(&sdk, "ann").await;
    offer.deny().await.unwrap();
    assert_eq!(world.platform.count("/pairings/denials"), 1);
    assert!(matches!(offer.approve().await, Err(Error::OfferUsed)));
    assert!(matches!(offer.deny().await, Err(Error::OfferUsed)));
    assert_eq!(world.device_count(), 0);
}

#[tokio::test]
async fn an_offer_is_approved_once() {
    let world = World::new();
    let sdk = world.open().await;
    let offer = world.offer(&sdk, "ann").await;
    offer.approve().await.unwrap();
    assert!(matches!(offer.approve().await, Err(Error::OfferUsed)));
    assert_eq!(world.platform.count("/pairings"), 1);
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_with_the_same_proof() {
    let world = World::new();
    let sdk = world.open().await;
    let offer = world.offer(&sdk, "ann").await;
    world.platform.will([Fate::Arrive, Fate::LoseRequest, Fate::LoseAnswer]);
    offer.approve().await.unwrap();
    let proofs = world.platform.proofs("/pairings");
    assert_eq!(proofs.len(), 3);
    assert!(proofs.iter().all(|proof| *proof == proofs[0]));
    assert_eq!(world.device_count(), 1);
}

#[tokio::test]
async fn three_tries_are_enough_and_approving_again_goes_on() {
    let world = World::new();
    let sdk = world.open().await;
    let offer = world.offer(&sdk, "ann").await;
    world.platform.will(lose_all(|| Fate::LoseAnswer));
    let lost = offer.approve().await.unwrap_err();
    assert!(matches!(lost, Error::Transport(TransportError::NoAnswer(_))));
    assert!(lost.is_retriable());
    assert_eq!(world.platform.count("/pairings"), 3);
    offer.approve().await.unwrap();
    let proofs = world.platform.proofs("/pairings");
    assert!(proofs.len() == 4 && proofs.iter().all(|proof| *proof == proofs[0]));
    assert_eq!(world.device_count(), 1);
}

#[tokio::test]
async fn a_restart_between_request_and_answer_loses_nothing() {
    let world = World::new();
    let sdk = world.open().await;
    let offer = world.offer(&sdk, "ann").await;
    world.platform.will(lose_all(|| Fate::LoseAnswer));
    offer.approve().await.unwrap_err();
    drop((sdk, offer));

    world.advance(299);
    let sdk = world.open().await;
    let info = sdk.resume_pairing().await.unwrap().unwrap();
    assert_eq!(info.user.id, "ann");
    assert_eq!(sdk.one_time_passcode().unwrap().passcode.expose(), world.expected_passcode("ann"));
    assert_eq!(world.device_count(), 1);
    assert!(sdk.resume_pairing().await.unwrap().is_none());
}

#[tokio::test]
async fn a_request_that_never_arrived_is_signed_anew_after_its_life() {
    let world = World::new();
    let sdk = world.open().await;
    let offer = world.offer(&sdk, "ann").await;
    world.platform.will(lose_all(|| Fate::LoseRequest));
    offer.approve().await.unwrap_err();
    world.advance(300);
    let info = world.open().await.resume_pairing().await.unwrap().unwrap();
    assert_eq!(passcodes(&info).0, AuthenticatorStatus::Completed);
    let proofs = world.platform.proofs("/pairings");
    assert_ne!(proofs.first(), proofs.last());
}

#[tokio::test]
async fn an_answer_lost_for_good_leaves_a_device_without_passcodes() {
    let world = World::new();
    let sdk = world.open().await;
    let offer = world.offer(&sdk, "ann").await;
    world.platform.will(lose_all(|| Fate::LoseAnswer));
    offer.approve().await.unwrap_err();
    world.advance(300);
    let sdk = world.open().await;
    let info = sdk.resume_pairing().await.unwrap().unwrap();
    assert_eq!(info.device, "device-0");
    assert_eq!(passcodes(&info), (AuthenticatorStatus::Failed, Some("InvalidSeed")));
    assert!(matches!(sdk.one_time_passcode(), Err(Error::NoPasscodes)));
    assert_eq!(sdk.paired_users().len(), 1);
    assert!(sdk.resume_pairing().await.unwrap().is_none());
}

#[tokio::test]
async fn nothing_is_resumed_when_nothing_is_pending() {
    let world = World::new();
    let sdk = world.open().await;
    assert!(sdk.resume_pairing().await.unwrap().is_none());
    world.offer(&sdk, "ann").await;
    assert!(sdk.resume_pairing().await.unwrap().is_none());
}

#[tokio::test]
async fn a_denial_after_an_unanswered_approval_leaves_nothing_pending() {
    let world = World::new();
    let sdk = world.open().await;
    let offer = world.offer(&sdk, "ann").await;
    world.platform.will(lose_all(|| Fate::LoseRequest));
    offer.approve().await.unwrap_err();
    offer.deny().await.unwrap();
    assert!(sdk.resume_pairing().await.unwrap().is_none());
    assert_eq!(world.device_count(), 0);
}

#[tokio::test]
async fn one_pairing_runs_at_a_time() {
    let world = World::new();
    let sdk = world.open().await;
    let (first, second) = (world.offer(&sdk, "ann").await, world.offer(&sdk, "bob").await);
    let (open, gate) = oneshot::channel();
    world.platform.will([Fate::Wait(gate)]);
    let meanwhile = async {
        let refused = second.approve().await.unwrap_err();
        assert!(matches!(refused, Error::PairingAlreadyRunning));
        assert!(matches!(sdk.resume_pairing().await, Err(Error::PairingAlreadyRunning)));
        assert!(matches!(sdk.remove_local_data().await, Err(Error::PairingAlreadyRunning)));
        open.send(()).unwrap();
    };
    let (result, ()) = tokio::join!(first.approve(), meanwhile);
    result.unwrap();
    second.approve().await.unwrap();
    assert_eq!(world.device_count(), 2);
}

#[tokio::test]
async fn a_pairing_given_up_half_way_does_not_block_the_next() {
    let world = World::new();
    let sdk = world.open().await;
    let offer = world.offer(&sdk, "ann").await;
    let (_open, gate) = oneshot::channel();
    world.platform.will([Fate::Wait(gate)]);
    {
        let mut approval = Box::pin(offer.approve());
        tokio::select! {
            biased;
            _ = &mut approval => unreachable!("the gate is closed"),
            () = async {} => {}
        }
    }
    offer.approve().await.unwrap();
}

#[tokio::test]
async fn a_slow_clock_is_corrected_in_proofs_but_not_in_passcodes() {
    let world = World::new();
    let sdk = world.open().await;
    let offer = world.offer(&sdk, "ann").await;
    world.clock.advance(-400);
    let info = offer.approve().await.unwrap();
    assert_eq!(passcodes(&info), (AuthenticatorStatus::Failed, Some("UnSynchronizedClock")));
    assert_eq!(world.platform.count("/pairings"), 2);
    assert_ne!(sdk.one_time_passcode().unwrap().passcode.expose(), world.expected_passcode("ann"));

    // What was learnt is kept across a restart, and holds for payloads and ID tokens too.
    let sdk = world.open().await;
    world.offer(&sdk, "bob").await.approve().await.unwrap();
    assert_eq!(world.platform.count("/pairings"), 3);
}

#[tokio::test]
async fn a_fast_clock_is_corrected_too() {
    let world = World::new();
    let sdk = world.open().await;
    world.pair(&sdk, "ann").await;
    world.clock.advance(3_600);
    assert_eq!(sdk.info().await.unwrap().len(), 1);
    assert_eq!(world.platform.count("/info"), 2);
    sdk.info().await.unwrap();
    assert_eq!(world.platform.count("/info"), 3);
}

#[tokio::test]
async fn a_time_that_the_platform_did_not_sign_for_this_proof_is_not_believed() {
    let world = World::new();
    let sdk = world.open().await;
    world.pair(&sdk, "ann").await;
    let skew =
        |time| error(400, ErrorCode::InvalidRequest, Some((DetailCode::ClockSkew, Some(time))));
    let kid = world.system.key_store.ensure().await.unwrap().possession.thumbprint();
    let of_another_proof = world.platform.server_time(kid, Jti::from_bytes([0; 16]));
    let impostor = FakePlatform::new();
    impostor.add_signing_key("k1");
    let forged = impostor.server_time(kid, Jti::from_bytes([0; 16]));
    for time in [of_another_proof, forged, "x".to_owned()] {
        world.platform.will([Fate::Answer(skew(time))]);
        let refused = sdk.info().await.unwrap_err();
        assert!(matches!(refused, Error::ServerTime(_)), "{refused}");
        assert_eq!(refused.category(), Category::Security);
    }
    sdk.info().await.unwrap();
}

#[tokio::test]
async fn a_clock_that_cannot_be_corrected_is_reported() {
    let world = World::new();
    let sdk = world.open().await;
    world.pair(&sdk, "ann").await;
    world.clock.advance(3_600);
    let skew =
        error(400, ErrorCode::InvalidRequest, Some((DetailCode::ClockSkew, Some("x".to_owned()))));
    world.platform.will([Fate::Arrive, Fate::Answer(skew)]);
    assert_eq!(told(sdk.info().await), "countersign.error.clock");
}

#[tokio::test]
async fn a_refusal_of_the_platform_ends_the_offer_and_says_why() {
    for (code, reason) in [
        (DetailCode::TicketInvalid, PairingRefusal::TicketInvalid),
        (DetailCode::TicketExpired, PairingRefusal::TicketExpired),
        (DetailCode::LimitExceeded, PairingRefusal::LimitExceeded),
        (DetailCode::PairingDisabled, PairingRefusal::PairingDisabled),
    ] {
        let world = World::new();
        let sdk = world.open().await;
        let offer = world.offer(&sdk, "ann").await;
        let refusal = error(400, ErrorCode::RequestFailed, Some((code, None)));
        world.platform.will([Fate::Arrive, Fate::Answer(refusal)]);
        let refused = offer.approve().await.unwrap_err();
        assert_eq!(refused.correlation_id(), Some("correlation"));
        assert!(matches!(refused, Error::PairingRefused { reason: other, .. } if other == reason));
        assert!(matches!(offer.approve().await, Err(Error::OfferUsed)));
        assert!(sdk.resume_pairing().await.unwrap().is_none());
    }
}

#[tokio::test]
async fn an_unavailable_platform_can_be_asked_again() {
    let world = World::new();
    let sdk = world.open().await;
    let offer = world.offer(&sdk, "ann").await;
    let mut busy = error(503, ErrorCode::Unavailable, None);
    busy.headers.push(("retry-after".to_owned(), "7".to_owned()));
    world.platform.will([Fate::Arrive, Fate::Answer(busy)]);
    let unavailable = offer.approve().await.unwrap_err();
    assert_eq!(unavailable.retry_after_seconds(), Some(7));
    assert!(unavailable.is_retriable());
    offer.approve().await.unwrap();
}

#[tokio::test]
async fn a_seed_that_does_not_open_leaves_the_pairing_good() {
    let world = World::new();
    let sdk = world.open().await;
    let offer = world.offer(&sdk, "ann").await;
    let answer = serde_json::json!({
        "device": {"id": "d"}, "environment": {"id": "e"}, "user": {"id": "ann"},
        "authenticators": [{"type": "oneTimePasscode", "status": "completed"}], "seed": "a.b.c",
    });
    world.platform.will([Fate::Arrive, Fate::Answer(ok(201, &answer))]);
    let info = offer.approve().await.unwrap();
    assert_eq!(passcodes(&info), (AuthenticatorStatus::Failed, Some("InvalidSeed")));
    assert_eq!(sdk.paired_users().len(), 1);
}

#[tokio::test]
async fn an_application_without_passcodes_pairs_without_seed() {
    let world = World::new();
    *crate::installation::lock(&world.platform.has_passcodes) = false;
    let sdk = world.open().await;
    world.pair(&sdk, "ann").await;
    assert_eq!(told(sdk.one_time_passcode()), "countersign.error.no_passcodes");
}
