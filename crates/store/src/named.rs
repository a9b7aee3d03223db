//! What administrators name: one row each, a name that is unique in the environment, and one of them the default.

use countersign_domain::{environment::Environment, id::Id};
use serde::{Serialize, de::DeserializeOwned};

use crate::{StoreError, Tx, Versioned, document};

/// A thing with a name: columns for finding it, and itself as JSON.
pub trait Named: Serialize + DeserializeOwned + Send + Sync + Sized {
    /// Its table, from [`named_table!`](crate::named_table).
    const TABLE: Table;

    /// Its id.
    fn id(&self) -> Id<Self>;

    /// The tenant.
    fn environment(&self) -> Id<Environment>;

    /// Its name.
    fn name(&self) -> &str;

    /// Whether it is the one that counts where none is named.
    fn is_default(&self) -> bool;
}

/// The statements on one table of named things, which has the columns `id BYTEA PRIMARY KEY, environment_id BYTEA, name TEXT,
/// is_default BOOLEAN, version BIGINT, data TEXT`.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    insert: &'static str,
    load: &'static str,
    load_default: &'static str,
    swap: &'static str,
}

impl Table {
    #[doc(hidden)]
    #[must_use]
    pub const fn new([insert, load, load_default, swap]: [&'static str; 4]) -> Self {
        Self { insert, load, load_default, swap }
    }

    /// The statements, for the `STATEMENTS` of the module that has the table.
    #[must_use]
    pub const fn statements(self) -> [&'static str; 4] {
        [self.insert, self.load, self.load_default, self.swap]
    }
}

/// The [`Table`] of the given name: `named_table!("populations")`.
#[macro_export]
macro_rules! named_table {
    ($name:literal) => {
        $crate::named::Table::new([
            concat!(
                "INSERT INTO ",
                $name,
                " (id, environment_id, name, is_default, version, data)",
                " VALUES ($1, $2, $3, $4, 1, $5)"
            ),
            concat!("SELECT data, version FROM ", $name, " WHERE id = $1 AND environment_id = $2"),
            concat!(
                "SELECT data, version FROM ",
                $name,
                " WHERE environment_id = $1 AND is_default ORDER BY id LIMIT 1"
            ),
            concat!(
                "UPDATE ",
                $name,
                " SET name = $3, is_default = $4, data = $5, version = version + 1",
                " WHERE id = $1 AND version = $2"
            ),
        ])
    };
}

/// Adds one. Its name must be free in the environment.
pub async fn insert<N: Named>(tx: &mut Tx<'_>, named: &N) -> Result<(), StoreError> {
    let row = [
        named.id().into(),
        named.environment().into(),
        named.name().into(),
        named.is_default().into(),
        document::encode(named)?.into(),
    ];
    tx.execute(N::TABLE.insert, &row).await.map(drop)
}

/// The one of this id in this environment.
pub async fn load<N: Named>(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    id: Id<N>,
) -> Result<Option<Versioned<N>>, StoreError> {
    document::find(tx, N::TABLE.load, &[id.into(), environment.into()]).await
}

/// The default one of an environment.
pub async fn load_default<N: Named>(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
) -> Result<Option<Versioned<N>>, StoreError> {
    document::find(tx, N::TABLE.load_default, &[environment.into()]).await
}

/// Replaces one that nobody has changed since it was read.
pub async fn swap<N: Named>(
    tx: &mut Tx<'_>,
    old: &Versioned<N>,
    new: &N,
) -> Result<(), StoreError> {
    let row = [
        old.id().into(),
        old.version().into(),
        new.name().into(),
        new.is_default().into(),
        document::encode(new)?.into(),
    ];
    tx.swap(N::TABLE.swap, &row).await
}
