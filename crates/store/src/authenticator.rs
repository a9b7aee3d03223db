//! Authenticators.

use countersign_domain::{
    authenticator::Authenticator, device::Device, environment::Environment, id::Id, user::User,
};

use crate::{StoreError, Tx, Versioned, document};

pub(crate) const STATEMENTS: &[&str] = &[INSERT, LOAD, LIST_OF_USER, SWAP, DELETE];

const INSERT: &str = "INSERT INTO authenticators \
     (id, environment_id, user_id, version, state, data) VALUES ($1, $2, $3, 1, $4, $5)";
const LOAD: &str = "SELECT data, version FROM authenticators WHERE id = $1 AND environment_id = $2";
// A user has at most 15 devices, and of each kind one that is not activated.
const LIST_OF_USER: &str =
    "SELECT data, version FROM authenticators WHERE user_id = $1 ORDER BY id LIMIT 100";
const SWAP: &str = "UPDATE authenticators SET version = version + 1, state = $3, data = $4 \
     WHERE id = $1 AND version = $2";
const DELETE: &str = "DELETE FROM authenticators WHERE id = $1 AND version = $2";

/// Adds an authenticator.
pub async fn insert(tx: &mut Tx<'_>, authenticator: &Authenticator) -> Result<(), StoreError> {
    let params = [
        authenticator.id.into(),
        authenticator.environment.into(),
        authenticator.user.into(),
        authenticator.state.name().into(),
        document::encode(authenticator)?.into(),
    ];
    tx.execute(INSERT, &params).await.map(drop)
}

/// The authenticator of this id in this environment.
pub async fn load(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    id: Id<Device>,
) -> Result<Option<Versioned<Authenticator>>, StoreError> {
    document::find(tx, LOAD, &[id.into(), environment.into()]).await
}

/// The authenticators of a user, the oldest first.
pub async fn list_of_user(
    tx: &mut Tx<'_>,
    user: Id<User>,
) -> Result<Vec<Authenticator>, StoreError> {
    let found = list_versions_of_user(tx, user).await?;
    Ok(found.into_iter().map(Versioned::into_value).collect())
}

/// The authenticators of a user, the oldest first, to change them.
pub async fn list_versions_of_user(
    tx: &mut Tx<'_>,
    user: Id<User>,
) -> Result<Vec<Versioned<Authenticator>>, StoreError> {
    document::list(tx, LIST_OF_USER, &[user.into()]).await
}

/// Replaces an authenticator that nobody has changed since it was read.
pub async fn swap(
    tx: &mut Tx<'_>,
    old: &Versioned<Authenticator>,
    new: &Authenticator,
) -> Result<(), StoreError> {
    let data = document::encode(new)?;
    let params = [old.id.into(), old.version().into(), new.state.name().into(), data.into()];
    tx.swap(SWAP, &params).await
}

/// Removes an authenticator that nobody has changed since it was read.
pub async fn delete(tx: &mut Tx<'_>, old: &Versioned<Authenticator>) -> Result<(), StoreError> {
    tx.swap(DELETE, &[old.id.into(), old.version().into()]).await
}
