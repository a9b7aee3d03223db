//! Environments and their keys of keyed hashes.

use countersign_domain::{environment::Environment, id::Id, sealed::Sealed};

use crate::{StoreError, Tx, Versioned, configured::Range, document};

pub(crate) const STATEMENTS: &[&str] =
    &[INSERT, LOAD, SWAP, FIND_BY_NAME, FIRST, LIST, PAGE, INSERT_KEYS, LOAD_MAC, RAISE_KEYS];

const INSERT: &str = "INSERT INTO environments (id, name, version, data) VALUES ($1, $2, 1, $3)";
const LOAD: &str = "SELECT data, version FROM environments WHERE id = $1";
const SWAP: &str = "UPDATE environments SET name = $3, data = $4, version = version + 1 \
     WHERE id = $1 AND version = $2";
const PAGE: &str = "SELECT data, version FROM environments WHERE id > $1 ORDER BY id LIMIT $2";
const RAISE_KEYS: &str =
    "UPDATE environment_keys SET version = version + 1 WHERE environment_id = $1";
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

/// The environment of this name.
pub async fn find_by_name(
    tx: &mut Tx<'_>,
    name: &str,
) -> Result<Option<Versioned<Environment>>, StoreError> {
    document::find(tx, FIND_BY_NAME, &[name.into()]).await
}

/// Replaces an environment that nobody has changed since it was read. One that was deleted leaves its name to others.
pub async fn swap(
    tx: &mut Tx<'_>,
    old: &Versioned<Environment>,
    new: &Environment,
) -> Result<(), StoreError> {
    let name = if new.is_there() { new.name.clone() } else { format!("{} ({})", new.name, new.id) };
    let data = document::encode(new)?;
    tx.swap(SWAP, &[old.id.into(), old.version().into(), name.into(), data.into()]).await?;
    if old.is_there() != new.is_there() {
        // Nodes see by it that they do not know the environment as it is.
        tx.execute(RAISE_KEYS, &[new.id.into()]).await?;
    }
    Ok(())
}

/// A part of all environments, the oldest first.
pub async fn page(
    tx: &mut Tx<'_>,
    range: Range<Environment>,
) -> Result<Vec<Versioned<Environment>>, StoreError> {
    let after = range.after.unwrap_or(Id::from_bytes([0; 16]));
    document::list(tx, PAGE, &[after.into(), i64::from(range.limit).into()]).await
}

/// The first environment, if there is one. Nothing is sealed under the key-encryption key before there is.
pub async fn first(tx: &mut Tx<'_>) -> Result<Option<Id<Environment>>, StoreError> {
    let row = tx.query_one(FIRST, &[]).await?;
    row.map(|row| row.id(0)).transpose()
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
