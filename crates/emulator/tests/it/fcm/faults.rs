//! What can go wrong.

use countersign_emulator::push_service::fault::{Fault, Order, RetryAfter};
use countersign_emulator::push_service::fcm::ErrorCode;
use serde_json::json;

use super::World;
use crate::world::{AT_ONCE, PROJECT};

#[tokio::test]
async fn every_error_can_be_had() {
    let world = World::new().await;
    let token = world.access_token().await;
    for code in ErrorCode::ALL {
        world.server.faults().order(Fault::Error { code, retry_after: None }).unwrap();
        let answer = world.try_to_send(PROJECT, &token, world.message().to_string()).await.unwrap();
        let (status, name) = code.status();
        assert_eq!((answer.status, &answer.json()["error"]["status"]), (status, &json!(name)));
        let name = serde_json::to_value(code).unwrap();
        match answer.code() {
            Some(code) => assert_eq!(json!(code), name),
            None => assert!(
                ["UNAUTHENTICATED", "PERMISSION_DENIED", "NOT_FOUND"]
                    .contains(&name.as_str().unwrap())
            ),
        }
        assert_eq!(answer.retry_after, None);
    }
    assert_eq!(world.send(&world.message()).await.status, 200);
}

#[tokio::test]
async fn a_wait_is_asked_for_in_seconds_and_as_a_date() {
    let world = World::new().await;
    for (wait, text) in
        [(RetryAfter::Seconds(30), "30"), (RetryAfter::DateIn(30), "Mon, 05 Jan 2026 09:00:30 GMT")]
    {
        let fault = Fault::Error { code: ErrorCode::Unavailable, retry_after: Some(wait) };
        world.server.faults().order(fault).unwrap();
        let answer = world.send(&world.message()).await;
        assert_eq!((answer.status, answer.retry_after.as_deref()), (503, Some(text)));
    }
}

#[tokio::test]
async fn a_quota_is_kept_when_asked_for() {
    let world = World::with(|settings| settings.messages_per_minute = Some(1)).await;
    assert_eq!(world.send(&world.message()).await.status, 200);
    let answer = world.send(&world.message()).await;
    assert_eq!((answer.status, answer.code().as_deref()), (429, Some("QUOTA_EXCEEDED")));
    assert_eq!(answer.retry_after.as_deref(), Some("60"));
    world.clock.advance(60);
    assert_eq!(world.send(&world.message()).await.status, 200);
}

#[tokio::test]
async fn a_fault_may_be_for_one_token() {
    let world = World::new().await;
    let other = world.server.installations().install(PROJECT).unwrap();
    let fault = Fault::Error { code: ErrorCode::Unregistered, retry_after: None };
    world.server.faults().order(Order::from(fault).for_token(&other)).unwrap();
    assert_eq!(world.send(&world.message()).await.status, 200);
    let mut message = world.message();
    message["message"]["token"] = other.into();
    assert_eq!(world.send(&message).await.code().as_deref(), Some("UNREGISTERED"));
    assert_eq!(world.send(&message).await.status, 200);
}

#[tokio::test]
async fn the_token_endpoint_may_refuse() {
    let world = World::new().await;
    let fault = Fault::TokenRefused { status: 503, error: "temporarily_unavailable".to_owned() };
    world.server.faults().order(fault).unwrap();
    let answer = world.ask_for_token(&world.assertion(&world.claims())).await;
    assert_eq!((answer.status, &answer.json()["error"]), (503, &json!("temporarily_unavailable")));
    assert_eq!(world.ask_for_token(&world.assertion(&world.claims())).await.status, 200);
}

#[tokio::test]
async fn an_answer_may_be_none_of_googles_or_not_come() {
    let world = World::new().await;
    let token = world.access_token().await;
    let fault = Fault::Answer {
        status: 502,
        content_type: Some("text/html".to_owned()),
        body: "<h1>Bad gateway</h1>".to_owned(),
    };
    world.server.faults().order(fault).unwrap();
    assert_eq!(world.send(&world.message()).await.body, "<h1>Bad gateway</h1>");
    world.server.faults().order(Fault::Reset { code: 2 }).unwrap();
    assert!(world.try_to_send(PROJECT, &token, world.message().to_string()).await.is_err());
    world.server.faults().order(Fault::Hang { headers: true }).unwrap();
    let url = format!("{}/v1/projects/{PROJECT}/messages:send", world.server.url());
    let request = world.client.post(&url).bearer_auth(&token).body(world.message().to_string());
    let mut response = request.send().await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
    let chunk = response.chunk();
    tokio::pin!(chunk);
    let pending = std::future::poll_fn(|context| {
        std::task::Poll::Ready(chunk.as_mut().poll(context).is_pending())
    });
    assert!(pending.await);
    world.server.faults().order(Fault::Delay { milliseconds: 1 }).unwrap();
    assert_eq!(world.send(&world.message()).await.status, 200);
}

#[tokio::test]
async fn what_is_accepted_may_be_lost_or_doubled() {
    let world = World::new().await;
    let mailbox = world.server.installations().mailbox(&world.token).unwrap();
    for (fault, count) in [(Fault::Lose {}, 0), (Fault::Duplicate {}, 2), (Fault::HoldBack {}, 0)] {
        world.server.faults().order(fault).unwrap();
        assert_eq!(world.send(&world.message()).await.status, 200);
        assert_eq!(std::iter::from_fn(|| mailbox.next()).count(), count);
    }
    world.server.installations().release(&world.token).unwrap();
    assert!(world.server.installations().receive(&world.token, AT_ONCE).await.is_some());
}
