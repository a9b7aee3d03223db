//! Documents: rows whose `data` column holds a domain type as JSON, and the version under which it may be replaced.

use std::ops::Deref;

use serde::{Serialize, de::DeserializeOwned};

use crate::{Row, StoreError, Tx, Value};

/// A value as it was read, with the version that a replacement must still find. Only the store makes one.
#[derive(Clone, Debug)]
pub struct Versioned<T> {
    value: T,
    version: i64,
}

impl<T> Versioned<T> {
    pub(crate) const fn new(value: T, version: i64) -> Self {
        Self { value, version }
    }

    /// The version that was read.
    #[must_use]
    pub const fn version(&self) -> i64 {
        self.version
    }

    /// The value, when it will not be replaced.
    pub fn into_value(self) -> T {
        self.value
    }
}

impl<T> Deref for Versioned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// The JSON that is stored.
pub(crate) fn encode(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|_| StoreError::bug("a domain type has no JSON"))
}

/// At most one document, from a statement that selects `data, version`.
pub(crate) async fn find<T: DeserializeOwned>(
    tx: &mut Tx<'_>,
    sql: &'static str,
    params: &[Value<'_>],
) -> Result<Option<Versioned<T>>, StoreError> {
    tx.query_one(sql, params).await?.as_ref().map(versioned).transpose()
}

/// The same, of configuration: a document that hardly ever changes, and that each sign-on asks for.
pub(crate) async fn find_configuration<T: DeserializeOwned + Clone + Send + Sync + 'static>(
    tx: &mut Tx<'_>,
    sql: &'static str,
    params: &[Value<'_>],
) -> Result<Option<Versioned<T>>, StoreError> {
    if let Some(kept) = tx.kept(sql, params) {
        return Ok(Some(kept));
    }
    let found = find(tx, sql, params).await?;
    if let Some(document) = &found {
        tx.keep(sql, params, document);
    }
    Ok(found)
}

/// Every document, from a statement that selects `data, version`.
pub(crate) async fn list<T: DeserializeOwned>(
    tx: &mut Tx<'_>,
    sql: &'static str,
    params: &[Value<'_>],
) -> Result<Vec<Versioned<T>>, StoreError> {
    tx.query(sql, params).await?.iter().map(versioned).collect()
}

fn versioned<T: DeserializeOwned>(row: &Row) -> Result<Versioned<T>, StoreError> {
    Ok(Versioned::new(row.json(0)?, row.int(1)?))
}
