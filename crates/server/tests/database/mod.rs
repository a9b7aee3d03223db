//! A database that no other test uses, on either engine.

use std::{
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use countersign_store::{Engine, unaudited};
use tempfile::TempDir;
use tokio_postgres::NoTls;

/// Where the database of a test is, until the test ends.
pub enum Database {
    File(TempDir),
    Schema(String),
}

impl Database {
    pub async fn new(engine: Engine) -> Self {
        match engine {
            Engine::Sqlite => Self::File(tempfile::tempdir().unwrap()),
            Engine::Postgres => Self::Schema(new_schema().await),
        }
    }

    pub fn url(&self) -> String {
        match self {
            Self::File(folder) => format!("sqlite:{}", folder.path().join("server.db").display()),
            Self::Schema(schema) => {
                let base = postgres_url();
                let mark = if base.contains('?') { '&' } else { '?' };
                format!("{base}{mark}options=-csearch_path%3D{schema}")
            }
        }
    }

    /// Not done when a test fails, so that there is something to look at.
    pub async fn remove(self) {
        assert_audited();
        if let Self::Schema(schema) = self {
            end_transactions(&schema).await;
            administer(&format!("DROP SCHEMA {schema} CASCADE")).await;
        }
    }
}

/// No use case that any test of this process has called so far has changed something and told the audit log nothing. What tests write
/// by themselves is theirs.
fn assert_audited() {
    let found =
        unaudited::found().into_iter().filter(|work| work.starts_with("countersign_server"));
    assert_eq!(found.collect::<Vec<_>>(), [""; 0]);
}

/// Whether this run goes without an engine, by request.
pub fn is_skipped(engine: Engine) -> bool {
    engine == Engine::Postgres
        && environment("COUNTERSIGN_TEST_SKIP")
            .is_some_and(|skipped| skipped.split(',').any(|part| part == "postgres"))
}

fn postgres_url() -> String {
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
    let schema = format!("server_{}_{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    administer(&format!("DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}")).await;
    schema
}

/// A server that was dropped in the middle of a sweep leaves the transaction to the database, which would hold the tables in
/// another order than those who remove them.
async fn end_transactions(schema: &str) {
    administer(&format!(
        "SELECT pg_terminate_backend(pid) FROM (SELECT DISTINCT pid FROM pg_locks \
         JOIN pg_class ON pg_class.oid = relation \
         JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE nspname = '{schema}') AS holders"
    ))
    .await;
}

/// Runs statements on a connection of its own.
async fn administer(sql: &str) {
    let (client, connection) = tokio_postgres::connect(&postgres_url(), NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    client.batch_execute(sql).await.unwrap();
    drop(client);
    connection.await.unwrap().unwrap();
}
