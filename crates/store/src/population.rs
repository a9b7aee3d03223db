//! Populations.

use countersign_domain::{environment::Environment, id::Id, population::Population};

pub use crate::configured::{insert, load, load_default};
use crate::{
    StoreError, Tx, Value,
    configured::{Configured, Defaulted, Table},
    configured_table, default_of,
};

pub(crate) const STATEMENTS: &[&str] = &{
    let [insert, load, swap, delete, list, count] = Population::TABLE.statements();
    [insert, load, swap, delete, list, count, Population::LOAD_DEFAULT, HAS_USERS, COUNT_USERS]
};

const HAS_USERS: &str = "SELECT 1 FROM users WHERE population_id = $1 LIMIT 1";
const COUNT_USERS: &str =
    "SELECT COUNT(*) FROM (SELECT 1 FROM users WHERE population_id = $1 LIMIT $2) counted";

impl Configured for Population {
    const TABLE: Table = configured_table!("populations", name = "$4", is_default = "$5");

    fn id(&self) -> Id<Self> {
        self.id
    }

    fn environment(&self) -> Id<Environment> {
        self.environment
    }

    type Owner = Environment;

    fn owner(&self) -> Id<Environment> {
        self.environment
    }

    fn columns(&self) -> Vec<Value<'_>> {
        vec![self.name.as_str().into(), self.default.into()]
    }
}

impl Defaulted for Population {
    const LOAD_DEFAULT: &'static str = default_of!("populations");
}

/// Whether somebody is in it.
pub async fn has_users(tx: &mut Tx<'_>, id: Id<Population>) -> Result<bool, StoreError> {
    Ok(tx.query_one(HAS_USERS, &[id.into()]).await?.is_some())
}

/// How many users are in it, as far as `most`.
pub async fn count_users(
    tx: &mut Tx<'_>,
    id: Id<Population>,
    most: u32,
) -> Result<i64, StoreError> {
    let row = tx.query_one(COUNT_USERS, &[id.into(), i64::from(most).into()]).await?;
    row.map_or(Ok(0), |row| row.int(0))
}
