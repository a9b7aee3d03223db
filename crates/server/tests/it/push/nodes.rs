//! Several nodes over one database: a message that one of them has leased is neither lost with it nor settled twice.

use std::{sync::Arc, time::Duration};

use countersign_domain::outbox::Rules;
use countersign_emulator::push_service::fault::Fault;
use countersign_protocol::mobile_payload::PushService;
use countersign_sdk::{NotificationObject, RemoteNotification};
use countersign_server::app::App;
use countersign_store::Engine;
use tokio::task::JoinHandle;

use crate::{database::is_skipped, world::PushWorld};

/// How long a node waits for the push service, on the clock of the machine.
const CALL_LIMIT: Duration = Duration::from_secs(1);

async fn world() -> Option<PushWorld> {
    if is_skipped(Engine::Postgres) {
        return None;
    }
    let change = |settings: &mut countersign_server::Settings| {
        settings.push.request_timeout = CALL_LIMIT;
    };
    let mut w = PushWorld::with(Engine::Postgres, PushService::Fcm, change).await;
    w.ask_by_push(|_| {}).await;
    Some(w)
}

/// Lets a node begin to send, and gives it back once the push service has its request, which it never answers.
async fn hangs(w: &PushWorld, node: &Arc<App>) -> JoinHandle<usize> {
    let faults = w.services.faults(PushService::Fcm);
    faults.order(Fault::Hang { headers: false }).unwrap();
    let node = Arc::clone(node);
    let sending = tokio::spawn(async move { node.send_due().await.unwrap() });
    while !faults.list().is_empty() {
        tokio::task::yield_now().await;
    }
    sending
}

fn lease_ends(w: &PushWorld) {
    w.world.advance(Rules::default().lease_seconds.into());
}

async fn left(w: &PushWorld) -> i64 {
    w.world.server.outbox_depth().await.unwrap().messages
}

/// The only question that the phone has got.
async fn only_question(w: &PushWorld) -> NotificationObject {
    let message = w.services.receive(PushService::Fcm, &w.token).await;
    assert!(!w.services.has_message(PushService::Fcm, &w.token), "it was sent twice");
    match w.phone.sdk.process_remote_notification(&message.delivered).await.unwrap() {
        RemoteNotification::Notification(question) => question,
        other => panic!("not a question: {other:?}"),
    }
}

#[tokio::test]
async fn what_a_node_has_leased_that_dies_is_sent_by_another_when_the_lease_ends() {
    let Some(w) = world().await else { return };
    let (other, _) = w.world.another_node().await;
    let mut sign_on = w.sign_in_elsewhere().await;
    let dying = hangs(&w, &other).await;
    dying.abort();
    assert!(dying.await.unwrap_err().is_cancelled());
    assert_eq!(w.world.server.send_due().await.unwrap(), 0, "the lease keeps others away");
    lease_ends(&w);
    assert_eq!(w.world.server.send_due().await.unwrap(), 1);
    assert_eq!(left(&w).await, 0);
    only_question(&w).await.approve("fpt", None).await.unwrap();
    assert_eq!(sign_on.refresh().await, "COMPLETED");
    other.store().close().await;
    w.world.end().await;
}

#[tokio::test]
async fn a_node_that_is_slower_than_its_lease_settles_nothing() {
    let Some(w) = world().await else { return };
    let (other, _) = w.world.another_node().await;
    let mut sign_on = w.sign_in_elsewhere().await;
    let slow = hangs(&w, &other).await;
    lease_ends(&w);
    assert_eq!(w.world.server.send_due().await.unwrap(), 1);
    // Its attempt has failed, and would be tried again if the message were still its own.
    assert_eq!(slow.await.unwrap(), 1);
    assert_eq!(left(&w).await, 0, "what was delivered does not come back");
    only_question(&w).await.approve("fpt", None).await.unwrap();
    assert_eq!(sign_on.refresh().await, "COMPLETED");
    other.store().close().await;
    w.world.end().await;
}

#[tokio::test]
async fn nodes_that_send_at_the_same_time_share_the_messages_out() {
    let Some(w) = world().await else { return };
    let (other, _) = w.world.another_node().await;
    w.world.user("bob").await;
    let (_, token) = w.another("bob").await;
    let mut bob = w.world.app().begin().await;
    bob.password("bob", crate::world::PASSWORD).await.must_be(200);
    w.sign_in_elsewhere().await;
    let (here, there) = tokio::join!(w.world.server.send_due(), other.send_due());
    assert_eq!(here.unwrap() + there.unwrap(), 2);
    assert_eq!(left(&w).await, 0);
    for token in [&w.token, &token] {
        w.services.receive(PushService::Fcm, token).await;
        assert!(!w.services.has_message(PushService::Fcm, token), "it was sent twice");
    }
    other.store().close().await;
    w.world.end().await;
}
