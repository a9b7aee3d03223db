//! Groups, and who is in them.

use countersign_domain::{environment::Environment, group::Group, id::Id, user::User};

pub use crate::configured::load;
use crate::{
    StoreError, Tx, Value, Versioned,
    configured::{Configured, Range, Table},
    configured_table, document,
};

pub(crate) const STATEMENTS: &[&str] = &{
    let [insert, load, swap, delete, list, count] = Group::TABLE.statements();
    [insert, load, swap, delete, list, count, JOIN, LEAVE, HAS, OF_USER, EMPTY, FORGET]
};

const JOIN: &str = "INSERT INTO memberships (user_id, group_id) VALUES ($1, $2) \
     ON CONFLICT (user_id, group_id) DO NOTHING";
const LEAVE: &str = "DELETE FROM memberships WHERE user_id = $1 AND group_id = $2";
const HAS: &str = "SELECT 1 FROM memberships WHERE user_id = $1 AND group_id = $2";
const OF_USER: &str = "SELECT g.data, g.version FROM memberships m JOIN groups g ON g.id = m.group_id \
     WHERE m.user_id = $1 AND m.group_id > $2 ORDER BY m.group_id LIMIT $3";
const EMPTY: &str = "DELETE FROM memberships WHERE group_id = $1";
const FORGET: &str = "DELETE FROM memberships WHERE user_id = $1";

/// The name is unique in the environment.
impl Configured for Group {
    const TABLE: Table = configured_table!("groups", name = "$4");

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
        vec![self.name.as_str().into()]
    }
}

/// Lets a user be in a group. `false` if the user is.
pub async fn join(tx: &mut Tx<'_>, user: Id<User>, group: Id<Group>) -> Result<bool, StoreError> {
    Ok(tx.execute(JOIN, &[user.into(), group.into()]).await? == 1)
}

/// Lets a user be in a group no longer. `false` if the user is not.
pub async fn leave(tx: &mut Tx<'_>, user: Id<User>, group: Id<Group>) -> Result<bool, StoreError> {
    Ok(tx.execute(LEAVE, &[user.into(), group.into()]).await? == 1)
}

/// Whether a user is in a group.
pub async fn has(tx: &mut Tx<'_>, user: Id<User>, group: Id<Group>) -> Result<bool, StoreError> {
    Ok(tx.query_one(HAS, &[user.into(), group.into()]).await?.is_some())
}

/// The groups of a user.
pub async fn of_user(
    tx: &mut Tx<'_>,
    user: Id<User>,
    range: Range<Group>,
) -> Result<Vec<Versioned<Group>>, StoreError> {
    let after = range.after.unwrap_or(Id::from_bytes([0; 16]));
    let row = [user.into(), after.into(), i64::from(range.limit).into()];
    document::list(tx, OF_USER, &row).await
}

/// Lets nobody be in a group.
pub async fn empty(tx: &mut Tx<'_>, group: Id<Group>) -> Result<(), StoreError> {
    tx.execute(EMPTY, &[group.into()]).await.map(drop)
}

/// Lets a user be in no group.
pub async fn forget(tx: &mut Tx<'_>, user: Id<User>) -> Result<(), StoreError> {
    tx.execute(FORGET, &[user.into()]).await.map(drop)
}
