//! What a body may rely on, whatever the engine.

use std::{future::poll_fn, pin::pin, task::Poll};

use countersign_store::{Row, Settings, StoreError, Tx, Value};

use crate::{
    engines::{Database, Statement, body},
    gate::gate,
};

on_both_engines!(
    values_come_back_as_they_went_in,
    parameters_are_bound_by_number,
    parameters_must_match_the_statement,
    text_with_nul_is_refused,
    a_value_of_another_kind_is_corrupt,
    several_rows_are_not_one,
    a_duplicate_names_its_constraint,
    a_missing_parent_is_a_conflict,
    a_failed_statement_ends_its_transaction,
    a_body_that_ignores_a_failed_statement_leaves_nothing,
    a_refusing_body_leaves_nothing,
    a_panicking_body_leaves_nothing_and_harms_nobody,
    a_swap_needs_exactly_one_row,
    a_written_row_is_read_at_once,
    a_read_changes_nothing,
    a_read_sees_one_snapshot,
    a_caller_that_leaves_leaves_no_half,
    callers_beyond_the_limit_are_refused,
    a_closed_store_has_kept_what_it_accepted,
);

const INSERT_THING: &str =
    "INSERT INTO things (id, number, truth, label, bytes) VALUES ($1, $2, $3, $4, $5)";
const THINGS: &str = "SELECT number, truth, label, bytes FROM things ORDER BY id";
const COUNT: &str = "SELECT COUNT(*) FROM things";

async fn values_come_back_as_they_went_in(database: &mut Database) {
    let rows = [
        [Value::Null, Value::Null, Value::Null, Value::Null],
        [i64::MAX.into(), true.into(), "Ünïcode ✓".into(), [0_u8, 255].into()],
        [i64::MIN.into(), false.into(), "".into(), [0_u8; 0].into()],
    ];
    for (id, [number, truth, label, bytes]) in (0..).zip(rows) {
        let row = vec![Value::Int(id), number, truth, label, bytes];
        assert_eq!(database.store.write(Statement(INSERT_THING, row)).await.unwrap(), 1);
    }
    let rows = database.store.read(body(|tx| Box::pin(tx.query(THINGS, &[])))).await.unwrap();
    let read = |row: &Row| {
        let text = row.opt_text(2).unwrap().map(str::to_owned);
        let bytes = row.opt_blob(3).unwrap().map(<[u8]>::to_vec);
        (row.opt_int(0).unwrap(), row.opt_bool(1).unwrap(), text, bytes)
    };
    let read: Vec<_> = rows.iter().map(read).collect();
    let full = (Some(i64::MAX), Some(true), Some("Ünïcode ✓".to_owned()), Some(vec![0, 255]));
    let least = (Some(i64::MIN), Some(false), Some(String::new()), Some(vec![]));
    assert_eq!(read, [(None, None, None, None), full, least]);
}

async fn parameters_are_bound_by_number(database: &mut Database) {
    const REVERSED: &str = "INSERT INTO things (label, number, id) VALUES ($3, $2, $1)";
    let row = vec![Value::Int(1), Value::Int(2), "three".into()];
    database.store.write(Statement(REVERSED, row)).await.unwrap();
    assert_eq!(database.number("SELECT number FROM things WHERE id = 1").await, 2);
}

async fn parameters_must_match_the_statement(database: &mut Database) {
    const SQL: &str = "UPDATE things SET number = $1 WHERE id = $2";
    for params in [vec![], vec![Value::Int(1)], vec![Value::Int(1); 3]] {
        let result = database.store.write(Statement(SQL, params)).await;
        assert!(matches!(result, Err(StoreError::Bug { .. })), "{result:?}");
    }
}

async fn text_with_nul_is_refused(database: &mut Database) {
    const SQL: &str = "UPDATE things SET label = $1";
    database.execute("INSERT INTO things (id) VALUES (1)").await.unwrap();
    let result = database.store.write(Statement(SQL, vec!["a\0b".into()])).await;
    assert!(matches!(result, Err(StoreError::Bug { .. })), "{result:?}");
}

async fn a_value_of_another_kind_is_corrupt(database: &mut Database) {
    database.execute("INSERT INTO things (id, label) VALUES (7, 'x')").await.unwrap();
    let row = body(|tx| Box::pin(tx.query_one("SELECT id, label, bytes FROM things", &[])));
    let row = database.store.read(row).await.unwrap().unwrap();
    let errors = [
        row.text(0).map(drop),
        row.bool(0).map(drop),
        row.int(1).map(drop),
        row.blob(1).map(drop),
        row.blob(2).map(drop),
        row.bytes::<16>(2).map(drop),
        row.int(3).map(drop),
    ];
    for error in errors {
        assert!(matches!(error, Err(StoreError::Corrupt { .. })), "{error:?}");
    }
    let message = row.int(1).unwrap_err().to_string();
    assert_eq!(
        message,
        "stored data is malformed: column 1 of `SELECT id, label, bytes FROM things` is not a number"
    );
}

async fn several_rows_are_not_one(database: &mut Database) {
    database.execute("INSERT INTO things (id) VALUES (1), (2)").await.unwrap();
    let one = body(|tx| Box::pin(tx.query_one("SELECT id FROM things", &[])));
    let result = database.store.read(one).await;
    assert!(matches!(result, Err(StoreError::Bug { .. })), "{result:?}");
}

async fn a_duplicate_names_its_constraint(database: &mut Database) {
    let insert = "INSERT INTO owners VALUES (1, 'a', 'ann', 'ann@example.com')";
    database.execute(insert).await.unwrap();
    for (sql, expected) in [
        ("INSERT INTO owners VALUES (1, 'b', 'bob', NULL)", "owners_pkey"),
        ("INSERT INTO owners VALUES (2, 'a', 'ann', NULL)", "owners_tenant_name_key"),
        ("INSERT INTO owners VALUES (2, 'b', 'bob', 'ann@example.com')", "owners_email_key"),
    ] {
        match database.execute(sql).await {
            Err(StoreError::Duplicate { constraint }) => assert_eq!(constraint, expected),
            result => panic!("{sql}: {result:?}"),
        }
    }
}

async fn a_missing_parent_is_a_conflict(database: &mut Database) {
    let result = database.execute("INSERT INTO things (id, owner_id) VALUES (1, 1)").await;
    assert!(matches!(result, Err(StoreError::Conflict)), "{result:?}");
}

async fn a_failed_statement_ends_its_transaction(database: &mut Database) {
    let stubborn = body(|tx| Box::pin(goes_on(tx)));
    let result = database.store.write(stubborn).await;
    assert!(matches!(result, Err(StoreError::Bug { .. })), "{result:?}");
    assert_eq!(database.number(COUNT).await, 0);
}

async fn goes_on(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    insert(tx, 1).await?;
    assert!(matches!(insert(tx, 1).await, Err(StoreError::Duplicate { .. })));
    insert(tx, 2).await
}

async fn a_body_that_ignores_a_failed_statement_leaves_nothing(database: &mut Database) {
    let careless = body(|tx| {
        Box::pin(async {
            insert(tx, 1).await?;
            drop(insert(tx, 1).await);
            Ok(())
        })
    });
    let result = database.store.write(careless).await;
    assert!(matches!(result, Err(StoreError::Bug { .. })), "{result:?}");
    assert_eq!(database.number(COUNT).await, 0);
}

async fn a_refusing_body_leaves_nothing(database: &mut Database) {
    let result = database.store.write(body(|tx| Box::pin(refuses(tx)))).await;
    assert!(matches!(result, Err(StoreError::Conflict)), "{result:?}");
    assert_eq!(database.number(COUNT).await, 0);
}

async fn refuses(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    insert(tx, 1).await?;
    Err(StoreError::Conflict)
}

async fn a_panicking_body_leaves_nothing_and_harms_nobody(database: &mut Database) {
    let panics = || {
        body(|tx| {
            Box::pin(async {
                insert(tx, 1).await?;
                panic!("a test wants it")
            })
        })
    };
    let results: [Result<(), _>; 2] =
        [database.store.write(panics()).await, database.store.read(panics()).await];
    for result in results {
        assert!(matches!(result, Err(StoreError::Bug { .. })), "{result:?}");
    }
    assert_eq!(database.number(COUNT).await, 0);
    database.execute("INSERT INTO things (id) VALUES (1)").await.unwrap();
}

async fn a_swap_needs_exactly_one_row(database: &mut Database) {
    database.execute("INSERT INTO things (id) VALUES (1), (2)").await.unwrap();
    let swap = |sql| body(move |tx| Box::pin(tx.swap(sql, &[])));
    database.store.write(swap("UPDATE things SET number = 1 WHERE id = 1")).await.unwrap();
    let none = database.store.write(swap("UPDATE things SET number = 2 WHERE id = 3")).await;
    assert!(matches!(none, Err(StoreError::Conflict)), "{none:?}");
    let both = database.store.write(swap("UPDATE things SET number = 3")).await;
    assert!(matches!(both, Err(StoreError::Bug { .. })), "{both:?}");
    assert_eq!(database.number("SELECT COUNT(*) FROM things WHERE number = 3").await, 0);
}

async fn a_written_row_is_read_at_once(database: &mut Database) {
    for id in 1..=50 {
        let sql = "INSERT INTO things (id) VALUES ($1)";
        database.store.write(Statement(sql, vec![Value::Int(id)])).await.unwrap();
        assert_eq!(database.number(COUNT).await, id);
    }
}

async fn a_read_changes_nothing(database: &mut Database) {
    let result = database.store.read(body(|tx| Box::pin(insert(tx, 1)))).await;
    assert!(matches!(result, Err(StoreError::Bug { .. })), "{result:?}");
    assert_eq!(database.number(COUNT).await, 0);
}

async fn a_read_sees_one_snapshot(database: &mut Database) {
    let (gate, mut keeper) = gate();
    let twice = body(move |tx| {
        let gate = gate.clone();
        Box::pin(async move {
            let before = tx.query(THINGS, &[]).await?.len();
            gate.pass(tx.engine()).await;
            Ok((before, tx.query(THINGS, &[]).await?.len()))
        })
    });
    let store = database.store.clone();
    let reading = tokio::spawn(async move { store.read(twice).await });
    keeper.arrival().await;
    database.execute("INSERT INTO things (id) VALUES (1)").await.unwrap();
    keeper.open();
    assert_eq!(reading.await.unwrap().unwrap(), (0, 0));
}

async fn a_caller_that_leaves_leaves_no_half(database: &mut Database) {
    for id in 0..50 {
        let both = body(move |tx| {
            Box::pin(async move {
                insert(tx, 2 * id).await?;
                insert(tx, 2 * id + 1).await
            })
        });
        let mut writing = pin!(database.store.write(both));
        // Each caller leaves a little later than the one before.
        let mut polls = 0;
        let gives_up = poll_fn(|context| {
            polls += 1;
            if polls > id / 5 { Poll::Ready(()) } else { writing.as_mut().poll(context).map(drop) }
        });
        gives_up.await;
    }
    database.store.ping().await.unwrap();
    let odd = "SELECT COUNT(*) FROM things WHERE id % 2 = 1";
    assert_eq!(database.number(COUNT).await, 2 * database.number(odd).await);
}

async fn callers_beyond_the_limit_are_refused(database: &mut Database) {
    database.reopen(Settings { callers: 1, ..database.settings.clone() }).await;
    let (gate, mut keeper) = gate();
    let waits = body(move |tx| {
        let gate = gate.clone();
        Box::pin(async move {
            gate.pass(tx.engine()).await;
            insert(tx, 1).await
        })
    });
    let store = database.store.clone();
    let writing = tokio::spawn(async move { store.write(waits).await });
    keeper.arrival().await;
    let refused = database.store.ping().await;
    assert!(matches!(refused, Err(StoreError::Busy)), "{refused:?}");
    keeper.open();
    writing.await.unwrap().unwrap();
    database.store.ping().await.unwrap();
}

async fn a_closed_store_has_kept_what_it_accepted(database: &mut Database) {
    let store = database.store.clone();
    let mut accepted: Vec<_> =
        (0..50).map(|id| Box::pin(store.write(body(move |tx| Box::pin(insert(tx, id)))))).collect();
    for writing in &mut accepted {
        assert!(poll_fn(|context| Poll::Ready(writing.as_mut().poll(context).is_pending())).await);
    }
    tokio::join!(store.close(), async {
        for writing in accepted {
            writing.await.unwrap();
        }
    });
    for result in [store.ping().await, store.read(body(|tx| Box::pin(insert(tx, 50)))).await] {
        assert!(matches!(result, Err(StoreError::Unavailable { .. })), "{result:?}");
    }
    database.reopen(database.settings.clone()).await;
    assert_eq!(database.number(COUNT).await, 50);
}

async fn insert(tx: &mut Tx<'_>, id: i64) -> Result<(), StoreError> {
    tx.execute("INSERT INTO things (id) VALUES ($1)", &[id.into()]).await.map(drop)
}
