//! Subscriptions, and how far they were told.

use countersign_domain::{
    environment::Environment,
    id::Id,
    subscription::{Delivery, Subscription},
};

pub use crate::configured::{count, insert, load};
use crate::{
    StoreError, Tx, Value, Versioned,
    configured::{Configured, Table},
    configured_table, document,
};

pub(crate) const STATEMENTS: &[&str] = &{
    let [insert, load, swap, delete, list, count] = Subscription::TABLE.statements();
    [
        insert,
        load,
        swap,
        delete,
        list,
        count,
        LIST_ENABLED,
        LOAD_DELIVERY,
        INSERT_DELIVERY,
        SWAP_DELIVERY,
    ]
};

const LIST_ENABLED: &str = "SELECT id, environment_id FROM subscriptions \
     WHERE enabled AND id > $1 ORDER BY id LIMIT $2";
const LOAD_DELIVERY: &str =
    "SELECT data, version FROM subscription_deliveries WHERE subscription_id = $1";
// Of two nodes that begin, one does.
const INSERT_DELIVERY: &str = "INSERT INTO subscription_deliveries (subscription_id, version, data) \
     VALUES ($1, 1, $2) ON CONFLICT (subscription_id) DO NOTHING";
const SWAP_DELIVERY: &str = "UPDATE subscription_deliveries SET data = $3, version = version + 1 \
     WHERE subscription_id = $1 AND version = $2";

/// Names are not unique.
impl Configured for Subscription {
    const TABLE: Table = configured_table!("subscriptions", enabled = "$4");

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
        vec![self.enabled.into()]
    }
}

/// A page of the enabled subscriptions of all environments, after one of them.
pub async fn list_enabled(
    tx: &mut Tx<'_>,
    after: Option<Id<Subscription>>,
    limit: u32,
) -> Result<Vec<(Id<Subscription>, Id<Environment>)>, StoreError> {
    let after = after.unwrap_or(Id::from_bytes([0; 16]));
    let rows = tx.query(LIST_ENABLED, &[after.into(), i64::from(limit).into()]).await?;
    rows.iter().map(|row| Ok((row.id(0)?, row.id(1)?))).collect()
}

/// How far a subscription was told, if it ever was.
pub async fn load_delivery(
    tx: &mut Tx<'_>,
    id: Id<Subscription>,
) -> Result<Option<Versioned<Delivery>>, StoreError> {
    document::find(tx, LOAD_DELIVERY, &[id.into()]).await
}

/// Writes how far a subscription was told, if nobody has since `old` was read. `false` if somebody has.
pub async fn swap_delivery(
    tx: &mut Tx<'_>,
    old: Option<&Versioned<Delivery>>,
    new: &Delivery,
) -> Result<bool, StoreError> {
    let (id, data) = (new.subscription.into(), document::encode(new)?.into());
    let changed = match old {
        None => tx.execute(INSERT_DELIVERY, &[id, data]).await?,
        Some(old) => tx.execute(SWAP_DELIVERY, &[id, old.version().into(), data]).await?,
    };
    Ok(changed == 1)
}
