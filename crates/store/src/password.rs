//! Passwords, apart from users, so that no list of users ever reads a hash.

use countersign_domain::{id::Id, password::Password, user::User};

use crate::{StoreError, Tx, Versioned, document};

pub(crate) const STATEMENTS: &[&str] = &[PUT, INSERT, LOAD, SWAP];

const PUT: &str = "INSERT INTO passwords (user_id, version, data) VALUES ($1, 1, $2) \
     ON CONFLICT (user_id) DO UPDATE SET version = passwords.version + 1, data = excluded.data";
const INSERT: &str = "INSERT INTO passwords (user_id, version, data) VALUES ($1, 1, $2) \
     ON CONFLICT (user_id) DO NOTHING";
const LOAD: &str = "SELECT data, version FROM passwords WHERE user_id = $1";
const SWAP: &str =
    "UPDATE passwords SET data = $3, version = version + 1 WHERE user_id = $1 AND version = $2";

/// Sets the password of a user, whatever it was.
pub async fn put(tx: &mut Tx<'_>, user: Id<User>, password: &Password) -> Result<(), StoreError> {
    let data = document::encode(password)?;
    tx.execute(PUT, &[user.into(), data.into()]).await.map(drop)
}

/// Gives a user a password, unless there is one: then nothing changes and the answer is false.
pub async fn insert(
    tx: &mut Tx<'_>,
    user: Id<User>,
    password: &Password,
) -> Result<bool, StoreError> {
    let data = document::encode(password)?;
    Ok(tx.execute(INSERT, &[user.into(), data.into()]).await? == 1)
}

/// The password of a user.
pub async fn load(
    tx: &mut Tx<'_>,
    user: Id<User>,
) -> Result<Option<Versioned<Password>>, StoreError> {
    document::find(tx, LOAD, &[user.into()]).await
}

/// Replaces a password that nobody has changed since it was read.
pub async fn swap(
    tx: &mut Tx<'_>,
    user: Id<User>,
    old: &Versioned<Password>,
    new: &Password,
) -> Result<(), StoreError> {
    let data = document::encode(new)?;
    tx.swap(SWAP, &[user.into(), old.version().into(), data.into()]).await
}
