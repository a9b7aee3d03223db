//! Environments and their keys of keyed hashes.

use countersign_domain::{environment::Environment, id::Id, sealed::Sealed};

use crate::{StoreError, Tx, Versioned, document};

pub(crate) const STATEMENTS: &[&str] =
    &[INSERT, LOAD, FIND_BY_NAME, FIRST, LIST, INSERT_KEYS, LOAD_MAC];

const INSERT: &str = "INSERT INTO environments (id, name, version, data) VALUES ($1, $2, 1, $3)";
const LOAD: &str = "SELECT data, version FROM environments WHERE id = $1";
const FIND_BY_NAME: &str = "SELECT data, version FROM environments WHERE name = $1";
const FIRST: &str = "SELECT id FROM environments ORDER BY id LIMIT 1";
const LIST: &str = "SELECT id FROM environments WHERE id > $1 ORDER BY id LIMIT $2";
const INSERT_KEYS: &str =
    "INSERT INTO environment_keys (environment_id, mac, version) VALUES ($1, $2, 1)";
const LOAD_MAC: &str = "SELECT mac FROM environment_keys WHERE environment_id = $1";

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

/// The environment of this name.
pub async fn find_by_name(
    tx: &mut Tx<'_>,
    name: &str,
) -> Result<Option<Versioned<Environment>>, StoreError> {
    document::find(tx, FIND_BY_NAME, &[name.into()]).await
}

/// The first environment, if there is one. Nothing is sealed under the key-encryption key before there is.
pub async fn first(tx: &mut Tx<'_>) -> Result<Option<Id<Environment>>, StoreError> {
    let row = tx.query_one(FIRST, &[]).await?;
    row.map(|row| row.id(0)).transpose()
}

/// Adds the key of keyed hashes of an environment, before its signing keys.
pub async fn insert_mac(
    tx: &mut Tx<'_>,
    id: Id<Environment>,
    mac: &Sealed,
) -> Result<(), StoreError> {
    tx.execute(INSERT_KEYS, &[id.into(), mac.ciphertext().into()]).await.map(drop)
}

/// The key of keyed hashes of an environment.
pub async fn load_mac(tx: &mut Tx<'_>, id: Id<Environment>) -> Result<Option<Sealed>, StoreError> {
    let row = tx.query_one(LOAD_MAC, &[id.into()]).await?;
    row.map(|row| row.blob(0).map(|sealed| Sealed::new(sealed.to_vec()))).transpose()
}
