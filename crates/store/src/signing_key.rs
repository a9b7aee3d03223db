//! Signing keys. Those of an environment change together, under one version.

use countersign_domain::{
    environment::Environment,
    id::Id,
    signing_key::{Rules, SigningKey, State},
};
use countersign_protocol::time::Timestamp;

use crate::{StoreError, Tx, Versioned, document};

pub(crate) const STATEMENTS: &[&str] = &[VERSION, LIST, RAISE, PUT, DELETE, LIST_DUE];

const VERSION: &str = "SELECT version FROM environment_keys WHERE environment_id = $1";
// Few at any time: those that sign, their successors, and those of the last hour. Every replacement withdraws the others.
const LIST: &str = "SELECT data FROM signing_keys WHERE environment_id = $1 ORDER BY id LIMIT 1000";
const RAISE: &str = "UPDATE environment_keys SET version = version + 1 \
     WHERE environment_id = $1 AND version = $2";
const PUT: &str = "INSERT INTO signing_keys (environment_id, id, state, since, data) \
     VALUES ($1, $2, $3, $4, $5) \
     ON CONFLICT (environment_id, id) DO UPDATE SET state = $3, since = $4, data = $5";
const DELETE: &str = "DELETE FROM signing_keys WHERE environment_id = $1 AND id = $2";
// A time ahead of now is that of a clock that was set back.
const LIST_DUE: &str = "SELECT DISTINCT environment_id FROM signing_keys \
     WHERE environment_id > $1 AND ((state = 'next' AND since <= $2) \
      OR (state = 'current' AND since <= $3) OR (state = 'retired' AND since <= $4) \
      OR (state IN ('next', 'current') AND since > $4)) \
     ORDER BY environment_id LIMIT $5";

/// The version of the signing keys of an environment, or nothing if there is no such environment.
pub async fn version(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
) -> Result<Option<i64>, StoreError> {
    let row = tx.query_one(VERSION, &[environment.into()]).await?;
    row.map(|row| row.int(0)).transpose()
}

/// The signing keys of an environment, oldest first, or nothing if there is no such environment.
pub async fn list(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
) -> Result<Option<Versioned<Vec<SigningKey>>>, StoreError> {
    // The version first: keys that are newer than it make the reader read again, keys that are older would not.
    let Some(version) = version(tx, environment).await? else { return Ok(None) };
    let rows = tx.query(LIST, &[environment.into()]).await?;
    let keys = rows.iter().map(|row| row.json(0)).collect::<Result<_, _>>()?;
    Ok(Some(Versioned::new(keys, version)))
}

/// Keeps what has become of keys of an environment, unless one of them has changed since they were read.
pub async fn swap(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    old: &Versioned<Vec<SigningKey>>,
    changed: &[SigningKey],
) -> Result<(), StoreError> {
    tx.swap(RAISE, &[environment.into(), old.version().into()]).await?;
    for key in changed {
        let (environment, id) = (environment.into(), key.id.into());
        match &key.state {
            State::Removed => tx.swap(DELETE, &[environment, id]).await?,
            State::Next { at: since, .. }
            | State::Current { at: since, .. }
            | State::Retired { until: since } => {
                let (state, data) = (key.state.name(), document::encode(key)?);
                let row = [environment, id, state.into(), (*since).into(), data.into()];
                tx.swap(PUT, &row).await?;
            }
        }
    }
    Ok(())
}

/// A page of the environments with a key for which something is due, by id, after the environment `after`.
pub async fn list_due(
    tx: &mut Tx<'_>,
    after: Option<Id<Environment>>,
    (now, rules): (Timestamp, &Rules),
    limit: u32,
) -> Result<Vec<Id<Environment>>, StoreError> {
    let after = after.unwrap_or(Id::from_bytes([0; 16]));
    let published = now.minus_seconds(rules.publish_seconds);
    let outdated = rules.outdated_before(now).unwrap_or(Timestamp::from_micros(i64::MIN));
    let limit = i64::from(limit).into();
    let params = [after.into(), published.into(), outdated.into(), now.into(), limit];
    let rows = tx.query(LIST_DUE, &params).await?;
    rows.iter().map(|row| row.id(0)).collect()
}
