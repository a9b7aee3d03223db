//! Who has which role.

use countersign_domain::{
    environment::Environment,
    id::Id,
    role::{Holder, RoleAssignment},
};

pub use crate::configured::{delete, insert, load};
use crate::{
    StoreError, Tx, Value, Versioned,
    configured::{Configured, Table},
    configured_table, document,
};

pub(crate) const STATEMENTS: &[&str] = &{
    let [insert, load, swap, delete, list, count] = RoleAssignment::TABLE.statements();
    [insert, load, swap, delete, list, count, OF_HOLDER, FORGET]
};

const OF_HOLDER: &str =
    "SELECT data, version FROM role_assignments WHERE holder_id = $1 ORDER BY id LIMIT 100";
const FORGET: &str = "DELETE FROM role_assignments WHERE holder_id = $1";

/// The most roles of one holder that are read. More are not given.
pub const MAX_ASSIGNMENTS: i64 = 100;

impl Configured for RoleAssignment {
    const TABLE: Table =
        configured_table!("role_assignments" under holder_id, holder_id = "$4", what = "$5");

    fn id(&self) -> Id<Self> {
        self.id
    }

    fn environment(&self) -> Id<Environment> {
        self.environment
    }

    type Owner = Holder;

    fn owner(&self) -> Id<Holder> {
        self.holder.id()
    }

    fn columns(&self) -> Vec<Value<'_>> {
        vec![self.holder.id().into(), self.what().into()]
    }
}

/// All roles of a holder.
pub async fn of(
    tx: &mut Tx<'_>,
    holder: Holder,
) -> Result<Vec<Versioned<RoleAssignment>>, StoreError> {
    document::list(tx, OF_HOLDER, &[holder.id().into()]).await
}

/// Takes all roles from a holder that is to be deleted.
pub async fn forget(tx: &mut Tx<'_>, holder: Holder) -> Result<(), StoreError> {
    tx.execute(FORGET, &[holder.id().into()]).await.map(drop)
}
