//! The one place that writes machines: rows that change only if nobody has changed them since they were read.

use countersign_domain::{environment::Environment, id::Id};
use countersign_protocol::time::Timestamp;
use serde::{Serialize, de::DeserializeOwned};

use crate::{StoreError, Tx, Versioned, document};

/// A state machine that is kept as one row: columns for finding it, and itself as JSON.
pub trait Machine: Serialize + DeserializeOwned + Send + Sync + Sized {
    /// Its table, from [`machine_table!`](crate::machine_table).
    const TABLE: Table;

    /// Its id.
    fn id(&self) -> Id<Self>;

    /// The tenant.
    fn environment(&self) -> Id<Environment>;

    /// The name of its state: for people, for counting, for partial indexes. What is true is in the JSON.
    fn state(&self) -> &'static str;

    /// From when nobody needs the row.
    fn expires_at(&self) -> Timestamp;
}

/// The statements on one table of machines, which has the columns
/// `id BYTEA PRIMARY KEY, environment_id BYTEA, version BIGINT, state TEXT, data TEXT, expires_at BIGINT`.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    insert: &'static str,
    load: &'static str,
    swap: &'static str,
    delete_expired: &'static str,
}

impl Table {
    #[doc(hidden)]
    #[must_use]
    pub const fn new([insert, load, swap, delete_expired]: [&'static str; 4]) -> Self {
        Self { insert, load, swap, delete_expired }
    }

    /// The statements, for the `STATEMENTS` of the module that has the table.
    #[must_use]
    pub const fn statements(self) -> [&'static str; 4] {
        [self.insert, self.load, self.swap, self.delete_expired]
    }
}

/// The [`Table`] of the given name: `machine_table!("flow")`.
#[macro_export]
macro_rules! machine_table {
    ($name:literal) => {
        $crate::machine::Table::new([
            concat!(
                "INSERT INTO ",
                $name,
                " (id, environment_id, version, state, data, expires_at)",
                " VALUES ($1, $2, 1, $3, $4, $5) ON CONFLICT (id) DO NOTHING"
            ),
            concat!("SELECT data, version FROM ", $name, " WHERE id = $1 AND environment_id = $2"),
            concat!(
                "UPDATE ",
                $name,
                " SET version = version + 1, state = $4, data = $5, expires_at = $6",
                " WHERE id = $1 AND environment_id = $2 AND version = $3"
            ),
            concat!(
                "DELETE FROM ",
                $name,
                " WHERE id IN (SELECT id FROM (SELECT id, expires_at FROM ",
                $name,
                " ORDER BY id LIMIT $2) AS oldest WHERE expires_at <= $1)"
            ),
        ])
    };
}

/// Adds a machine. [`StoreError::Conflict`] if there is one with its id: somebody else has taken the same step.
pub async fn insert<M: Machine>(tx: &mut Tx<'_>, machine: &M) -> Result<(), StoreError> {
    let row = [
        machine.id().into(),
        machine.environment().into(),
        machine.state().into(),
        document::encode(machine)?.into(),
        machine.expires_at().into(),
    ];
    tx.swap(M::TABLE.insert, &row).await
}

/// The machine with this id in this environment, expired or not.
pub async fn load<M: Machine>(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    id: Id<M>,
) -> Result<Option<Versioned<M>>, StoreError> {
    document::find(tx, M::TABLE.load, &[id.into(), environment.into()]).await
}

/// The machine with this id in this environment, unless it has expired.
pub async fn load_live<M: Machine>(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    id: Id<M>,
    now: Timestamp,
) -> Result<Option<Versioned<M>>, StoreError> {
    let machine = load(tx, environment, id).await?;
    Ok(machine.filter(|machine: &Versioned<M>| machine.expires_at() > now))
}

/// Replaces a machine by its next state. [`StoreError::Conflict`] if somebody else has, since it was read.
pub async fn swap<M: Machine>(
    tx: &mut Tx<'_>,
    old: &Versioned<M>,
    new: &M,
) -> Result<(), StoreError> {
    let row = [
        old.id().into(),
        old.environment().into(),
        old.version().into(),
        new.state().into(),
        document::encode(new)?.into(),
        new.expires_at().into(),
    ];
    tx.swap(M::TABLE.swap, &row).await
}

/// Removes those of the `limit` oldest machines that have expired, and returns how many.
///
/// Ids are time-ordered, so this reads the old end of the table and needs no index on the expiry. A machine that lives
/// long can hide an expired one that began after it, until it ends itself.
pub async fn delete_expired<M: Machine>(
    tx: &mut Tx<'_>,
    now: Timestamp,
    limit: i64,
) -> Result<u64, StoreError> {
    tx.execute(M::TABLE.delete_expired, &[now.into(), limit.into()]).await
}
