//! Connections to APNs that end, and what is sent again.

use std::sync::Arc;
use std::time::Duration;

use countersign_push::{Answer, Gateway, Outcome, Settings, Style};

use crate::frames::{Act, FrameServer};
use crate::server::Server;
use crate::world::{
    StandingClock, apns_address, apns_credentials, gateway, push, settings, silent_message,
};

/// Sends a silent push.
async fn send(gateway: &dyn Gateway, clock: &StandingClock) -> Answer {
    let (address, message) = (apns_address(), silent_message());
    gateway.send(&push(&address, &message, Style::Silent, clock)).await
}

fn apns(settings: Settings) -> (Arc<dyn Gateway>, Arc<StandingClock>) {
    let clock = StandingClock::new();
    (gateway(settings, &clock, &apns_credentials()), clock)
}

#[tokio::test]
async fn a_push_that_goaway_says_was_not_processed_is_sent_again_on_a_new_connection() {
    let server = FrameServer::start(100, |connection, _| match connection {
        0 => vec![Act::GoAway(0, ""), Act::Close],
        _ => vec![Act::Answer(1)],
    })
    .await;
    let (apns, clock) = apns(settings(&server.base));
    assert_eq!(send(&*apns, &clock).await.outcome, Outcome::Accepted);
    assert_eq!(server.streams(), [vec![1], vec![1]]);
}

#[tokio::test]
async fn a_push_that_goaway_says_may_be_processed_is_never_sent_again() {
    let server = FrameServer::start(100, |_, _| vec![Act::GoAway(1, ""), Act::Close]).await;
    let (apns, clock) = apns(settings(&server.base));
    assert_eq!(send(&*apns, &clock).await.outcome, Outcome::Unreachable);
    assert_eq!(server.streams(), [vec![1]]);
}

#[tokio::test]
async fn a_connection_that_breaks_without_a_word_loses_its_push_and_not_the_next() {
    let server = FrameServer::start(100, |connection, _| match connection {
        0 => vec![Act::Close],
        _ => vec![Act::Answer(1)],
    })
    .await;
    let (apns, clock) = apns(settings(&server.base));
    assert_eq!(send(&*apns, &clock).await.outcome, Outcome::Unreachable);
    assert_eq!(send(&*apns, &clock).await.outcome, Outcome::Accepted);
    assert_eq!(server.streams(), [vec![1], vec![1]]);
}

#[tokio::test]
async fn goaway_divides_the_pushes_under_way() {
    // Of two pushes under way, the first was processed and is answered after GOAWAY.
    let server = FrameServer::start(100, |connection, begun| match (connection, begun) {
        (0, 0) => Vec::new(),
        (0, _) => vec![Act::GoAway(1, ""), Act::Answer(1)],
        _ => vec![Act::Answer(1)],
    })
    .await;
    let (apns, clock) = apns(settings(&server.base));
    let (first, second) = tokio::join!(send(&*apns, &clock), send(&*apns, &clock));
    assert_eq!((first.outcome, second.outcome), (Outcome::Accepted, Outcome::Accepted));
    assert_eq!(server.streams(), [vec![1, 3], vec![1]]);
}

#[tokio::test]
async fn after_goaway_between_two_pushes_a_new_connection_is_opened() {
    let server = FrameServer::start(100, |_, _| vec![Act::Answer(1), Act::GoAway(1, "")]).await;
    let (apns, clock) = apns(settings(&server.base));
    for _ in 0..3 {
        assert_eq!(send(&*apns, &clock).await.outcome, Outcome::Accepted);
    }
    assert_eq!(server.streams(), [vec![1], vec![1], vec![1]]);
}

#[tokio::test]
async fn a_refused_stream_is_sent_again() {
    let server = FrameServer::start(100, |connection, _| match connection {
        0 => vec![Act::Refuse(1)],
        _ => vec![Act::Answer(1)],
    })
    .await;
    let (apns, clock) = apns(settings(&server.base));
    assert_eq!(send(&*apns, &clock).await.outcome, Outcome::Accepted);
}

#[tokio::test]
async fn it_is_sent_again_twice_and_no_more_and_the_reason_of_goaway_is_told() {
    let reason = r#"{"reason":"BadCertificateEnvironment"}"#;
    let server = FrameServer::start(100, move |_, _| vec![Act::GoAway(0, reason)]).await;
    let (apns, clock) = apns(settings(&server.base));
    let answer = send(&*apns, &clock).await;
    assert_eq!(answer.outcome, Outcome::Unreachable);
    assert!(answer.raw.reason.contains("BadCertificateEnvironment"), "{:?}", answer.raw);
    assert_eq!(server.streams(), [vec![1], vec![1], vec![1]]);
}

/// The most pushes that are under way at a time when the server allows so many.
async fn most_open(allowed: u32) -> usize {
    let server = FrameServer::start(allowed, |_, _| vec![Act::AnswerWhenQuiet]).await;
    let (apns, clock) = apns(settings(&server.base));
    // The limit is known once the first answer is there.
    assert_eq!(send(&*apns, &clock).await.outcome, Outcome::Accepted);
    let five = tokio::join!(
        send(&*apns, &clock),
        send(&*apns, &clock),
        send(&*apns, &clock),
        send(&*apns, &clock),
        send(&*apns, &clock),
    );
    for answer in [five.0, five.1, five.2, five.3, five.4] {
        assert_eq!(answer.outcome, Outcome::Accepted);
    }
    assert_eq!(server.streams().len(), 1, "one connection is enough");
    server.most_open()
}

#[tokio::test]
async fn no_more_streams_are_opened_than_apns_allows() {
    assert_eq!(most_open(1).await, 1);
    assert!(most_open(100).await > 1);
}

#[tokio::test]
async fn a_push_without_an_answer_in_time_is_not_sent_again_and_the_connection_is_left() {
    let server = FrameServer::start(100, |connection, _| match connection {
        0 => Vec::new(),
        _ => vec![Act::Answer(1)],
    })
    .await;
    let request_timeout = Duration::from_millis(300);
    let (apns, clock) = apns(Settings { request_timeout, ..settings(&server.base) });
    assert_eq!(send(&*apns, &clock).await.outcome, Outcome::Unreachable);
    assert_eq!(server.streams(), [vec![1]]);
    assert_eq!(send(&*apns, &clock).await.outcome, Outcome::Accepted);
    assert_eq!(server.streams(), [vec![1], vec![1]]);
}

#[tokio::test]
async fn what_speaks_no_http_2_or_is_not_trusted_gets_nothing() {
    let server = Server::tls(&[b"http/1.1"], |_| (200, "").into()).await;
    let (apns_over_h1, clock) = apns(settings(&server.base));
    assert_eq!(send(&*apns_over_h1, &clock).await.outcome, Outcome::Unreachable);

    let foreign = Server::tls(&[b"h2"], |_| (200, "").into()).await;
    let (distrusting, clock) = apns(Settings { roots: Vec::new(), ..settings(&foreign.base) });
    let answer = send(&*distrusting, &clock).await;
    assert_eq!(answer.outcome, Outcome::Unreachable);
    assert!(answer.raw.reason.contains("certificate"), "{:?}", answer.raw);

    assert!(server.seen().is_empty() && foreign.seen().is_empty());
}

#[tokio::test]
async fn where_nobody_listens_it_is_unreachable() {
    // Port 1 of this machine: nobody listens.
    let (apns, clock) = apns(settings("https://localhost:1"));
    assert_eq!(send(&*apns, &clock).await.outcome, Outcome::Unreachable);
}
