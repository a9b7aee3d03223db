//! The audit log: records are added, never changed.

use countersign_domain::{audit::Record, environment::Environment, id::Id};

use crate::{StoreError, Tx, document};

pub(crate) const STATEMENTS: &[&str] = &[INSERT, LIST];

const INSERT: &str = "INSERT INTO audit_records (id, environment_id, data) VALUES ($1, $2, $3)";
const LIST: &str = "SELECT data FROM audit_records \
     WHERE environment_id = $1 AND id > $2 ORDER BY id LIMIT $3";

/// What [`Tx::tally`] calls the records of the audit log, by action, outcome and reason.
pub const TALLY: &str = "audit_records";

/// Adds a record, in the transaction of what it tells, and counts it with that.
pub async fn insert(tx: &mut Tx<'_>, record: &Record) -> Result<(), StoreError> {
    let data = document::encode(record)?;
    let event = &record.event;
    let action = serde_json::to_value(event.action).map_err(|_| StoreError::bug("an action"))?;
    let outcome = if event.succeeded { "succeeded" } else { "failed" };
    let reason = event.reason.as_deref().unwrap_or_default();
    tx.tally(TALLY, [action.as_str().unwrap_or_default(), outcome, reason]);
    tx.execute(INSERT, &[record.id.into(), record.environment.into(), data.into()]).await.map(drop)
}

/// A page of the records of an environment, oldest first, after the record `after`.
pub async fn list(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    after: Option<Id<Record>>,
    limit: u32,
) -> Result<Vec<Record>, StoreError> {
    let after = after.unwrap_or(Id::from_bytes([0; 16]));
    let rows = tx.query(LIST, &[environment.into(), after.into(), i64::from(limit).into()]).await?;
    rows.iter().map(|row| row.json(0)).collect()
}
