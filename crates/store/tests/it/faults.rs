//! What happens when something breaks: the disk, a commit, a connection, a body.

use std::{
    os::unix::fs::PermissionsExt,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Waker},
    thread::{self, ThreadId},
};

use countersign_store::{Settings, Store, StoreError, Tx, Work};
use tokio::task::{JoinHandle, JoinSet};

use crate::{
    engines::{Answer, Body, Database, Statement, body},
    gate::{Keeper, gate},
};

mod sqlite {
    macro_rules! tests {
        ($($name:ident),* $(,)?) => { $(on_engine!($name, countersign_store::Engine::Sqlite);)* };
    }
    tests!(
        a_full_disk_refuses_writes_until_there_is_space,
        a_failed_commit_fails_its_whole_group,
        a_body_that_waits_is_stopped,
        a_body_whose_caller_is_gone_does_not_begin,
        a_second_process_is_refused,
        the_next_process_waits_for_the_last_one_to_end,
        nobody_else_may_read_the_files,
        the_log_does_not_outlive_a_closed_store,
        a_long_read_does_not_stop_writes,
        a_brief_read_runs_where_it_is_asked_for,
        a_brief_read_waits_for_its_turn,
    );
}

mod postgres {
    macro_rules! tests {
        ($($name:ident),* $(,)?) => { $(on_engine!($name, countersign_store::Engine::Postgres);)* };
    }
    tests!(
        a_body_runs_again_when_its_connection_is_lost,
        a_connection_that_is_lost_twice_is_an_error,
        collisions_end_as_a_conflict,
        a_deadlock_is_resolved,
        an_unknown_commit_is_not_called_a_success,
        an_endless_statement_is_stopped,
    );
}

const COUNT: &str = "SELECT COUNT(*) FROM things";

async fn insert(tx: &mut Tx<'_>, id: i64) -> Result<(), StoreError> {
    tx.execute("INSERT INTO things (id) VALUES ($1)", &[id.into()]).await.map(drop)
}

/// Stands for a disk: the most pages that the file may have.
async fn limit_pages(database: &Database, sql: &'static str) -> i64 {
    let limit = body(move |tx| Box::pin(async move { tx.query(sql, &[]).await?[0].int(0) }));
    database.store.write(limit).await.unwrap()
}

async fn a_full_disk_refuses_writes_until_there_is_space(database: &mut Database) {
    const LARGE: &str = "INSERT INTO things (id, bytes) VALUES ($1, $2)";
    let large = |id: i64| Statement(LARGE, vec![id.into(), vec![0_u8; 100_000].into()]);
    let pages = limit_pages(database, "PRAGMA page_count").await;
    assert!(limit_pages(database, "PRAGMA max_page_count = 40").await >= pages);
    database.store.write(large(1)).await.unwrap();
    let (full, small) = tokio::join!(database.store.write(large(2)), database.store.ping());
    assert!(matches!(full, Err(StoreError::Full { .. })), "{full:?}");
    assert!(matches!(small, Ok(()) | Err(StoreError::Full { .. })), "{small:?}");
    assert_eq!(database.number(COUNT).await, 1);
    limit_pages(database, "PRAGMA max_page_count = 1000").await;
    database.store.write(large(2)).await.unwrap();
    assert_eq!(database.number(COUNT).await, 2);
}

/// Keeps the writer busy until the gate opens, so that what is written meanwhile shares its commit.
async fn hold_the_writer(database: &Database) -> (JoinHandle<Result<(), StoreError>>, Keeper) {
    let (gate, mut keeper) = gate();
    let waits = body(move |tx| {
        let gate = gate.clone();
        Box::pin(async move {
            gate.pass(tx.engine()).await;
            Ok(())
        })
    });
    let store = database.store.clone();
    let holding = tokio::spawn(async move { store.write(waits).await });
    keeper.arrival().await;
    (holding, keeper)
}

/// A deferred foreign key is checked at the commit.
async fn a_failed_commit_fails_its_whole_group(database: &mut Database) {
    let (holding, keeper) = hold_the_writer(database).await;
    let orphan = body(|tx| {
        Box::pin(async {
            tx.query("PRAGMA defer_foreign_keys = ON", &[]).await?;
            tx.execute("INSERT INTO things (id, owner_id) VALUES (1, 1)", &[]).await
        })
    });
    let innocent = body(|tx| Box::pin(insert(tx, 2)));
    let refusing = body(|_| Box::pin(async { Err::<(), _>(StoreError::Conflict) }));
    let (orphan, innocent, refusing, ()) = tokio::join!(
        database.store.write(orphan),
        database.store.write(innocent),
        database.store.write(refusing),
        async { keeper.open() },
    );
    let held = holding.await.unwrap();
    for lost in [held, orphan.map(drop), innocent, refusing] {
        assert!(matches!(lost, Err(StoreError::Unavailable { .. })), "{lost:?}");
    }
    assert_eq!(database.number(COUNT).await, 0);
    database.execute("INSERT INTO things (id) VALUES (1)").await.unwrap();
}

async fn a_body_that_waits_is_stopped(database: &mut Database) {
    let waits = body(|tx| {
        Box::pin(async {
            insert(tx, 1).await?;
            tokio::task::yield_now().await;
            insert(tx, 2).await
        })
    });
    let result = database.store.write(waits).await;
    assert!(matches!(result, Err(StoreError::Bug { .. })), "{result:?}");
    assert_eq!(database.number(COUNT).await, 0);
}

async fn a_body_whose_caller_is_gone_does_not_begin(database: &mut Database) {
    let (holding, keeper) = hold_the_writer(database).await;
    {
        let store = database.store.clone();
        let mut writing = pin!(store.write(body(|tx| Box::pin(insert(tx, 1)))));
        assert!(writing.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    keeper.open();
    holding.await.unwrap().unwrap();
    assert_eq!(database.number(COUNT).await, 0);
}

async fn a_second_process_is_refused(database: &mut Database) {
    let impatient = Settings { connect_timeout_ms: 1, ..database.settings.clone() };
    let second = Store::open(&impatient).await;
    match second {
        Err(error) => assert!(error.to_string().contains("another process"), "{error}"),
        Ok(_) => panic!("both have it open"),
    }
    database.store.close().await;
    database.store = Store::open(&database.settings).await.unwrap();
}

async fn the_next_process_waits_for_the_last_one_to_end(database: &mut Database) {
    let settings = database.settings.clone();
    let mut next = pin!(Store::open(&settings));
    let mut context = Context::from_waker(Waker::noop());
    assert!(next.as_mut().poll(&mut context).is_pending());
    database.store.close().await;
    database.store = next.await.unwrap();
}

async fn nobody_else_may_read_the_files(database: &mut Database) {
    let mut names = Vec::new();
    for file in std::fs::read_dir(database.folder()).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", file.file_name());
        names.push(file.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["store.db", "store.db-lock", "store.db-shm", "store.db-wal"]);
}

async fn the_log_does_not_outlive_a_closed_store(database: &mut Database) {
    database.execute("INSERT INTO things (id) VALUES (1)").await.unwrap();
    database.store.close().await;
    assert!(!database.folder().join("store.db-wal").exists());
    database.reopen(database.settings.clone()).await;
    assert_eq!(database.number(COUNT).await, 1);
}

/// The log grows past the size at which it should start anew, and a reader is in the way.
async fn a_long_read_does_not_stop_writes(database: &mut Database) {
    let (gate, mut keeper) = gate();
    let reads = body(move |tx| {
        let gate = gate.clone();
        Box::pin(async move {
            let before = tx.query(COUNT, &[]).await?[0].int(0)?;
            gate.pass(tx.engine()).await;
            Ok((before, tx.query(COUNT, &[]).await?[0].int(0)?))
        })
    });
    let store = database.store.clone();
    let reading = tokio::spawn(async move { store.read(reads).await });
    keeper.arrival().await;
    for id in 0..20_i64 {
        const LARGE: &str = "INSERT INTO things (id, bytes) VALUES ($1, $2)";
        let large = Statement(LARGE, vec![id.into(), vec![0_u8; 4_000_000].into()]);
        database.store.write(large).await.unwrap();
    }
    keeper.open();
    assert_eq!(reading.await.unwrap().unwrap(), (0, 0));
    assert_eq!(database.number(COUNT).await, 20);
}

/// Tells on which thread it reads.
struct Whereabouts<const BRIEF: bool>;

impl<const BRIEF: bool> Work for Whereabouts<BRIEF> {
    type Output = ThreadId;
    type Error = StoreError;
    const IS_BRIEF: bool = BRIEF;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<ThreadId, StoreError> {
        tx.query(COUNT, &[]).await?;
        Ok(thread::current().id())
    }
}

async fn a_brief_read_runs_where_it_is_asked_for(database: &mut Database) {
    let here = thread::current().id();
    assert_eq!(database.store.read(Whereabouts::<true>).await.unwrap(), here);
    assert_ne!(database.store.read(Whereabouts::<false>).await.unwrap(), here);
}

async fn a_brief_read_waits_for_its_turn(database: &mut Database) {
    let (gate, mut keeper) = gate();
    let mut readers = JoinSet::new();
    for _ in 0..database.settings.connections {
        let (store, gate) = (database.store.clone(), gate.clone());
        let reads = body(move |tx| {
            let gate = gate.clone();
            Box::pin(async move {
                gate.pass(tx.engine()).await;
                Ok::<_, StoreError>(())
            })
        });
        readers.spawn(async move { store.read(reads).await });
        keeper.arrival().await;
    }
    let mut brief = pin!(database.store.read(Whereabouts::<true>));
    assert!(brief.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    for _ in 0..database.settings.connections {
        keeper.open();
    }
    assert_ne!(brief.await.unwrap(), thread::current().id());
    assert!(readers.join_all().await.into_iter().all(|read| read.is_ok()));
}

/// A body that counts how often it runs and fails for its first `failures` runs by this statement.
fn fails(
    failures: u32,
    runs: &Arc<AtomicU32>,
    failure: &'static str,
) -> Body<impl for<'a> Fn(&'a mut Tx<'_>) -> Answer<'a, ()> + use<>, ()> {
    let runs = Arc::clone(runs);
    body(move |tx| {
        let run = runs.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            insert(tx, 1).await?;
            if run < failures {
                tx.query(failure, &[]).await?;
            }
            insert(tx, 2).await
        })
    })
}

const END_CONNECTION: &str = "SELECT pg_terminate_backend(pg_backend_pid())";

async fn a_body_runs_again_when_its_connection_is_lost(database: &mut Database) {
    let runs = Arc::default();
    database.store.write(fails(1, &runs, END_CONNECTION)).await.unwrap();
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    assert_eq!(database.number(COUNT).await, 2);
}

async fn a_connection_that_is_lost_twice_is_an_error(database: &mut Database) {
    let runs = Arc::default();
    let result = database.store.write(fails(u32::MAX, &runs, END_CONNECTION)).await;
    assert!(matches!(result, Err(StoreError::Unavailable { .. })), "{result:?}");
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    assert_eq!(database.number(COUNT).await, 0);
}

async fn collisions_end_as_a_conflict(database: &mut Database) {
    let collide = "CREATE FUNCTION collide() RETURNS BIGINT LANGUAGE plpgsql AS $body$
        BEGIN RAISE EXCEPTION 'collision' USING ERRCODE = '40001'; END $body$";
    database.execute(collide).await.unwrap();
    let (few, many) = (Arc::default(), Arc::default());
    let result = database.store.write(fails(u32::MAX, &many, "SELECT collide()")).await;
    assert!(matches!(result, Err(StoreError::Conflict)), "{result:?}");
    assert_eq!(many.load(Ordering::SeqCst), 8);
    database.store.write(fails(3, &few, "SELECT collide()")).await.unwrap();
    assert_eq!(few.load(Ordering::SeqCst), 4);
    assert_eq!(database.number(COUNT).await, 2);
}

/// Each of two bodies holds the row that the other wants, the first time they run.
async fn a_deadlock_is_resolved(database: &mut Database) {
    database.execute("INSERT INTO things (id, number) VALUES (1, 0), (2, 0)").await.unwrap();
    let meeting = Arc::new(tokio::sync::Barrier::new(2));
    let crossing = |first: i64, second: i64| {
        let (meeting, has_met) = (Arc::clone(&meeting), Arc::new(AtomicU32::new(0)));
        body(move |tx| {
            let (meeting, has_met) = (Arc::clone(&meeting), Arc::clone(&has_met));
            Box::pin(async move {
                add_one(tx, first).await?;
                if has_met.fetch_add(1, Ordering::SeqCst) == 0 {
                    meeting.wait().await;
                }
                add_one(tx, second).await
            })
        })
    };
    let (one, other) =
        tokio::join!(database.store.write(crossing(1, 2)), database.store.write(crossing(2, 1)),);
    one.unwrap();
    other.unwrap();
    assert_eq!(database.number("SELECT COUNT(*) FROM things WHERE number = 2").await, 2);
}

async fn add_one(tx: &mut Tx<'_>, id: i64) -> Result<(), StoreError> {
    tx.swap("UPDATE things SET number = number + 1 WHERE id = $1", &[id.into()]).await
}

/// The connection ends while the server commits.
async fn an_unknown_commit_is_not_called_a_success(database: &mut Database) {
    for sql in [
        "CREATE FUNCTION vanish() RETURNS TRIGGER LANGUAGE plpgsql AS $body$
            BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $body$",
        "CREATE CONSTRAINT TRIGGER vanishing AFTER INSERT ON things
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION vanish()",
    ] {
        database.execute(sql).await.unwrap();
    }
    let result = database.execute("INSERT INTO things (id) VALUES (1)").await;
    match result {
        Err(StoreError::Unavailable { what, .. }) => assert!(what.contains("commit"), "{what}"),
        result => panic!("{result:?}"),
    }
}

async fn an_endless_statement_is_stopped(database: &mut Database) {
    // A busy machine needs as long to open the store, of which each pause in a transaction may take no longer either.
    database.reopen(Settings { statement_timeout_ms: 1_000, ..database.settings.clone() }).await;
    let endless =
        body(|tx| Box::pin(async { tx.query("SELECT pg_sleep(600)", &[]).await.map(drop) }));
    let result = database.store.write(endless).await;
    assert!(matches!(result, Err(StoreError::Unavailable { .. })), "{result:?}");
}
