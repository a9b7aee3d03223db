//! What the store counts and times: group commits, queues, and what counts only once it is committed.

use std::{pin::pin, task::Context};

use countersign_store::{Engine, Settings, StoreError, Tx};

use crate::{
    engines::{Answer, Body, Database, body},
    gate::gate,
};

on_both_engines!(
    what_is_tallied_counts_once_it_is_committed,
    writes_reads_and_commits_are_timed,
    who_finds_no_place_is_counted,
);

const COUNT: &str = "SELECT COUNT(*) FROM things";

async fn insert(tx: &mut Tx<'_>, id: i64) -> Result<(), StoreError> {
    tx.execute("INSERT INTO things (id) VALUES ($1)", &[id.into()]).await.map(drop)
}

#[tokio::test]
async fn writers_that_come_together_share_a_commit() {
    let database = Database::with_tables(Engine::Sqlite).await;
    let before = database.store.meters().groups.distribution();
    let (gate, mut keeper) = gate();
    let held = body(move |tx| {
        let gate = gate.clone();
        Box::pin(async move {
            gate.pass(tx.engine()).await;
            insert(tx, 0).await
        })
    });
    let store = database.store.clone();
    let holding = tokio::spawn(async move { store.write(held).await });
    keeper.arrival().await;
    let write = |id: i64| database.store.write(body(move |tx| Box::pin(insert(tx, id))));
    let mut writers: Vec<_> = (1..=40).map(|id| Box::pin(write(id))).collect();
    for writer in &mut writers {
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert!(pin!(writer).poll(&mut context).is_pending(), "the writer is held");
    }
    assert_eq!(database.store.load().queues[0].callers, 41);
    keeper.open();
    holding.await.unwrap().unwrap();
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(database.number(COUNT).await, 41);
    let groups = database.store.meters().groups.distribution();
    assert_eq!(groups.count() - before.count(), 1, "one commit for all");
    assert_eq!(groups.sum - before.sum, 41, "and all in it");
    assert_eq!(database.store.load().queues[0].callers, 0);
    database.remove().await;
}

/// Tells of `kind`, and then ends as it is told.
fn telling(kind: &'static str, end: Result<(), StoreError>) -> Body<impl Tells, ()> {
    body(move |tx: &mut Tx<'_>| {
        let end = end.clone();
        Box::pin(async move {
            tx.tally(kind, ["USER.LOCKED", "ann@bank.example", ""]);
            end
        })
    })
}

trait Tells: for<'a> Fn(&'a mut Tx<'_>) -> Answer<'a, ()> + Send + Sync + 'static {}
impl<F: for<'a> Fn(&'a mut Tx<'_>) -> Answer<'a, ()> + Send + Sync + 'static> Tells for F {}

async fn what_is_tallied_counts_once_it_is_committed(database: &mut Database) {
    let store = &database.store;
    store.write(telling("kept", Ok(()))).await.unwrap();
    store.write(telling("kept", Ok(()))).await.unwrap();
    store.write(telling("refused", Err(StoreError::Conflict))).await.unwrap_err();
    let told: Vec<_> = store.meters().tally.iter().map(|it| (it.kind, it.count.get())).collect();
    let committed: Vec<_> = told.into_iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(committed, [("kept", 2)]);
    let labels = store.meters().tally.iter().find(|it| it.kind == "kept").unwrap().labels.clone();
    assert_eq!(labels, ["USER.LOCKED", "other", ""], "data is no label");
}

async fn writes_reads_and_commits_are_timed(database: &mut Database) {
    let meters = database.store.meters();
    let counts =
        || [&meters.writes, &meters.reads, &meters.commits].map(|it| it.distribution().count());
    let before = counts();
    database.execute("INSERT INTO things (id) VALUES (1)").await.unwrap();
    database.number(COUNT).await;
    let after = counts();
    assert_eq!([0, 1, 2].map(|at| after[at] - before[at]), [1, 1, 1]);
    assert_eq!(meters.failed_commits.get(), 0);
}

async fn who_finds_no_place_is_counted(database: &mut Database) {
    let settings = Settings { callers: 1, ..database.settings.clone() };
    database.reopen(settings).await;
    let (gate, mut keeper) = gate();
    let held = body(move |tx| {
        let gate = gate.clone();
        Box::pin(async move {
            gate.pass(tx.engine()).await;
            Ok(())
        })
    });
    let store = database.store.clone();
    let holding = tokio::spawn(async move { store.write(held).await });
    keeper.arrival().await;
    assert!(matches!(database.store.ping().await, Err(StoreError::Busy)));
    let load = database.store.load();
    let queue = load.queues[0];
    assert_eq!((queue.callers, queue.limit, queue.refused), (1, 1, 1));
    let connections = load.connections.map(|pool| (pool.limit, pool.open, pool.idle));
    let expected = matches!(database.store.engine(), Engine::Postgres).then_some((4, 1, 0));
    assert_eq!(connections, expected);
    keeper.open();
    holding.await.unwrap().unwrap();
}
