//! Counts of wrong passwords.

use countersign_domain::{
    id::Id,
    lockout::{Limit, Lockout},
};
use countersign_protocol::time::Timestamp;
use countersign_store::{
    Engine, StoreError, Versioned,
    lockout::{self, Subject},
    migrate,
};

use crate::engines::{Database, NOW, body, is_skipped};

const LIMIT: Limit = Limit { failures: 5, lock_seconds: 900 };

const fn subject(number: u8) -> Subject {
    Subject { environment: Id::from_bytes([1; 16]), hash: [number; 32] }
}

async fn load(database: &Database, subject: Subject, now: Timestamp) -> Option<Versioned<Lockout>> {
    let load = body(move |tx| Box::pin(async move { lockout::load(tx, &subject, now).await }));
    database.store.read(load).await.unwrap()
}

async fn put(
    database: &Database,
    subject: Subject,
    old: Option<Versioned<Lockout>>,
    new: Lockout,
    now: Timestamp,
) -> Result<(), StoreError> {
    let put = body(move |tx| {
        let old = old.clone();
        Box::pin(async move { lockout::put(tx, &subject, old.as_ref(), &new, now).await })
    });
    database.store.write(put).await
}

async fn counts_come_back_until_they_are_forgotten(engine: Engine) {
    let database = Database::empty(engine).await;
    migrate::run(&database.store, NOW).await.unwrap();
    let (mine, other) = (subject(1), subject(2));
    let once = Lockout::default().failed(LIMIT, NOW);
    let twice = once.failed(LIMIT, NOW);
    put(&database, mine, None, once, NOW).await.unwrap();
    assert!(load(&database, other, NOW).await.is_none());
    let read = load(&database, mine, NOW).await;
    assert_eq!(read.as_deref(), Some(&once));
    let late = put(&database, mine, None, twice, NOW).await;
    assert!(matches!(late, Err(StoreError::Conflict)), "somebody else has counted: {late:?}");
    put(&database, mine, read.clone(), twice, NOW).await.unwrap();
    let late = put(&database, mine, read, twice.failed(LIMIT, NOW), NOW).await;
    assert!(matches!(late, Err(StoreError::Conflict)), "somebody else has counted: {late:?}");
    let tomorrow = NOW.plus_seconds(86_400);
    assert_eq!(load(&database, mine, tomorrow.minus_seconds(1)).await.as_deref(), Some(&twice));
    assert!(load(&database, mine, tomorrow).await.is_none());
    put(&database, mine, None, once, tomorrow).await.unwrap();
    let read = load(&database, mine, tomorrow).await;
    assert_eq!(read.as_deref(), Some(&once));
    put(&database, mine, read, Lockout::cleared(), tomorrow).await.unwrap();
    assert!(load(&database, mine, tomorrow).await.is_none());
    put(&database, mine, None, Lockout::cleared(), tomorrow).await.unwrap();
    assert_eq!(database.number("SELECT COUNT(*) FROM lockouts").await, 0, "a clear count is none");
    for number in 1..=3 {
        put(&database, subject(number), None, once, NOW).await.unwrap();
    }
    let forget = body(move |tx| Box::pin(lockout::delete_expired(tx, tomorrow, 2)));
    assert_eq!(database.store.write(forget).await.unwrap(), 2);
    let forget = body(move |tx| Box::pin(lockout::delete_expired(tx, NOW, 2)));
    assert_eq!(database.store.write(forget).await.unwrap(), 0, "what still counts is kept");
    database.remove().await;
}

#[tokio::test]
async fn counts_come_back_until_they_are_forgotten_on_sqlite() {
    counts_come_back_until_they_are_forgotten(Engine::Sqlite).await;
}

#[tokio::test]
async fn counts_come_back_until_they_are_forgotten_on_postgres() {
    if !is_skipped(Engine::Postgres) {
        counts_come_back_until_they_are_forgotten(Engine::Postgres).await;
    }
}
