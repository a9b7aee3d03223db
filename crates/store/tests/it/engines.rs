//! Runs a test on `SQLite` and on PostgreSQL, each with a database of its own.

use std::{
    marker::PhantomData,
    pin::Pin,
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use countersign_protocol::time::Timestamp;
use countersign_store::{
    Engine, Settings, Store, StoreError, Tx, Value, Work,
    migrate::{self, Migration},
};
use tempfile::TempDir;
use tokio_postgres::NoTls;

/// The tables of the tests of the foundation.
pub const TABLES: &[Migration] = &[Migration {
    version: 1,
    name: "tables of the tests",
    sql: "
        CREATE TABLE owners (
            id BIGINT NOT NULL PRIMARY KEY,
            tenant TEXT NOT NULL,
            name TEXT NOT NULL,
            email TEXT,
            UNIQUE (tenant, name)
        );
        CREATE UNIQUE INDEX owners_email_key ON owners (email);
        CREATE TABLE things (
            id BIGINT NOT NULL PRIMARY KEY,
            owner_id BIGINT REFERENCES owners (id),
            number BIGINT,
            truth BOOLEAN,
            label TEXT,
            bytes BYTEA
        );
        CREATE TABLE lights (
            id BYTEA NOT NULL PRIMARY KEY,
            environment_id BYTEA NOT NULL,
            version BIGINT NOT NULL,
            state TEXT NOT NULL,
            data TEXT NOT NULL,
            expires_at BIGINT NOT NULL
        );
    ",
}];

pub const NOW: Timestamp = Timestamp::from_unix_seconds(1_767_603_600);

/// A database that no other test uses.
pub struct Database {
    pub store: Store,
    pub settings: Settings,
    place: Place,
}

enum Place {
    Folder(TempDir),
    Schema(String),
}

impl Database {
    /// An empty database.
    pub async fn empty(engine: Engine) -> Self {
        let (url, place) = match engine {
            Engine::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("store.db");
                (format!("sqlite:{}", path.display()), Place::Folder(folder))
            }
            Engine::Postgres => {
                let schema = new_schema().await;
                let base = postgres_url();
                let mark = if base.contains('?') { '&' } else { '?' };
                (format!("{base}{mark}options=-csearch_path%3D{schema}"), Place::Schema(schema))
            }
        };
        let settings = Settings { connections: 4, ..Settings::new(url) };
        let store = Store::open(&settings).await.unwrap();
        Self { store, settings, place }
    }

    /// A database with [`TABLES`].
    pub async fn with_tables(engine: Engine) -> Self {
        let database = Self::empty(engine).await;
        migrate::apply(&database.store, TABLES, NOW).await.unwrap();
        database
    }

    /// The same database, opened anew.
    pub async fn reopen(&mut self, settings: Settings) {
        self.store.close().await;
        self.store = Store::open(&settings).await.unwrap();
        self.settings = settings;
    }

    /// The folder of the `SQLite` file.
    pub fn folder(&self) -> &std::path::Path {
        match &self.place {
            Place::Folder(folder) => folder.path(),
            Place::Schema(_) => panic!("PostgreSQL has no folder"),
        }
    }

    /// Not done when a test fails, so that there is something to look at.
    pub async fn remove(self) {
        self.store.close().await;
        if let Place::Schema(schema) = self.place {
            administer(&format!("DROP SCHEMA {schema} CASCADE")).await;
        }
    }

    pub async fn execute(&self, sql: &'static str) -> Result<u64, StoreError> {
        self.store.write(body(move |tx| Box::pin(tx.execute(sql, &[])))).await
    }

    /// The number that a query finds.
    pub async fn number(&self, sql: &'static str) -> i64 {
        let number = body(move |tx| Box::pin(number(tx, sql)));
        self.store.read(number).await.unwrap()
    }
}

async fn number(tx: &mut Tx<'_>, sql: &'static str) -> Result<i64, StoreError> {
    tx.query_one(sql, &[]).await?.unwrap().int(0)
}

/// What a [`body`] returns.
pub type Answer<'a, T, E = StoreError> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'a>>;

/// A body made of a closure.
pub struct Body<F, T> {
    run: F,
    output: PhantomData<fn() -> T>,
}

pub fn body<F, T>(run: F) -> Body<F, T>
where
    F: for<'a> Fn(&'a mut Tx<'_>) -> Answer<'a, T> + Send + Sync + 'static,
{
    Body { run, output: PhantomData }
}

impl<F, T: Send + 'static> Work for Body<F, T>
where
    F: for<'a> Fn(&'a mut Tx<'_>) -> Answer<'a, T> + Send + Sync + 'static,
{
    type Output = T;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<T, StoreError> {
        (self.run)(tx).await
    }
}

/// One statement with its parameters; the output is how many rows it changed.
pub struct Statement(pub &'static str, pub Vec<Value<'static>>);

impl Work for Statement {
    type Output = u64;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<u64, StoreError> {
        tx.execute(self.0, &self.1).await
    }
}

/// Whether this run goes without an engine, by request.
pub fn is_skipped(engine: Engine) -> bool {
    engine == Engine::Postgres
        && environment("COUNTERSIGN_TEST_SKIP")
            .is_some_and(|skipped| skipped.split(',').any(|part| part == "postgres"))
}

pub fn postgres_url() -> String {
    environment("TEST_DATABASE_URL").expect(
        "TEST_DATABASE_URL names no PostgreSQL: use `cargo xtask test`, or set COUNTERSIGN_TEST_SKIP=postgres",
    )
}

#[expect(clippy::disallowed_methods, reason = "the test harness reads the environment")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

async fn new_schema() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let schema = format!("test_{}_{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    administer(&format!("DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}")).await;
    schema
}

/// Runs statements on a connection of its own.
pub async fn administer(sql: &str) {
    let (client, connection) = tokio_postgres::connect(&postgres_url(), NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    client.batch_execute(sql).await.unwrap();
    drop(client);
    connection.await.unwrap().unwrap();
}

/// Runs each of these `async fn name(database: &mut Database)` on both engines, with [`TABLES`].
macro_rules! on_both_engines {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(on_engine!($name, countersign_store::Engine::Sqlite);)*
        }
        mod postgres {
            $(on_engine!($name, countersign_store::Engine::Postgres);)*
        }
    };
}

/// Runs `async fn name(database: &mut Database)` on one engine.
macro_rules! on_engine {
    ($name:ident, $engine:expr) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            if !$crate::engines::is_skipped($engine) {
                let mut database = $crate::engines::Database::with_tables($engine).await;
                super::$name(&mut database).await;
                database.remove().await;
            }
        }
    };
}
