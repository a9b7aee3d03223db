//! Asking for what a push message may not bring: pull, and the wait of apps without a push service.

use countersign_protocol::push::{Hint, PushMessage};

use super::platform::{Challenge, Fate, LIFE_SECONDS, error};
use super::world::World;
use crate::installation::lock;
use crate::protocol::challenge::{ChallengeStatus, ChallengesRequest, MAX_WAIT_SECONDS};
use crate::protocol::device_api::{DetailCode, ErrorCode};
use crate::protocol::proof::peek;
use crate::{Countersign, DenyReason, RemoteNotification};

const PATH: &str = "/challenges";

/// What a wait tells, in a word each.
async fn wait(sdk: &Countersign) -> Vec<String> {
    let told = sdk.wait_for_notifications(25).await.unwrap();
    let word = |one: RemoteNotification| match one {
        RemoteNotification::NotOurs => "foreign".to_owned(),
        RemoteNotification::Silent => "silent".to_owned(),
        RemoteNotification::Notification(shown) => format!("ask {}", shown.challenge()),
        RemoteNotification::Cancelled { id } => format!("end {id}"),
        RemoteNotification::Test { id } => format!("test {id}"),
    };
    told.into_iter().map(word).collect()
}

fn bring(world: &World, hint: Hint) {
    lock(&world.platform.hints).push(PushMessage::new(hint));
}

/// What was asked last.
fn asked(world: &World) -> ChallengesRequest {
    let proofs = world.platform.proofs(PATH);
    peek::<ChallengesRequest>(proofs.last().unwrap()).unwrap().unverified_claims().unwrap()
}

#[tokio::test]
async fn a_question_whose_push_message_was_lost_is_found_by_asking() {
    let world = World::new();
    let sdk = world.paired().await;
    assert!(sdk.pending_notifications().await.unwrap().is_empty());
    world.platform.ask(Challenge::default());
    world.platform.ask(Challenge::select([1, 2, 3], 2));
    let shown = sdk.pending_notifications().await.unwrap();
    assert_eq!(shown.len(), 2);
    shown[1].approve("face", Some(2)).await.unwrap();
    assert_eq!(sdk.pending_notifications().await.unwrap().len(), 1);
    world.advance(LIFE_SECONDS);
    assert!(sdk.pending_notifications().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_wait_tells_what_is_new_and_what_is_over() {
    let world = World::new();
    let sdk = world.paired().await;
    assert!(wait(&sdk).await.is_empty());
    world.platform.ask(Challenge::default());
    assert_eq!(wait(&sdk).await, ["ask challenge-0"]);
    assert!(wait(&sdk).await.is_empty());
    assert_eq!(asked(&world).known, ["challenge-0"]);
    world.platform.ask(Challenge::default());
    world.platform.end(0, DetailCode::ChallengeCancelled);
    assert_eq!(wait(&sdk).await, ["ask challenge-1", "end challenge-0"]);
    assert!(wait(&sdk).await.is_empty());
    assert_eq!(asked(&world).known, ["challenge-1"]);
}

#[tokio::test]
async fn what_the_app_has_got_by_push_or_pull_is_not_new() {
    let world = World::new();
    let sdk = world.paired().await;
    world.notification(&sdk, Challenge::default()).await;
    assert!(wait(&sdk).await.is_empty());
    world.platform.ask(Challenge::default());
    assert_eq!(sdk.pending_notifications().await.unwrap().len(), 2);
    assert!(wait(&sdk).await.is_empty());
}

#[tokio::test]
async fn a_question_that_was_answered_here_is_not_told_to_be_over() {
    let world = World::new();
    let sdk = world.paired().await;
    let shown = world.notification(&sdk, Challenge::default()).await;
    shown.deny(DenyReason::None).await.unwrap();
    assert!(wait(&sdk).await.is_empty());
}

#[tokio::test]
async fn hints_do_what_push_messages_do() {
    let world = World::new();
    let sdk = world.paired().await;
    bring(&world, world.platform.silent());
    bring(&world, world.platform.hint(Challenge::default()));
    bring(&world, Hint::Cancelled { id: "old".to_owned() });
    bring(&world, Hint::Test { id: "t".to_owned() });
    bring(&world, Hint::Cancelled { id: "../x".to_owned() });
    assert_eq!(wait(&sdk).await, ["silent", "test t", "ask challenge-1", "end old"]);
    assert_eq!(world.platform.challenge(0).status, Some(ChallengeStatus::Acknowledged));
    assert!(wait(&sdk).await.is_empty());
}

#[tokio::test]
async fn an_acknowledgement_that_fails_hides_no_question() {
    let world = World::new();
    let sdk = world.paired().await;
    bring(&world, world.platform.silent());
    world.platform.ask(Challenge::default());
    let refused = error(400, ErrorCode::InvalidRequest, None);
    world.platform.will([Fate::Arrive, Fate::Answer(refused)]);
    assert!(sdk.wait_for_notifications(25).await.is_err());
    assert_eq!(wait(&sdk).await, ["ask challenge-1"]);
}

#[tokio::test]
async fn the_wait_is_bounded_and_the_transport_is_told() {
    let world = World::new();
    let sdk = world.paired().await;
    for (seconds, sent) in [(0, 0), (7, 7), (25, 25), (255, MAX_WAIT_SECONDS)] {
        sdk.wait_for_notifications(seconds).await.unwrap();
        assert_eq!(asked(&world).wait, sent);
        assert_eq!(*lock(&world.platform.waited), Some(sent));
    }
    sdk.pending_notifications().await.unwrap();
    assert_eq!((asked(&world).wait, *lock(&world.platform.waited)), (0, Some(0)));
}

#[tokio::test]
async fn no_more_ids_are_said_to_be_known_than_the_platform_takes() {
    let world = World::new();
    let sdk = world.paired().await;
    for _ in 0..40 {
        world.platform.ask(Challenge::default());
    }
    assert_eq!(sdk.pending_notifications().await.unwrap().len(), 40);
    wait(&sdk).await;
    let known = asked(&world).known;
    assert_eq!((known.len(), known[31].as_str()), (32, "challenge-39"));
}

#[tokio::test]
async fn another_installation_knows_no_questions_of_the_old_one() {
    let world = World::new();
    let sdk = world.paired().await;
    world.notification(&sdk, Challenge::default()).await;
    sdk.remove_local_data().await.unwrap();
    world.pair(&sdk, "ann").await;
    world.platform.end(0, DetailCode::ChallengeExpired);
    assert!(wait(&sdk).await.is_empty());
    assert!(asked(&world).known.is_empty());
}
