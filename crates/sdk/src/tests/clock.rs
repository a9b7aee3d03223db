//! Phones whose clock is wrong, before they are paired.

use std::sync::Arc;

use countersign_protocol::device_api::{ErrorCode, ServerTime};
use countersign_protocol::jwk::Thumbprint;
use countersign_protocol::pairing::{AuthenticatorKind, AuthenticatorStatus};
use countersign_protocol::proof::{Jti, peek};
use countersign_protocol::time::Clock;
use serde::Deserialize;

use super::platform::{FakePlatform, Fate, START, error, ok};
use super::world::World;
use crate::Countersign;
use crate::protocol::mobile_payload::MobilePayload;

/// When the next payload says that it was made, in seconds after [`START`].
async fn payload_time(sdk: &Countersign) -> i64 {
    #[derive(Deserialize)]
    struct Dated {
        iat: i64,
    }
    let jws = sdk.generate_mobile_payload().await.unwrap();
    let dated: Dated = peek::<MobilePayload>(&jws).unwrap().unverified_claims().unwrap();
    dated.iat - START.unix_seconds()
}

#[tokio::test]
async fn a_phone_with_a_wrong_clock_signs_in_and_pairs_at_once() {
    for wrong_by_seconds in [-600, 600] {
        let world = World::new();
        world.clock.advance(wrong_by_seconds);
        let sdk = world.open().await;
        assert_eq!(payload_time(&sdk).await, 0);
        let info = world.pair(&sdk, "ann").await;
        assert_eq!(world.platform.count("/pairings"), 1);

        // Passcodes are of the phone's own clock, and the pairing says that they will not do.
        let passcodes = (AuthenticatorKind::OneTimePasscode, AuthenticatorStatus::Failed);
        assert!(info.authenticators.iter().any(|other| (other.kind, other.status) == passcodes));
        let shown = sdk.one_time_passcode().unwrap();
        assert_eq!(shown.valid_from, world.clock.now());
    }
}

#[tokio::test]
async fn a_payload_is_made_when_the_time_cannot_be_had() {
    let world = World::new();
    world.clock.advance(600);
    let sdk = world.open().await;
    let fates = [
        Fate::LoseRequest,
        Fate::LoseAnswer,
        Fate::Answer(error(404, ErrorCode::NotFound, None)),
        Fate::Answer(error(503, ErrorCode::Unavailable, None)),
        Fate::Answer(ok(200, &"sign in to this network")),
    ];
    for (tries, fate) in (1..).zip(fates) {
        world.platform.will([fate]);
        assert_eq!(payload_time(&sdk).await, 600);
        assert_eq!(world.platform.count("/time"), tries);
    }
    assert_eq!(payload_time(&sdk).await, 0);
}

#[tokio::test]
async fn a_payload_is_made_when_the_keys_cannot_be_had() {
    let world = World::new();
    world.clock.advance(600);
    let sdk = world.open().await;
    world.platform.will([Fate::Arrive, Fate::Answer(error(503, ErrorCode::Unavailable, None))]);
    assert_eq!(payload_time(&sdk).await, 600);
}

#[tokio::test]
async fn a_forged_time_is_ignored() {
    let world = World::new();
    let sdk = world.open().await;
    let impostor = Arc::new(FakePlatform::new());
    impostor.add_signing_key("k1");
    let forgeries: [(_, fn(&mut ServerTime)); 4] = [
        (&world.platform, |claims| claims.iss = claims.iss.replace("/e/", "/f/")),
        (&world.platform, |claims| claims.jti = Jti::from_bytes([0; 16])),
        (&world.platform, |claims| claims.aud = Thumbprint::from_bytes([0; 32])),
        (&impostor, |_| ()),
    ];
    // Each would be believed if nothing else were wrong with it.
    world.clock.advance(600);
    for (signer, spoil) in forgeries {
        world.platform.will([Fate::Forge(Arc::clone(signer), spoil)]);
        assert_eq!(payload_time(&sdk).await, 600);
    }
    world.platform.will([Fate::Forge(Arc::clone(&world.platform), |_| ())]);
    assert_eq!(payload_time(&sdk).await, 0);
}

#[tokio::test]
async fn the_time_is_asked_for_once_a_day_and_not_for_each_payload() {
    let world = World::new();
    let sdk = world.open().await;
    for _ in 0..3 {
        payload_time(&sdk).await;
    }
    let sdk = world.open().await;
    world.advance(24 * 60 * 60 - 1);
    payload_time(&sdk).await;
    assert_eq!(world.platform.count("/time"), 1);
    world.advance(1);
    payload_time(&sdk).await;
    payload_time(&sdk).await;
    assert_eq!(world.platform.count("/time"), 2);
}

#[tokio::test]
async fn a_clock_that_is_set_right_is_believed_at_once() {
    let world = World::new();
    world.clock.advance(600);
    let sdk = world.open().await;
    assert_eq!(payload_time(&sdk).await, 0);
    world.clock.advance(-600);
    assert_eq!(payload_time(&sdk).await, 0);
    payload_time(&sdk).await;
    assert_eq!(world.platform.count("/time"), 2);
}
