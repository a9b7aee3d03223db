//! Brings the schema to the version that the program knows.

use aws_lc_rs::digest;
use countersign_protocol::time::Timestamp;

use crate::{Engine, Store, StoreError, Tx, Work};

/// The statements of this module.
pub const STATEMENTS: &[&str] = &[LIST, INSERT];

const LIST: &str = "SELECT version, digest FROM schema_migration ORDER BY version";

const INSERT: &str =
    "INSERT INTO schema_migration (version, name, digest, applied_at) VALUES ($1, $2, $3, $4)
    ON CONFLICT (version) DO NOTHING";

pub(crate) const HISTORY: &str = "CREATE TABLE IF NOT EXISTS schema_migration (
    version BIGINT PRIMARY KEY,
    name TEXT NOT NULL,
    digest BYTEA NOT NULL,
    applied_at BIGINT NOT NULL
);";

/// The schema, step by step. A step that has been released is never edited: add another.
pub const MIGRATIONS: &[Migration] =
    &[Migration { version: 1, name: "init", sql: include_str!("../migrations/0001_init.sql") }];

/// One step of the schema.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// Counts from 1 without a gap.
    pub version: i64,
    /// What it does, in a word or two.
    pub name: &'static str,
    /// Its statements, in the portable subset.
    pub sql: &'static str,
}

impl Migration {
    pub(crate) fn digest(&self) -> digest::Digest {
        digest::digest(&digest::SHA256, self.sql.as_bytes())
    }
}

/// Why the schema is not what the program needs.
#[derive(Clone, Debug, thiserror::Error)]
pub enum MigrateError {
    /// The database was used by a newer program, which may have given columns another meaning.
    #[error("the schema is at version {found}, this program knows {known}: run a newer one")]
    Newer { found: i64, known: i64 },
    /// A step was applied with another text than it has now.
    #[error("migration {version} has changed since it was applied")]
    Changed { version: i64 },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Applies what is missing of [`MIGRATIONS`] and returns the version reached.
pub async fn run(store: &Store, now: Timestamp) -> Result<i64, MigrateError> {
    apply(store, MIGRATIONS, now).await
}

/// Applies what is missing of `migrations`, each in a transaction of its own, and returns the version reached.
///
/// Several nodes may do this at once.
pub async fn apply(
    store: &Store,
    migrations: &'static [Migration],
    now: Timestamp,
) -> Result<i64, MigrateError> {
    create_history(store).await?;
    let reached = store.read(Check { migrations }).await?;
    for migration in migrations.iter().filter(|migration| migration.version > reached) {
        store.write(Apply { migration, now }).await?;
    }
    // Another node may have applied them, and from another text.
    store.read(Check { migrations }).await
}

/// Two nodes that create a table at once collide in PostgreSQL's catalogue, `IF NOT EXISTS` or not: the second try
/// finds the table.
async fn create_history(store: &Store) -> Result<(), StoreError> {
    match store.write(CreateHistory).await {
        Err(StoreError::Duplicate { .. }) => store.write(CreateHistory).await,
        result => result,
    }
}

struct CreateHistory;

impl Work for CreateHistory {
    type Output = ();
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        tx.script(HISTORY).await
    }
}

struct Apply {
    migration: &'static Migration,
    now: Timestamp,
}

impl Work for Apply {
    type Output = ();
    type Error = StoreError;

    /// The primary key of the history is the lock: a second node waits in the insert until the first has committed, and
    /// then inserts nothing.
    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let Migration { version, name, sql } = *self.migration;
        if tx.engine() == Engine::Postgres {
            // The limit is for requests; SQLite has none.
            tx.script("SET LOCAL statement_timeout = 0").await?;
        }
        let digest = self.migration.digest();
        let row = [version.into(), name.into(), digest.as_ref().into(), self.now.into()];
        if tx.execute(INSERT, &row).await? == 1 {
            tracing::info!(version, name, "the schema changes");
            tx.script(sql).await?;
        }
        Ok(())
    }
}

/// Compares what was applied with what is known; the output is the last version that was applied.
struct Check {
    migrations: &'static [Migration],
}

impl Work for Check {
    type Output = i64;
    type Error = MigrateError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<i64, MigrateError> {
        let known = self.migrations.last().map_or(0, |migration| migration.version);
        let mut reached = 0;
        for row in tx.query(LIST, &[]).await? {
            let version = row.int(0)?;
            let migration = self.migrations.iter().find(|migration| migration.version == version);
            let Some(migration) = migration else {
                return Err(MigrateError::Newer { found: version, known });
            };
            if migration.digest().as_ref() != row.blob(1)? {
                return Err(MigrateError::Changed { version });
            }
            reached = version;
        }
        Ok(reached)
    }
}
