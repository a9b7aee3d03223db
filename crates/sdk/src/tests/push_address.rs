//! Device tokens: kept, sent, kept again when there is no network, and never lost.

use countersign_protocol::mobile_payload::{self, MobilePayload, PushAddress};
use countersign_protocol::proof::Verified;
use countersign_protocol::time::Clock;

use super::platform::{Fate, ISSUER, error};
use super::world::World;
use crate::installation::lock;
use crate::protocol::device_api::{DetailCode, ErrorCode};
use crate::{Countersign, DeviceTokenError, Error, PushEnvironment, PushService};

const PATH: &str = "/push-address";

fn fcm(address: &str, enabled: bool) -> PushAddress {
    let (service, address) = (PushService::Fcm, address.to_owned());
    PushAddress { service, address, environment: None, enabled }
}

async fn set(sdk: &Countersign, token: &str) {
    sdk.set_device_token(PushService::Fcm, token, None).await.unwrap();
}

async fn payload(world: &World, sdk: &Countersign) -> Verified<MobilePayload> {
    let jws = sdk.generate_mobile_payload().await.unwrap();
    mobile_payload::verify(&jws, ISSUER, world.platform.clock.now()).unwrap()
}

fn known(world: &World) -> Option<PushAddress> {
    lock(&world.platform.push).clone()
}

/// Fates of the nonce's request and of its repetitions.
fn offline() -> [Fate; 3] {
    [(); 3].map(|()| Fate::LoseRequest)
}

#[tokio::test]
async fn a_token_is_said_in_payload_and_pairing_and_not_again() {
    let world = World::new();
    let sdk = world.open().await;
    assert_eq!(payload(&world, &sdk).await.body().push, None);
    set(&sdk, "token").await;
    assert_eq!(payload(&world, &sdk).await.body().push, Some(fcm("token", true)));
    world.pair(&sdk, "ann").await;
    assert_eq!(known(&world), Some(fcm("token", true)));
    // As apps do at every start.
    let sdk = world.open().await;
    set(&sdk, "token").await;
    sdk.info().await.unwrap();
    assert_eq!(world.platform.count(PATH), 0);
}

#[tokio::test]
async fn another_token_is_said_at_once_when_paired() {
    let world = World::new();
    let sdk = world.paired().await;
    assert_eq!(known(&world), None);
    set(&sdk, "one").await;
    set(&sdk, "two").await;
    set(&sdk, "two").await;
    assert_eq!((known(&world), world.platform.count(PATH)), (Some(fcm("two", true)), 2));
    let apple = "ab".repeat(32);
    let sandbox = Some(PushEnvironment::Sandbox);
    sdk.set_device_token(PushService::Apns, &apple, sandbox).await.unwrap();
    let known = known(&world).unwrap();
    assert_eq!((known.service, known.environment), (PushService::Apns, sandbox));
}

#[tokio::test]
async fn a_token_that_breaks_a_rule_is_not_kept() {
    let world = World::new();
    let sdk = world.paired().await;
    let refused = sdk.set_device_token(PushService::Apns, "xyz", None).await.unwrap_err();
    assert!(matches!(refused, Error::DeviceToken(DeviceTokenError::EnvironmentMissing)));
    assert_eq!(refused.category(), crate::Category::Input);
    assert_eq!(payload(&world, &sdk).await.body().push, None);
    assert_eq!(world.platform.count(PATH), 0);
}

#[tokio::test]
async fn a_token_that_could_not_be_said_is_said_before_the_next_call_and_after_a_restart() {
    let world = World::new();
    let sdk = world.paired().await;
    world.platform.will(offline());
    set(&sdk, "token").await;
    assert_eq!(known(&world), None);
    drop(sdk);
    let sdk = world.open().await;
    world.platform.will(offline());
    sdk.info().await.unwrap();
    assert_eq!(known(&world), None);
    sdk.info().await.unwrap();
    assert_eq!((known(&world), world.platform.count(PATH)), (Some(fcm("token", true)), 1));
    sdk.info().await.unwrap();
    assert_eq!(world.platform.count(PATH), 1);
}

#[tokio::test]
async fn every_call_that_push_matters_to_says_it_first() {
    let world = World::new();
    let sdk = world.paired().await;
    for (turn, token) in ["payload", "pending", "wait"].into_iter().enumerate() {
        world.platform.will(offline());
        set(&sdk, token).await;
        match turn {
            0 => drop(payload(&world, &sdk).await),
            1 => drop(sdk.pending_notifications().await.unwrap()),
            _ => drop(sdk.wait_for_notifications(0).await.unwrap()),
        }
        assert_eq!(known(&world), Some(fcm(token, true)));
    }
}

#[tokio::test]
async fn a_token_that_came_while_another_was_sent_is_sent_too() {
    let world = World::new();
    let sdk = world.paired().await;
    let (open, gate) = tokio::sync::oneshot::channel();
    world.platform.will([Fate::Arrive, Fate::Wait(gate)]);
    tokio::join!(set(&sdk, "one"), async {
        world.platform.will(offline());
        set(&sdk, "two").await;
        open.send(()).unwrap();
    });
    assert_eq!(known(&world), Some(fcm("one", true)));
    sdk.info().await.unwrap();
    assert_eq!(known(&world), Some(fcm("two", true)));
}

#[tokio::test]
async fn a_token_that_came_between_pairings_reaches_the_older_device_too() {
    let world = World::new();
    let sdk = world.paired().await;
    world.platform.will(offline());
    set(&sdk, "token").await;
    world.platform.will(offline());
    let offer = world.offer(&sdk, "bob").await;
    assert_eq!(known(&world), None);
    // Bob's device gets it here, and Ann's does not.
    offer.approve().await.unwrap();
    assert_eq!((known(&world), world.platform.count(PATH)), (Some(fcm("token", true)), 0));
    sdk.info().await.unwrap();
    assert_eq!(world.platform.count(PATH), 1);
}

#[tokio::test]
async fn push_can_be_refused_and_allowed_again_with_or_without_a_token() {
    let world = World::new();
    let sdk = world.open().await;
    sdk.allow_push_notifications(false).await.unwrap();
    set(&sdk, "token").await;
    world.pair(&sdk, "ann").await;
    assert_eq!(known(&world), Some(fcm("token", false)));
    sdk.allow_push_notifications(false).await.unwrap();
    assert_eq!(world.platform.count(PATH), 0);
    sdk.allow_push_notifications(true).await.unwrap();
    assert_eq!((known(&world), world.platform.count(PATH)), (Some(fcm("token", true)), 1));
}

#[tokio::test]
async fn a_token_that_the_platform_refuses_for_good_is_an_error_and_not_sent_for_ever() {
    let world = World::new();
    let sdk = world.paired().await;
    let detail = Some((DetailCode::InvalidValue, None));
    let refused = error(400, ErrorCode::InvalidRequest, detail);
    world.platform.will([Fate::Arrive, Fate::Answer(refused)]);
    let told = sdk.set_device_token(PushService::Fcm, "token", None).await;
    assert!(matches!(told, Err(Error::Rejected { .. })));
    sdk.info().await.unwrap();
    assert_eq!(world.platform.count(PATH), 1);
}

#[tokio::test]
async fn a_wrong_clock_is_corrected() {
    let world = World::new();
    let sdk = world.paired().await;
    world.clock.advance(600);
    set(&sdk, "token").await;
    assert_eq!((known(&world), world.platform.count(PATH)), (Some(fcm("token", true)), 2));
}
