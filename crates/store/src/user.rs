//! Users.

use countersign_domain::{environment::Environment, id::Id, user::User};

use crate::{StoreError, Tx, Versioned, document};

pub(crate) const STATEMENTS: &[&str] = &[INSERT, LOAD, FIND_BY_USERNAME, SWAP];

const INSERT: &str = "INSERT INTO users (id, environment_id, population_id, username_key, version, data) \
     VALUES ($1, $2, $3, $4, 1, $5)";
const LOAD: &str = "SELECT data, version FROM users WHERE id = $1 AND environment_id = $2";
const FIND_BY_USERNAME: &str =
    "SELECT data, version FROM users WHERE environment_id = $1 AND username_key = $2";
const SWAP: &str = "UPDATE users SET population_id = $3, username_key = $4, data = $5, version = version + 1 \
     WHERE id = $1 AND version = $2";

/// Adds a user. The user name must be free in the environment.
pub async fn insert(tx: &mut Tx<'_>, user: &User) -> Result<(), StoreError> {
    let key = User::username_key(&user.username);
    let data = document::encode(user)?;
    let params =
        [user.id.into(), user.environment.into(), user.population.into(), key.into(), data.into()];
    tx.execute(INSERT, &params).await.map(drop)
}

/// The user of this id in this environment.
pub async fn load(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    id: Id<User>,
) -> Result<Option<Versioned<User>>, StoreError> {
    document::find(tx, LOAD, &[id.into(), environment.into()]).await
}

/// The user of this name, without regard to case.
pub async fn find_by_username(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    username: &str,
) -> Result<Option<Versioned<User>>, StoreError> {
    if !User::is_username(username) {
        return Ok(None);
    }
    let key = User::username_key(username);
    document::find(tx, FIND_BY_USERNAME, &[environment.into(), key.into()]).await
}

/// Replaces a user that nobody has changed since it was read.
pub async fn swap(tx: &mut Tx<'_>, old: &Versioned<User>, new: &User) -> Result<(), StoreError> {
    let key = User::username_key(&new.username);
    let data = document::encode(new)?;
    let params =
        [old.id.into(), old.version().into(), new.population.into(), key.into(), data.into()];
    tx.swap(SWAP, &params).await
}
