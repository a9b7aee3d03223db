//! The audit log: records are added, never changed, and deleted only by age.

use countersign_domain::{
    audit::{Entry, Record},
    environment::Environment,
    id::Id,
    user::User,
};

use crate::{Row, StoreError, Tx, document};

pub(crate) const STATEMENTS: &[&str] = &[INSERT, LOAD, LIST, LIST_BACKWARDS, LIST_SIGN_ONS, DELETE];

pub(crate) const INSERT: &str =
    "INSERT INTO audit_records (id, environment_id, sign_on_user_id, data) VALUES ($1, $2, $3, $4)";
const LOAD: &str = "SELECT id, data FROM audit_records WHERE environment_id = $1 AND id = $2";
const LIST: &str = "SELECT id, data FROM audit_records \
     WHERE environment_id = $1 AND id > $2 AND id <= $3 ORDER BY id LIMIT $4";
const LIST_BACKWARDS: &str = "SELECT id, data FROM audit_records \
     WHERE environment_id = $1 AND id > $2 AND id < $3 ORDER BY id DESC LIMIT $4";
// A user is of one environment. To name it too would lead SQLite to the key of the table instead of the index.
const LIST_SIGN_ONS: &str = "SELECT id, data FROM audit_records \
     WHERE sign_on_user_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3";
const DELETE: &str = "DELETE FROM audit_records WHERE environment_id = $1 AND id IN \
     (SELECT id FROM audit_records WHERE environment_id = $1 AND id <= $2 ORDER BY id LIMIT $3)";

/// Before every record, and after every record.
pub const ENDS: (Id<Record>, Id<Record>) = (Id::from_bytes([0; 16]), Id::from_bytes([0xff; 16]));

/// A record whose JSON has not been read: its seal covers the bytes as they are stored.
pub type Stored = (Id<Record>, String);

/// What [`Tx::tally`] calls the records of the audit log, by action, outcome and reason.
pub const TALLY: &str = "audit_records";

/// Adds a record, in the transaction of what it tells, and counts it with that.
pub async fn insert(tx: &mut Tx<'_>, record: &Record) -> Result<(), StoreError> {
    let data = document::encode(&record.entry)?;
    let event = &record.entry.event;
    let outcome = if event.succeeded { "succeeded" } else { "failed" };
    let reason = event.reason.as_deref().unwrap_or_default();
    tx.tally(TALLY, [event.action.name(), outcome, reason]);
    let user = event.sign_on_of();
    let row = [record.id.into(), record.environment.into(), user.into(), data.into()];
    tx.execute(INSERT, &row).await.map(drop)
}

/// The record of this id in this environment.
pub async fn load(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    id: Id<Record>,
) -> Result<Option<Record>, StoreError> {
    let row = tx.query_one(LOAD, &[environment.into(), id.into()]).await?;
    row.map(|row| read(environment, &stored(&row)?)).transpose()
}

/// A page of the records of an environment, oldest first, from behind `after` to `through`.
pub async fn list(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    (after, through): (Id<Record>, Id<Record>),
    limit: u32,
) -> Result<Vec<Stored>, StoreError> {
    let params = [environment.into(), after.into(), through.into(), i64::from(limit).into()];
    tx.query(LIST, &params).await?.iter().map(stored).collect()
}

/// A page of the records of an environment, newest first, from before `before` back to behind `after`.
pub async fn list_backwards(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    (after, before): (Id<Record>, Id<Record>),
    limit: u32,
) -> Result<Vec<Stored>, StoreError> {
    let params = [environment.into(), after.into(), before.into(), i64::from(limit).into()];
    tx.query(LIST_BACKWARDS, &params).await?.iter().map(stored).collect()
}

/// A page of the records of how the sign-ons of a user of this environment ended, newest first, from before `before`.
pub async fn list_sign_ons(
    tx: &mut Tx<'_>,
    (environment, user): (Id<Environment>, Id<User>),
    before: Id<Record>,
    limit: u32,
) -> Result<Vec<Record>, StoreError> {
    let params = [user.into(), before.into(), i64::from(limit).into()];
    let rows = tx.query(LIST_SIGN_ONS, &params).await?;
    rows.iter().map(|row| read(environment, &stored(row)?)).collect()
}

fn stored(row: &Row) -> Result<Stored, StoreError> {
    Ok((row.id(0)?, row.text(1)?.to_owned()))
}

/// Reads the JSON of a record.
pub fn read(environment: Id<Environment>, (id, data): &Stored) -> Result<Record, StoreError> {
    let entry: Entry = serde_json::from_str(data).map_err(|_| {
        StoreError::corrupt(format!("the audit record {id} is not the expected JSON"))
    })?;
    Ok(Record { id: *id, environment, entry })
}

/// Deletes the `limit` oldest records up to `through`, and returns how many.
pub async fn delete_through(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    through: Id<Record>,
    limit: u32,
) -> Result<u64, StoreError> {
    tx.execute(DELETE, &[environment.into(), through.into(), i64::from(limit).into()]).await
}
