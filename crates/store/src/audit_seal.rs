//! Seals of the audit log: each follows the one before it, and the first that writes a number has it.

use countersign_domain::{
    audit_seal::{Base, Head, Seal},
    environment::Environment,
    id::Id,
};

use crate::{Row, StoreError, Tx};

pub(crate) const STATEMENTS: &[&str] =
    &[APPEND, LOAD_LAST, LIST, DELETE, LOAD_BASE, INSERT_BASE, MOVE_BASE];

const APPEND: &str = "INSERT INTO audit_seals \
     (environment_id, number, through_id, records, sealed_at, hash, mac) \
     VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (environment_id, number) DO NOTHING";
const LOAD_LAST: &str = "SELECT number, through_id, hash, records, sealed_at, mac FROM audit_seals \
     WHERE environment_id = $1 ORDER BY number DESC LIMIT 1";
const LIST: &str = "SELECT number, through_id, hash, records, sealed_at, mac FROM audit_seals \
     WHERE environment_id = $1 AND number > $2 ORDER BY number LIMIT $3";
const DELETE: &str = "DELETE FROM audit_seals WHERE environment_id = $1 AND number IN \
     (SELECT number FROM audit_seals WHERE environment_id = $1 AND number <= $2 ORDER BY number LIMIT $3)";
const LOAD_BASE: &str =
    "SELECT number, through_id, hash, mac FROM audit_bases WHERE environment_id = $1";
const INSERT_BASE: &str = "INSERT INTO audit_bases (environment_id, number, through_id, hash, mac) \
     VALUES ($1, $2, $3, $4, $5) ON CONFLICT (environment_id) DO NOTHING";
const MOVE_BASE: &str = "UPDATE audit_bases SET number = $2, through_id = $3, hash = $4, mac = $5 \
     WHERE environment_id = $1 AND number = $6";

/// Adds a seal. `false` if another node has sealed meanwhile: its seal stands.
pub async fn append(tx: &mut Tx<'_>, seal: &Seal) -> Result<bool, StoreError> {
    let Seal { environment, head, records, sealed_at, mac } = seal;
    let row = [
        environment.into(),
        head.number.into(),
        head.through.into(),
        (*records).into(),
        (*sealed_at).into(),
        (&head.hash).into(),
        mac.into(),
    ];
    Ok(tx.execute(APPEND, &row).await? == 1)
}

/// The newest seal of an environment.
pub async fn load_last(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
) -> Result<Option<Seal>, StoreError> {
    let row = tx.query_one(LOAD_LAST, &[environment.into()]).await?;
    row.map(|row| seal(environment, &row)).transpose()
}

/// A page of the seals of an environment, oldest first, behind the one of this number.
pub async fn list(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    after: i64,
    limit: u32,
) -> Result<Vec<Seal>, StoreError> {
    let rows = tx.query(LIST, &[environment.into(), after.into(), i64::from(limit).into()]).await?;
    rows.iter().map(|row| seal(environment, row)).collect()
}

fn seal(environment: Id<Environment>, row: &Row) -> Result<Seal, StoreError> {
    let (records, sealed_at, mac) = (row.int(3)?, row.time(4)?, row.bytes(5)?);
    Ok(Seal { environment, head: head(row)?, records, sealed_at, mac })
}

fn head(row: &Row) -> Result<Head, StoreError> {
    Ok(Head { number: row.int(0)?, through: row.id(1)?, hash: row.bytes(2)? })
}

/// Deletes the `limit` oldest seals up to this number, and returns how many.
pub async fn delete_through(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    number: i64,
    limit: u32,
) -> Result<u64, StoreError> {
    tx.execute(DELETE, &[environment.into(), number.into(), i64::from(limit).into()]).await
}

/// Where the kept part of the chain begins, if anything was removed.
pub async fn load_base(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
) -> Result<Option<Base>, StoreError> {
    let row = tx.query_one(LOAD_BASE, &[environment.into()]).await?;
    row.map(|row| Ok(Base { environment, head: head(&row)?, mac: row.bytes(3)? })).transpose()
}

/// Moves the beginning of the kept part. `false` if another node has moved it since `old` was read.
pub async fn move_base(
    tx: &mut Tx<'_>,
    old: Option<&Base>,
    new: &Base,
) -> Result<bool, StoreError> {
    let Base { environment, head, mac } = new;
    let row = [
        environment.into(),
        head.number.into(),
        head.through.into(),
        (&head.hash).into(),
        mac.into(),
    ];
    let changed = match old {
        None => tx.execute(INSERT_BASE, &row).await?,
        Some(old) => {
            let [environment, number, through, hash, mac] = row;
            let row = [environment, number, through, hash, mac, old.head.number.into()];
            tx.execute(MOVE_BASE, &row).await?
        }
    };
    Ok(changed == 1)
}
