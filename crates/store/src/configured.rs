//! What administrators set up: one row each, found by its id in its environment, listed in the order of the ids, and replaced or
//! deleted only as it was read.

use countersign_domain::{environment::Environment, id::Id};
use serde::{Serialize, de::DeserializeOwned};

use crate::{StoreError, Tx, Value, Versioned, document};

/// A thing that is set up: itself as JSON, and the columns by which statements search or guard.
pub trait Configured: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// Its table, from [`configured_table!`](crate::configured_table).
    const TABLE: Table;

    /// Its id.
    fn id(&self) -> Id<Self>;

    /// The tenant.
    fn environment(&self) -> Id<Environment>;

    /// What it is listed under: its environment, or something in it.
    type Owner;

    /// The one that it is listed under.
    fn owner(&self) -> Id<Self::Owner>;

    /// The values of the columns that [`Self::TABLE`] names, in that order.
    fn columns(&self) -> Vec<Value<'_>>;
}

/// One of its kind is the one that counts where none is named. Its table has a column `is_default`.
pub trait Defaulted: Configured {
    /// Finds it, from [`default_of!`](crate::default_of).
    const LOAD_DEFAULT: &'static str;
}

/// The statements on one table of configured things, which has the columns `id BYTEA PRIMARY KEY, environment_id BYTEA,
/// version BIGINT, data TEXT` and others of its own.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    insert: &'static str,
    load: &'static str,
    swap: &'static str,
    delete: &'static str,
    list: &'static str,
    count: &'static str,
}

impl Table {
    #[doc(hidden)]
    #[must_use]
    pub const fn new(statements: [&'static str; 6]) -> Self {
        let [insert, load, swap, delete, list, count] = statements;
        Self { insert, load, swap, delete, list, count }
    }

    /// The statements, for the `STATEMENTS` of the module that has the table.
    #[must_use]
    pub const fn statements(self) -> [&'static str; 6] {
        [self.insert, self.load, self.swap, self.delete, self.list, self.count]
    }
}

/// The [`Table`] of the given name, with its own columns and their places from `$4` on:
/// `configured_table!("populations", name = "$4", is_default = "$5")`. Rows that are listed under something else than their
/// environment name its column: `configured_table!("push_credentials" under application_id, ...)`.
#[macro_export]
macro_rules! configured_table {
    ($table:literal $(, $column:ident = $place:literal)*) => {
        $crate::configured_table!($table under environment_id $(, $column = $place)*)
    };
    ($table:literal under $owner:ident $(, $column:ident = $place:literal)*) => {
        $crate::configured::Table::new([
            concat!(
                "INSERT INTO ", $table, " (id, environment_id, data, version", $(", ", stringify!($column),)*
                ") VALUES ($1, $2, $3, 1", $(", ", $place,)* ")"
            ),
            concat!("SELECT data, version FROM ", $table, " WHERE id = $1 AND environment_id = $2"),
            concat!(
                "UPDATE ", $table, " SET data = $3, version = version + 1",
                $(", ", stringify!($column), " = ", $place,)*
                " WHERE id = $1 AND version = $2"
            ),
            concat!("DELETE FROM ", $table, " WHERE id = $1 AND version = $2"),
            concat!(
                "SELECT data, version FROM ", $table,
                " WHERE ", stringify!($owner), " = $1 AND id > $2 ORDER BY id LIMIT $3"
            ),
            concat!(
                "SELECT COUNT(*) FROM (SELECT 1 FROM ", $table,
                " WHERE ", stringify!($owner), " = $1 LIMIT $2) counted"
            ),
        ])
    };
}

/// The statement of [`Defaulted`] for the table of the given name.
#[macro_export]
macro_rules! default_of {
    ($table:literal) => {
        concat!(
            "SELECT data, version FROM ",
            $table,
            " WHERE environment_id = $1 AND is_default ORDER BY id LIMIT 1"
        )
    };
}

/// The part of a list that is read at a time.
#[derive(Debug)]
pub struct Range<T> {
    /// What comes before the first of them.
    pub after: Option<Id<T>>,
    /// The most of them.
    pub limit: u16,
}

impl<T> Clone for Range<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Range<T> {}

/// Adds one. What is unique in the environment must be free.
pub async fn insert<C: Configured>(tx: &mut Tx<'_>, new: &C) -> Result<(), StoreError> {
    let mut row = vec![new.id().into(), new.environment().into(), document::encode(new)?.into()];
    row.extend(new.columns());
    tx.execute(C::TABLE.insert, &row).await.map(drop)
}

/// The one of this id in this environment.
pub async fn load<C: Configured>(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    id: Id<C>,
) -> Result<Option<Versioned<C>>, StoreError> {
    document::find_configuration(tx, C::TABLE.load, &[id.into(), environment.into()]).await
}

/// The default one of an environment.
pub async fn load_default<C: Defaulted>(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
) -> Result<Option<Versioned<C>>, StoreError> {
    document::find_configuration(tx, C::LOAD_DEFAULT, &[environment.into()]).await
}

/// Replaces one that nobody has changed since it was read.
pub async fn swap<C: Configured>(
    tx: &mut Tx<'_>,
    old: &Versioned<C>,
    new: &C,
) -> Result<(), StoreError> {
    let mut row = vec![old.id().into(), old.version().into(), document::encode(new)?.into()];
    row.extend(new.columns());
    tx.swap(C::TABLE.swap, &row).await
}

/// Makes sure that one is still there when this transaction is committed, for something that is to refer to it. It changes by
/// nothing but its version, so that nobody can delete it who has not seen the reference.
pub async fn hold<C: Configured>(tx: &mut Tx<'_>, held: &Versioned<C>) -> Result<(), StoreError> {
    swap(tx, held, held).await
}

/// Deletes one that nobody has changed since it was read. Nothing may refer to it.
pub async fn delete<C: Configured>(tx: &mut Tx<'_>, old: &Versioned<C>) -> Result<(), StoreError> {
    tx.swap(C::TABLE.delete, &[old.id().into(), old.version().into()]).await
}

/// Those of an owner, in the order in which they were made.
pub async fn list<C: Configured>(
    tx: &mut Tx<'_>,
    owner: Id<C::Owner>,
    range: Range<C>,
) -> Result<Vec<Versioned<C>>, StoreError> {
    let after = range.after.unwrap_or(Id::from_bytes([0; 16]));
    let row = [owner.into(), after.into(), i64::from(range.limit).into()];
    document::list(tx, C::TABLE.list, &row).await
}

/// Rows that are looked at in one read.
const PAGE: u16 = 500;

/// Whether any of an owner is like this. All are looked at, so it is for kinds of which there are few.
pub async fn any<C: Configured>(
    tx: &mut Tx<'_>,
    owner: Id<C::Owner>,
    is_like: impl Fn(&C) -> bool + Send,
) -> Result<bool, StoreError> {
    let mut after = None;
    loop {
        let page = list::<C>(tx, owner, Range { after, limit: PAGE }).await?;
        if page.iter().any(|one| is_like(one)) {
            return Ok(true);
        }
        let Some(last) = page.last() else { return Ok(false) };
        after = Some(last.id());
    }
}

/// How many an owner has, as far as `most`.
pub async fn count<C: Configured>(
    tx: &mut Tx<'_>,
    owner: Id<C::Owner>,
    most: u32,
) -> Result<i64, StoreError> {
    let row = tx.query_one(C::TABLE.count, &[owner.into(), i64::from(most).into()]).await?;
    row.map_or(Ok(0), |row| row.int(0))
}
