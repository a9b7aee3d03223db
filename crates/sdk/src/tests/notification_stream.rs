//! What an app is told while it runs: by a socket, and by asking where there is none.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use countersign_protocol::challenge::{SocketRequest, close_code};
use countersign_protocol::device_api::{DetailCode, DeviceRequest, ErrorCode};

use super::platform::{Challenge, DEVICE_BASE, Fate, Line, error};
use super::world::World;
use crate::installation::lock;
use crate::protocol::proof::peek;
use crate::{
    Countersign, DenyReason, Error, NotificationObject, NotificationStream, RemoteNotification,
    TransportError,
};

const PATH: &str = "/challenges";

type Pauses = Arc<Mutex<Vec<Duration>>>;

/// A stream, and the pauses that it makes.
fn listen(sdk: &Countersign) -> (NotificationStream, Pauses) {
    let pauses = Pauses::default();
    let made = Arc::clone(&pauses);
    let stream = sdk.notifications(move |time| {
        lock(&made).push(time);
        tokio::task::yield_now()
    });
    (stream, pauses)
}

async fn question(stream: &mut NotificationStream) -> NotificationObject {
    match stream.next().await.unwrap() {
        RemoteNotification::Notification(question) => question,
        other => panic!("{other:?}"),
    }
}

async fn over(stream: &mut NotificationStream) -> String {
    match stream.next().await.unwrap() {
        RemoteNotification::Cancelled { id } => id,
        other => panic!("{other:?}"),
    }
}

/// Whether nothing more comes, as long as nobody says anything.
async fn is_quiet(stream: &mut NotificationStream) -> bool {
    tokio::time::timeout(Duration::from_millis(1), stream.next()).await.is_err()
}

#[tokio::test(start_paused = true)]
async fn what_is_new_and_what_is_over_comes_by_the_socket() {
    let world = World::new();
    let sdk = world.paired().await;
    let line = world.platform.connect();
    let (mut stream, pauses) = listen(&sdk);
    line.tell(&world.platform.waiting());
    assert!(is_quiet(&mut stream).await);
    world.platform.ask(Challenge::default());
    world.platform.ask(Challenge::default());
    line.tell(&world.platform.waiting());
    assert_eq!(question(&mut stream).await.challenge(), "challenge-0");
    assert_eq!(question(&mut stream).await.challenge(), "challenge-1");
    world.platform.end(0, DetailCode::ChallengeCancelled);
    line.tell(&world.platform.waiting());
    assert_eq!(over(&mut stream).await, "challenge-0");
    assert!(is_quiet(&mut stream).await);
    assert!(lock(&pauses).is_empty());
    assert_eq!(world.platform.count(PATH), 0, "nothing was asked");
    // It has said who it is, and to whom.
    assert_eq!(line.url(), "wss://id.example/e/device/v1/socket");
    let proof = line.proof();
    let claims: serde_json::Value =
        peek::<SocketRequest>(&proof).unwrap().unverified_claims().unwrap();
    assert_eq!(claims["aud"], SocketRequest::address(DEVICE_BASE));
}

#[tokio::test(start_paused = true)]
async fn silent_messages_are_answered_inside() {
    let world = World::new();
    let sdk = world.paired().await;
    let line = world.platform.connect();
    let (mut stream, _) = listen(&sdk);
    let hint = world.platform.silent();
    lock(&world.platform.hints).push(countersign_protocol::push::PushMessage::new(hint));
    line.tell(&world.platform.waiting());
    assert!(is_quiet(&mut stream).await);
    assert!(world.platform.challenge(0).status.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_older_than_an_answer_asks_nothing_again() {
    let world = World::new();
    let sdk = world.paired().await;
    let line = world.platform.connect();
    let (mut stream, _) = listen(&sdk);
    world.platform.ask(Challenge::default());
    let old = world.platform.waiting();
    line.tell(&old);
    let shown = question(&mut stream).await;
    line.tell(&old);
    shown.deny(DenyReason::None).await.unwrap();
    assert!(is_quiet(&mut stream).await);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_older_than_a_push_takes_nothing_down() {
    let world = World::new();
    let sdk = world.paired().await;
    let line = world.platform.connect();
    let (mut stream, _) = listen(&sdk);
    line.tell(&world.platform.waiting());
    assert!(is_quiet(&mut stream).await);
    line.tell(&world.platform.waiting());
    world.notification(&sdk, Challenge::default()).await;
    line.tell(&world.platform.waiting());
    assert!(is_quiet(&mut stream).await);
    world.platform.end(0, DetailCode::ChallengeExpired);
    line.tell(&world.platform.waiting());
    assert_eq!(over(&mut stream).await, "challenge-0");
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_it_comes_back_and_misses_nothing() {
    let world = World::new();
    let sdk = world.paired().await;
    let (first, second) = (world.platform.connect(), world.platform.connect());
    let (mut stream, pauses) = listen(&sdk);
    world.platform.ask(Challenge::default());
    first.tell(&world.platform.waiting());
    question(&mut stream).await;
    first.close(Some(close_code::RESTART));
    world.platform.end(0, DetailCode::ChallengeCancelled);
    second.tell(&world.platform.waiting());
    assert_eq!(over(&mut stream).await, "challenge-0");
    let pauses = lock(&pauses).clone();
    assert_eq!(pauses.len(), 1);
    assert!((500..=1_000).contains(&pauses[0].as_millis()), "{pauses:?}");
}

#[tokio::test(start_paused = true)]
async fn sockets_that_break_again_and_again_are_opened_less_and_less_often() {
    let world = World::new();
    let sdk = world.paired().await;
    for _ in 0..20 {
        world.platform.connect().close(None);
    }
    let _last = world.platform.connect();
    let (mut stream, pauses) = listen(&sdk);
    assert!(is_quiet(&mut stream).await);
    let pauses = lock(&pauses).clone();
    assert_eq!(pauses.len(), 20);
    for (place, pause) in pauses.iter().enumerate() {
        let longest = Duration::from_secs(1 << place.min(6));
        assert!(*pause >= longest / 2 && *pause <= longest, "{pauses:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_there_is_no_socket_it_asks_and_is_never_busy() {
    let world = World::new();
    let sdk = world.paired().await;
    let (mut stream, pauses) = listen(&sdk);
    world.platform.ask(Challenge::default());
    assert_eq!(question(&mut stream).await.challenge(), "challenge-0");
    assert_eq!(*lock(&world.platform.waited), Some(25));
    assert_eq!(lock(&pauses).len(), 0);
    // This platform answers at once that there is nothing.
    let asked = world.platform.count(PATH);
    for _ in 0..100 {
        let _ = tokio::time::timeout(Duration::ZERO, stream.next()).await;
    }
    let (more, slept) = (world.platform.count(PATH) - asked, lock(&pauses).len());
    assert!(more > 1 && more <= slept + 1, "{more} {slept}");
}

#[tokio::test(start_paused = true)]
async fn an_app_whose_socket_was_taken_asks_for_a_while() {
    for code in [close_code::SUPERSEDED, close_code::POLICY, close_code::TRY_LATER] {
        let world = World::new();
        let sdk = world.paired().await;
        let (first, second) = (world.platform.connect(), world.platform.connect());
        first.close(Some(code));
        let (mut stream, _) = listen(&sdk);
        assert!(is_quiet(&mut stream).await);
        assert_eq!(world.platform.count(PATH), 10, "{code}");
        world.platform.ask(Challenge::default());
        second.tell(&world.platform.waiting());
        question(&mut stream).await;
        assert_eq!(world.platform.count(PATH), 10);
    }
}

#[tokio::test(start_paused = true)]
async fn what_will_not_get_better_is_told_to_the_app() {
    let world = World::new();
    let sdk = world.paired().await;
    world.platform.connect().close(Some(close_code::POLICY));
    let (mut stream, _) = listen(&sdk);
    let not_paired = error(401, ErrorCode::DeviceNotPaired, None);
    // The nonce of the socket comes first.
    world.platform.will([Fate::Arrive, Fate::Answer(not_paired)]);
    let refused = stream.next().await;
    assert!(matches!(refused, Err(Error::NotPaired { .. })), "{refused:?}");
    world.platform.refuse_socket(TransportError::NotTrusted("forged".to_owned()));
    let (mut stream, _) = listen(&sdk);
    let refused = stream.next().await;
    let is_told = matches!(refused, Err(Error::Transport(TransportError::NotTrusted(_))));
    assert!(is_told, "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn while_there_is_no_network_it_waits_for_one() {
    let world = World::new();
    let sdk = world.paired().await;
    let (mut stream, pauses) = listen(&sdk);
    world.platform.will((0..12).map(|_| Fate::LoseRequest));
    world.platform.ask(Challenge::default());
    question(&mut stream).await;
    assert_eq!(lock(&pauses).len(), 4, "three tries each");
}

#[tokio::test(start_paused = true)]
async fn a_question_that_is_not_the_platforms_is_not_shown() {
    let world = World::new();
    let sdk = world.paired().await;
    let line: Line = world.platform.connect();
    let (mut stream, _) = listen(&sdk);
    world.platform.ask(Challenge::default());
    let mut forged = world.platform.waiting();
    forged.challenges[0].id = "challenge-9".to_owned();
    line.tell(&forged);
    let refused = stream.next().await;
    assert!(matches!(refused, Err(Error::Statement(_))), "{refused:?}");
    // The true one is found by asking.
    assert_eq!(question(&mut stream).await.challenge(), "challenge-0");
}
