//! The outbox: what is in it is sent by one worker at a time, and by somebody in the end.

use std::collections::BTreeSet;

use countersign_domain::{
    id::Id,
    outbox::{Content, Message},
};
use countersign_protocol::time::Timestamp;
use countersign_store::{
    Engine, Store, StoreError, migrate,
    outbox::{self, Depth, Leased},
};
use tokio::task::JoinSet;

use crate::engines::{Database, NOW, body, is_skipped};

/// Runs each of these `async fn name(database: &Database)` on both engines, with the tables of the product.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => { $(
        mod $name {
            #[tokio::test]
            async fn on_sqlite() {
                super::run(countersign_store::Engine::Sqlite, super::$name).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres() {
                super::run(countersign_store::Engine::Postgres, super::$name).await;
            }
        }
    )* };
}

on_both!(
    the_longest_due_are_leased_first_and_no_more_than_asked_for,
    a_lease_keeps_others_away_until_it_runs_out,
    what_was_leased_again_is_no_longer_the_first_workers,
    a_message_that_is_postponed_comes_back_then,
    what_a_dead_process_has_leased_is_due_at_once_and_what_is_planned_is_not,
    of_many_workers_each_message_gets_one,
    a_message_of_a_transaction_that_fails_is_none,
    a_commit_wakes_who_waits_and_who_comes_to_wait,
    the_depth_tells_how_much_and_how_old,
);

async fn run(engine: Engine, test: impl AsyncFnOnce(&Database)) {
    if is_skipped(engine) {
        return;
    }
    let database = Database::empty(engine).await;
    migrate::run(&database.store, NOW).await.unwrap();
    test(&database).await;
    database.remove().await;
}

fn message(number: u8, at: Timestamp) -> Message {
    let id = Id::from_bytes([1; 16]);
    Message {
        id: Id::from_bytes([number; 16]),
        environment: id,
        correlation: "c".to_owned(),
        created_at: at,
        content: Content::LogoutToken {
            application: id.cast(),
            user: id.cast(),
            session: id.cast(),
        },
    }
}

async fn insert(database: &Database, message: Message) {
    let insert = body(move |tx| {
        let message = message.clone();
        Box::pin(async move { outbox::insert(tx, &message).await })
    });
    database.store.write(insert).await.unwrap();
}

/// Leases for thirty seconds.
async fn lease(store: &Store, now: Timestamp, limit: u32) -> Vec<Leased> {
    let lease = body(move |tx| Box::pin(outbox::lease(tx, (now, now.plus_seconds(30)), limit)));
    let mut leased = store.write(lease).await.unwrap();
    leased.sort_by_key(|leased| leased.message.id);
    leased
}

async fn delete(database: &Database, leased: &Leased) -> bool {
    let leased = leased.clone();
    let delete = body(move |tx| {
        let leased = leased.clone();
        Box::pin(async move { outbox::delete(tx, &leased).await })
    });
    database.store.write(delete).await.unwrap()
}

async fn postpone(database: &Database, leased: &Leased, at: Timestamp) -> bool {
    let leased = leased.clone();
    let postpone = body(move |tx| {
        let leased = leased.clone();
        Box::pin(async move { outbox::postpone(tx, &leased, at).await })
    });
    database.store.write(postpone).await.unwrap()
}

async fn first_due(database: &Database) -> Option<Timestamp> {
    database.store.read(body(|tx| Box::pin(outbox::first_due(tx)))).await.unwrap()
}

async fn the_longest_due_are_leased_first_and_no_more_than_asked_for(database: &Database) {
    for (number, seconds) in [(1, 3), (2, 1), (3, 2), (4, 9)] {
        insert(database, message(number, NOW.plus_seconds(seconds))).await;
    }
    assert_eq!(first_due(database).await, Some(NOW.plus_seconds(1)));
    let now = NOW.plus_seconds(5);
    let leased = lease(&database.store, now, 2).await;
    let messages = [message(2, NOW.plus_seconds(1)), message(3, NOW.plus_seconds(2))];
    let expected =
        messages.map(|message| Leased { message, attempt: 1, until: now.plus_seconds(30) });
    assert_eq!(leased, expected);
    assert_eq!(lease(&database.store, now, 9).await.len(), 1, "the fourth is not due");
    assert_eq!(lease(&database.store, now, 9).await, []);
    assert_eq!(first_due(database).await, Some(NOW.plus_seconds(9)));
}

async fn a_lease_keeps_others_away_until_it_runs_out(database: &Database) {
    insert(database, message(1, NOW)).await;
    let first = lease(&database.store, NOW, 9).await;
    assert_eq!(lease(&database.store, NOW.plus_seconds(29), 9).await, []);
    let second = lease(&database.store, NOW.plus_seconds(30), 9).await;
    assert_eq!((first[0].attempt, second[0].attempt), (1, 2), "the killed one counts");
    assert_eq!(first[0].message, second[0].message);
    assert!(delete(database, &second[0]).await);
    assert_eq!(first_due(database).await, None);
}

async fn what_was_leased_again_is_no_longer_the_first_workers(database: &Database) {
    insert(database, message(1, NOW)).await;
    let late = lease(&database.store, NOW, 9).await;
    let now = NOW.plus_seconds(30);
    let second = lease(&database.store, now, 9).await;
    assert!(!delete(database, &late[0]).await);
    assert!(!postpone(database, &late[0], now.plus_seconds(1)).await);
    assert!(postpone(database, &second[0], now.plus_seconds(1)).await);
    assert!(!delete(database, &second[0]).await, "it was given back");
    assert_eq!(lease(&database.store, now.plus_seconds(1), 9).await.len(), 1);
}

async fn a_message_that_is_postponed_comes_back_then(database: &Database) {
    insert(database, message(1, NOW)).await;
    let leased = lease(&database.store, NOW, 9).await;
    // Before the lease would have ended.
    let at = NOW.plus_seconds(5);
    assert!(postpone(database, &leased[0], at).await);
    assert_eq!(lease(&database.store, NOW.plus_seconds(4), 9).await, []);
    assert_eq!(lease(&database.store, at, 9).await[0].attempt, 2);
}

async fn what_a_dead_process_has_leased_is_due_at_once_and_what_is_planned_is_not(
    database: &Database,
) {
    let at = NOW.plus_seconds(60);
    let planned = Content::Unpairing { device: Id::from_bytes([1; 16]), since: NOW, at };
    insert(database, Message { content: planned, ..message(1, NOW) }).await;
    insert(database, message(2, NOW)).await;
    assert_eq!(lease(&database.store, NOW, 9).await.len(), 1);
    assert_eq!(lease(&database.store, NOW, 9).await, []);
    let released = database.store.write(body(|tx| Box::pin(outbox::release(tx, NOW)))).await;
    assert_eq!(released.unwrap(), 1);
    let again = lease(&database.store, NOW, 9).await;
    assert_eq!((again.len(), again[0].attempt), (1, 2));
    assert_eq!(lease(&database.store, at, 9).await[0].message.content, planned);
}

async fn of_many_workers_each_message_gets_one(database: &Database) {
    for number in 0..100 {
        insert(database, message(number, NOW)).await;
    }
    let mut workers = JoinSet::new();
    for _ in 0..4 {
        let store = database.store.clone();
        workers.spawn(async move {
            let mut mine = Vec::new();
            // A worker that comes away with nothing has met others: only when nothing is due is everything leased.
            while store.read(body(|tx| Box::pin(outbox::first_due(tx)))).await.unwrap() == Some(NOW)
            {
                mine.extend(lease(&store, NOW, 7).await);
            }
            mine
        });
    }
    let leased: Vec<Leased> = workers.join_all().await.into_iter().flatten().collect();
    assert_eq!(leased.len(), 100);
    assert!(leased.iter().all(|leased| leased.attempt == 1));
    let ids: BTreeSet<_> = leased.iter().map(|leased| leased.message.id).collect();
    assert_eq!(ids.len(), 100);
}

async fn a_message_of_a_transaction_that_fails_is_none(database: &Database) {
    let fail = body(|tx| {
        Box::pin(async move {
            outbox::insert(tx, &message(1, NOW)).await?;
            Err::<(), _>(StoreError::Conflict)
        })
    });
    assert!(database.store.write(fail).await.is_err());
    assert_eq!(first_due(database).await, None);
    let woken = tokio::time::timeout(std::time::Duration::ZERO, database.store.outbox_woken());
    assert!(woken.await.is_err(), "nobody is woken for it");
}

async fn a_commit_wakes_who_waits_and_who_comes_to_wait(database: &Database) {
    insert(database, message(1, NOW)).await;
    database.store.outbox_woken().await;
    let store = database.store.clone();
    let waiting = tokio::spawn(async move {
        store.outbox_woken().await;
        // What has woken it is committed.
        lease(&store, NOW, 9).await.len()
    });
    insert(database, message(2, NOW)).await;
    assert_eq!(waiting.await.unwrap(), 2);
}

async fn the_depth_tells_how_much_and_how_old(database: &Database) {
    let depth = || database.store.read(body(|tx| Box::pin(outbox::depth(tx))));
    assert_eq!(depth().await.unwrap(), Depth { messages: 0, oldest_at: None });
    for number in 1..=3 {
        insert(database, message(number, NOW.plus_seconds(number.into()))).await;
    }
    // What was leased is not sent yet.
    lease(&database.store, NOW.plus_seconds(1), 9).await;
    let expected = Depth { messages: 3, oldest_at: Some(NOW.plus_seconds(1)) };
    assert_eq!(depth().await.unwrap(), expected);
}
