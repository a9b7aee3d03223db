//! Environments and their keys.

use countersign_domain::{environment::Environment, id::Id, sealed::Sealed};

use crate::{StoreError, Tx, Versioned, document};

pub(crate) const STATEMENTS: &[&str] = &[INSERT, LOAD, LIST, INSERT_KEYS, LOAD_KEYS];

const INSERT: &str = "INSERT INTO environments (id, name, version, data) VALUES ($1, $2, 1, $3)";
const LOAD: &str = "SELECT data, version FROM environments WHERE id = $1";
const LIST: &str = "SELECT id FROM environments WHERE id > $1 ORDER BY id LIMIT $2";
const INSERT_KEYS: &str =
    "INSERT INTO environment_keys (environment_id, rs256, es256, mac) VALUES ($1, $2, $3, $4)";
const LOAD_KEYS: &str = "SELECT rs256, es256, mac FROM environment_keys WHERE environment_id = $1";

/// The keys of an environment, sealed.
pub struct SealedKeys {
    /// The RSA signing key.
    pub rs256: Sealed,
    /// The P-256 signing key.
    pub es256: Sealed,
    /// The key of keyed hashes.
    pub mac: Sealed,
}

/// Adds an environment. Its name must be free.
pub async fn insert(tx: &mut Tx<'_>, environment: &Environment) -> Result<(), StoreError> {
    let data = document::encode(environment)?;
    let params = [environment.id.into(), environment.name.as_str().into(), data.into()];
    tx.execute(INSERT, &params).await.map(drop)
}

/// The environment of this id.
pub async fn load(
    tx: &mut Tx<'_>,
    id: Id<Environment>,
) -> Result<Option<Versioned<Environment>>, StoreError> {
    document::find(tx, LOAD, &[id.into()]).await
}

/// A page of the ids of all environments, oldest first, after one of them.
pub async fn list(
    tx: &mut Tx<'_>,
    after: Option<Id<Environment>>,
    limit: u32,
) -> Result<Vec<Id<Environment>>, StoreError> {
    let after = after.unwrap_or(Id::from_bytes([0; 16]));
    let rows = tx.query(LIST, &[after.into(), i64::from(limit).into()]).await?;
    rows.iter().map(|row| row.id(0)).collect()
}

/// Adds the keys of an environment.
pub async fn insert_keys(
    tx: &mut Tx<'_>,
    id: Id<Environment>,
    keys: &SealedKeys,
) -> Result<(), StoreError> {
    let [rs256, es256, mac] = [&keys.rs256, &keys.es256, &keys.mac].map(Sealed::ciphertext);
    tx.execute(INSERT_KEYS, &[id.into(), rs256.into(), es256.into(), mac.into()]).await.map(drop)
}

/// The keys of an environment.
pub async fn load_keys(
    tx: &mut Tx<'_>,
    id: Id<Environment>,
) -> Result<Option<SealedKeys>, StoreError> {
    let Some(row) = tx.query_one(LOAD_KEYS, &[id.into()]).await? else { return Ok(None) };
    let sealed = |column| row.blob(column).map(|sealed| Sealed::new(sealed.to_vec()));
    Ok(Some(SealedKeys { rs256: sealed(0)?, es256: sealed(1)?, mac: sealed(2)? }))
}
