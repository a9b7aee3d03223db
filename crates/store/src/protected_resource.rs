//! Protected resources, and the names of their scopes.

use countersign_domain::{environment::Environment, id::Id, protected_resource::ProtectedResource};

pub use crate::configured::{insert, list, load, swap};
use crate::{
    StoreError, Tx, Value, Versioned,
    configured::{Configured, Table},
    configured_table, document,
};

pub(crate) const STATEMENTS: &[&str] = &{
    let [insert, load, swap, delete, list, count] = ProtectedResource::TABLE.statements();
    [insert, load, swap, delete, list, count, FIND_BY_AUDIENCE, RESERVE_SCOPE, FREE_SCOPES]
};

const FIND_BY_AUDIENCE: &str =
    "SELECT data, version FROM protected_resources WHERE environment_id = $1 AND audience = $2";
// Somebody who changes the same resource at the same time may have written the same name; who of them is too late learns by the
// version of the resource.
const RESERVE_SCOPE: &str = "INSERT INTO resource_scopes (environment_id, name, resource_id) VALUES ($1, $2, $3) \
     ON CONFLICT (environment_id, name) DO UPDATE SET resource_id = $3 \
     WHERE resource_scopes.resource_id = $3";
const FREE_SCOPES: &str = "DELETE FROM resource_scopes WHERE resource_id = $1";

/// The name and the audience are unique in the environment.
impl Configured for ProtectedResource {
    const TABLE: Table = configured_table!("protected_resources", name = "$4", audience = "$5");

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
        vec![self.name.as_str().into(), self.audience().into()]
    }
}

/// The resource of this audience in this environment.
pub async fn find_by_audience(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    audience: &str,
) -> Result<Option<Versioned<ProtectedResource>>, StoreError> {
    let row = [environment.into(), audience.into()];
    document::find_configuration(tx, FIND_BY_AUDIENCE, &row).await
}

/// Lets a resource have the names of its scopes, and no names that it had before. `false` if another resource of the environment has
/// one of them.
pub async fn reserve_scopes(
    tx: &mut Tx<'_>,
    resource: &ProtectedResource,
) -> Result<bool, StoreError> {
    free_scopes(tx, resource.id).await?;
    for scope in &resource.scopes {
        let name = scope.name.as_str().into();
        let row = [resource.environment.into(), name, resource.id.into()];
        if tx.execute(RESERVE_SCOPE, &row).await? != 1 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Lets others have the names of the scopes of a resource that is to be deleted.
pub async fn free_scopes(
    tx: &mut Tx<'_>,
    resource: Id<ProtectedResource>,
) -> Result<(), StoreError> {
    tx.execute(FREE_SCOPES, &[resource.into()]).await.map(drop)
}
