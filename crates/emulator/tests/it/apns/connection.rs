//! HTTP/2 as APNs speaks it: limits of streams, GOAWAY, resets and silence.

use std::sync::Arc;

use countersign_emulator::push_service::Host;
use countersign_emulator::push_service::apns::{ApnsServer, ApnsSettings, Reason};
use countersign_emulator::push_service::authority::Authority;
use countersign_emulator::push_service::fault::{Fault, Order, OrderError, Stamp};
use countersign_protocol::time::Clock;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::World;
use crate::world::{Connection, SOON, connect_tls, host};

#[tokio::test]
async fn only_http_2_is_spoken() {
    let world = World::new().await;
    let (address, pem) = (world.server.address(), world.server.authority_pem());
    assert!(connect_tls(address, &pem, &["http/1.1"]).await.is_err());
    let mut silent = connect_tls(address, &pem, &[]).await.unwrap();
    silent.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(SOON, silent.read_to_end(&mut answer)).await.unwrap();
    assert_eq!(answer, b"");
}

#[tokio::test]
async fn the_authority_vouches_for_the_emulator_only() {
    let world = World::new().await;
    let stranger = World::new().await;
    let pem = stranger.server.authority_pem();
    assert!(connect_tls(world.server.address(), &pem, &["h2"]).await.is_err());
}

#[tokio::test]
async fn the_authority_of_a_known_key_is_trusted_as_it_was_before() {
    let key = Authority::new_key().unwrap();
    let before = Authority::open(&key, &[]).unwrap().pem();
    let start = async |names: &[String]| {
        let authority = Arc::new(Authority::open(&key, names).unwrap());
        let host = Host { authority, ..host().0 };
        ApnsServer::start(ApnsSettings::new(Vec::new()), host).await.unwrap()
    };
    let server = start(&["push.test".to_owned()]).await;
    assert!(connect_tls(server.address(), &server.authority_pem(), &["h2"]).await.is_ok());
    // The names that it vouches for have changed, so the certificate of before does not do.
    assert!(connect_tls(server.address(), &before, &["h2"]).await.is_err());
    let server = start(&[]).await;
    assert!(connect_tls(server.address(), &before, &["h2"]).await.is_ok());
}

#[tokio::test]
async fn one_stream_is_allowed_until_the_first_good_provider_token() {
    let world = World::new().await;
    let connection = world.connect().await;
    let bad = world.request().header("authorization", "bearer a.b.c");
    assert_eq!(connection.send(bad.into()).await.unwrap().status, 403);
    assert_eq!(connection.sender.current_max_send_streams(), 1);
    assert_eq!(connection.send(world.request().into()).await.unwrap().status, 200);
    assert_eq!(connection.sender.current_max_send_streams(), 1_000);
}

#[tokio::test]
async fn a_connection_may_stay_at_one_stream() {
    let world = World::new().await;
    world.server.faults().order(Fault::MaxConcurrentStreams { streams: 1 }).unwrap();
    let connection = world.connect().await;
    for _ in 0..3 {
        assert_eq!(connection.send(world.request().into()).await.unwrap().status, 200);
        assert_eq!(connection.sender.current_max_send_streams(), 1);
    }
}

#[tokio::test]
async fn streams_beyond_the_limit_are_refused_unprocessed() {
    let world = World::new().await;
    world.server.faults().order(Fault::Hang { headers: false }).unwrap();
    // Both are sent before the settings of the server are known.
    let connection = world.connect().await;
    let first = connection.begin(world.request().into()).await.unwrap();
    let second = connection.begin(world.request().into()).await.unwrap();
    let refused = second.answer().await.unwrap_err();
    assert_eq!(refused.reason(), Some(h2::Reason::REFUSED_STREAM));
    drop(first);
    let mailbox = world.server.installations().mailbox(&world.token).unwrap();
    assert_eq!(mailbox.messages(), []);
}

#[tokio::test]
async fn goaway_leaves_exactly_the_unprocessed_streams_unprocessed() {
    let world = World::new().await;
    let fault = Fault::GoAway { processed: 2, unprocessed: 3, code: 0, debug: None };
    world.server.faults().order(fault).unwrap();
    let connection = world.connect().await;
    let mut begun = Vec::new();
    for n in 0..5 {
        let push = world.request().json(&json!({ "aps": { "alert": "?" }, "n": n }));
        begun.push(connection.begin(push.into()).await.unwrap());
    }
    let mut outcomes = Vec::new();
    for waiting in begun {
        outcomes.push(match waiting.answer().await {
            Ok(answer) => Ok(answer.status),
            Err(error) => Err((error.is_go_away(), error.reason())),
        });
    }
    let gone = Err((true, Some(h2::Reason::NO_ERROR)));
    assert_eq!(outcomes, [Ok(200), Ok(200), gone, gone, gone]);
    assert!(connection.begin(world.request().into()).await.is_err());
    tokio::time::timeout(SOON, connection.ended).await.unwrap().unwrap().unwrap();
    let mailbox = world.server.installations().mailbox(&world.token).unwrap();
    let numbers: Vec<_> = mailbox.messages().iter().map(|m| m.sent["n"].clone()).collect();
    assert_eq!(numbers, [json!(0), json!(1)]);
    // The next connection is a good one.
    assert_eq!(world.send(world.request()).await.status, 200);
}

#[tokio::test]
async fn goaway_without_streams_in_flight_closes_after_the_last_answer() {
    let world = World::new().await;
    let fault = Fault::GoAway { processed: 2, unprocessed: 0, code: 0, debug: None };
    world.server.faults().order(fault).unwrap();
    let connection = world.connect().await;
    for _ in 0..2 {
        assert_eq!(connection.send(world.request().into()).await.unwrap().status, 200);
    }
    tokio::time::timeout(SOON, connection.ended).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn goaway_tells_of_a_wrong_certificate_in_its_debug_data() {
    let world = World::new().await;
    let debug = r#"{"reason":"BadCertificateEnvironment"}"#.to_owned();
    let fault = Fault::GoAway { processed: 0, unprocessed: 0, code: 0, debug: Some(debug) };
    world.server.faults().order(fault).unwrap();
    let (address, pem) = (world.server.address(), world.server.authority_pem());
    let mut raw = connect_tls(address, &pem, &["h2"]).await.unwrap();
    // The preface and empty settings.
    raw.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut said = Vec::new();
    tokio::time::timeout(SOON, raw.read_to_end(&mut said)).await.unwrap().unwrap();
    let expected =
        b"\0\0\x2e\x07\0\0\0\0\0\0\0\0\0\0\0\0\0{\"reason\":\"BadCertificateEnvironment\"}";
    assert!(said.windows(expected.len()).any(|window| window == expected), "{said:?}");
}

#[tokio::test]
async fn every_reason_can_be_had() {
    let world = World::new().await;
    let connection = world.connect().await;
    let now = world.clock.now().micros() / 1_000;
    for reason in Reason::ALL {
        let fault =
            Fault::Reason { reason: reason.name().to_owned(), status: None, timestamp: None };
        world.server.faults().order(fault).unwrap();
        let answer = connection.send(world.request().into()).await.unwrap();
        let expected = match reason {
            Reason::Unregistered => json!({ "reason": "Unregistered", "timestamp": now }),
            other => json!({ "reason": other.name() }),
        };
        assert_eq!((answer.status, answer.json()), (reason.status(), expected));
    }
    assert_eq!(connection.send(world.request().into()).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_410_may_have_another_time_or_none_and_a_reason_may_be_new() {
    let world = World::new().await;
    let connection = world.connect().await;
    let now = world.clock.now().micros() / 1_000;
    for (reason, status, timestamp, expected) in [
        ("Unregistered", None, Some(Stamp::Absent), json!({ "reason": "Unregistered" })),
        (
            "Unregistered",
            None,
            Some(Stamp::SecondsFromNow(-60)),
            json!({ "reason": "Unregistered", "timestamp": now - 60_000 }),
        ),
        (
            "ExpiredToken",
            None,
            Some(Stamp::SecondsFromNow(60)),
            json!({ "reason": "ExpiredToken", "timestamp": now + 60_000 }),
        ),
        ("PhoneIsOnTheMoon", Some(410), None, json!({ "reason": "PhoneIsOnTheMoon" })),
    ] {
        let fault = Fault::Reason { reason: reason.to_owned(), status, timestamp };
        world.server.faults().order(fault).unwrap();
        let answer = connection.send(world.request().into()).await.unwrap();
        assert_eq!((answer.status, answer.json()), (410, expected));
    }
}

#[tokio::test]
async fn an_answer_may_be_none_of_apples() {
    let world = World::new().await;
    let connection = world.connect().await;
    for (status, content_type, body) in
        [(500, None, ""), (502, Some("text/html"), "<h1>Bad gateway</h1>"), (200, None, "{")]
    {
        let fault = Fault::Answer {
            status,
            content_type: content_type.map(str::to_owned),
            body: body.to_owned(),
        };
        world.server.faults().order(fault).unwrap();
        let answer = connection.send(world.request().into()).await.unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (status, body));
        let seen = answer.head.headers.get("content-type").map(|value| value.to_str().unwrap());
        assert_eq!(seen, content_type);
    }
}

#[tokio::test]
async fn a_stream_may_be_reset_or_never_end() {
    let world = World::new().await;
    let connection = world.connect().await;
    assert_eq!(connection.send(world.request().into()).await.unwrap().status, 200);
    world.server.faults().order(Fault::Reset { code: 7 }).unwrap();
    let error = connection.send(world.request().into()).await.unwrap_err();
    assert_eq!(error.reason(), Some(h2::Reason::REFUSED_STREAM));
    world.server.faults().order(Fault::Hang { headers: true }).unwrap();
    let waiting = connection.begin(world.request().into()).await.unwrap();
    let mut body = waiting.head().await.unwrap().into_body();
    // The same connection answers the next request meanwhile.
    world.server.faults().order(Fault::Delay { milliseconds: 1 }).unwrap();
    assert_eq!(connection.send(world.request().into()).await.unwrap().status, 200);
    let nothing = std::future::poll_fn(|context| {
        std::task::Poll::Ready(body.poll_data(context).is_pending())
    });
    assert!(nothing.await);
}

#[tokio::test]
async fn a_shutdown_is_said_and_the_connection_closed() {
    let world = World::new().await;
    world.server.faults().order(Fault::Shutdown {}).unwrap();
    let connection = world.connect().await;
    let answer = connection.send(world.request().into()).await.unwrap();
    assert_eq!((answer.status, answer.reason().as_str()), (503, "Shutdown"));
    tokio::time::timeout(SOON, connection.ended).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_connection_may_be_refused() {
    let world = World::new().await;
    world.server.faults().order(Fault::Refuse {}).unwrap();
    let (address, pem) = (world.server.address(), world.server.authority_pem());
    assert!(connect_tls(address, &pem, &["h2"]).await.is_err());
    assert!(connect_tls(address, &pem, &["h2"]).await.is_ok());
}

#[tokio::test]
async fn many_messages_at_once_all_arrive() {
    let world = World::new().await;
    let connection = Arc::new(world.connect().await);
    assert_eq!(connection.send(world.request().into()).await.unwrap().status, 200);
    let mut tokens = Vec::new();
    for _ in 0..50 {
        tokens.push(world.server.installations().install(crate::world::TOPIC).unwrap());
    }
    let mut sends = tokio::task::JoinSet::new();
    let push = world.request();
    for token in &tokens {
        let (connection, push): (Arc<Connection>, _) =
            (Arc::clone(&connection), push.clone().to(token));
        sends.spawn(async move { connection.send(push.into()).await.unwrap().status });
    }
    while let Some(status) = sends.join_next().await {
        assert_eq!(status.unwrap(), 200);
    }
    for token in &tokens {
        assert!(world.server.installations().receive(token, SOON).await.is_some());
    }
}

#[tokio::test]
async fn an_order_that_makes_no_sense_is_refused() {
    let world = World::new().await;
    let faults = world.server.faults();
    let new = |status| Fault::Reason { reason: "New".to_owned(), status, timestamp: None };
    for (order, error) in [
        (Order::from(Fault::Lose {}).times(0), OrderError::Times),
        (Order::from(new(None)), OrderError::Status),
        (Order::from(new(Some(99))), OrderError::Status),
        (Order::from(Fault::Refuse {}).for_token("a"), OrderError::Token),
        (Order::from(Fault::MaxConcurrentStreams { streams: 0 }), OrderError::Streams),
        (
            Order::from(Fault::GoAway {
                processed: u32::MAX,
                unprocessed: u32::MAX,
                code: 0,
                debug: Some("x".repeat(1_025)),
            }),
            OrderError::Debug,
        ),
        (Order::from(Fault::Delay { milliseconds: 600_001 }), OrderError::Delay),
        (
            Order::from(Fault::TokenRefused { status: 400, error: "x".to_owned() }),
            OrderError::OtherService,
        ),
    ] {
        assert_eq!(faults.order(order), Err(error));
    }
    for _ in 0..100 {
        faults.order(Fault::Lose {}).unwrap();
    }
    assert_eq!(faults.order(Fault::Lose {}), Err(OrderError::Full));
    faults.clear();
    assert_eq!(faults.list(), []);
}
