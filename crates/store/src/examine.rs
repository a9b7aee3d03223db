//! What an operator wants to know of a database: its schema, whether it is sound, and what time it is there.

use countersign_protocol::time::Timestamp;

use crate::{Engine, Store, StoreError, Tx, Value, Work};

/// The statements of this module that both engines understand.
pub(crate) const STATEMENTS: &[&str] = &[SCHEMA];

const SCHEMA: &str = "SELECT MAX(version) FROM schema_migration";

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examination {
    /// The version of the schema.
    pub schema: i64,
    /// `SQLite`: the first thing that is wrong with the file, if one is. A PostgreSQL server looks after itself.
    pub damage: Option<String>,
    /// PostgreSQL: the time there. `SQLite` has the time of this machine.
    pub time: Option<Timestamp>,
}

/// Examines the database. On `SQLite` this reads all of the file.
pub async fn examine(store: &Store) -> Result<Examination, StoreError> {
    store.read(Examine).await
}

struct Examine;

impl Work for Examine {
    type Output = Examination;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Examination, StoreError> {
        let schema = tx.query_one(SCHEMA, &[]).await?;
        let schema = schema.map(|row| row.opt_int(0)).transpose()?.flatten().unwrap_or(0);
        let (mut damage, mut time) = (None, None);
        // Each engine is asked in its own words: the questions are not the same.
        match tx.engine() {
            Engine::Sqlite => {
                let Value::Text(verdict) = one(tx, "PRAGMA quick_check(1)").await? else {
                    return Err(StoreError::bug("the check of the file has no verdict"));
                };
                damage = (verdict != "ok").then(|| verdict.into_owned());
            }
            Engine::Postgres => {
                let now = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)";
                let Value::Int(micros) = one(tx, now).await? else {
                    return Err(StoreError::bug("the time is not a number"));
                };
                time = Some(Timestamp::from_micros(micros));
            }
        }
        Ok(Examination { schema, damage, time })
    }
}

async fn one(tx: &mut Tx<'_>, sql: &str) -> Result<Value<'static>, StoreError> {
    let rows = tx.page(sql, &[]).await?;
    let value = rows.into_iter().flatten().next();
    value.ok_or_else(|| StoreError::bug("a question has no answer"))
}
