//! Pairing keys, found by themselves or by the hash of what a person has typed. They go with their user.

use countersign_domain::{
    environment::Environment,
    id::Id,
    pairing_key::{PairingKey, State},
    user::User,
};
use countersign_protocol::time::Timestamp;

pub use crate::machine::{load_live as load, swap};
use crate::{
    StoreError, Tx, Versioned,
    configured::Range,
    document,
    machine::{Machine, Table},
    machine_table,
};

pub(crate) const STATEMENTS: &[&str] =
    &[INSERT, FIND, COUNT, LIST, COUNT_ALL, DELETE, MACHINE[1], MACHINE[2], MACHINE[3]];

const MACHINE: [&str; 4] = PairingKey::TABLE.statements();
const INSERT: &str = "INSERT INTO pairing_keys \
     (id, environment_id, user_id, code_hash, version, state, data, valid_until, expires_at) \
     VALUES ($1, $2, $3, $4, 1, $5, $6, $7, $8) ON CONFLICT DO NOTHING";
const FIND: &str =
    "SELECT data, version FROM pairing_keys WHERE code_hash = $1 AND environment_id = $2";
const COUNT: &str = "SELECT COUNT(*) FROM pairing_keys \
     WHERE user_id = $1 AND state = 'unclaimed' AND valid_until > $2";
const LIST: &str = "SELECT data, version FROM pairing_keys \
     WHERE user_id = $1 AND environment_id = $2 AND expires_at > $3 AND id > $4 ORDER BY id LIMIT $5";
const COUNT_ALL: &str = "SELECT COUNT(*) FROM (SELECT id FROM pairing_keys \
     WHERE user_id = $1 AND environment_id = $2 AND expires_at > $3 LIMIT $4) AS found";
const DELETE: &str = "DELETE FROM pairing_keys WHERE id = $1 AND version = $2";

impl Machine for PairingKey {
    const TABLE: Table = machine_table!("pairing_keys");

    fn id(&self) -> Id<Self> {
        self.id
    }

    fn environment(&self) -> Id<Environment> {
        self.environment
    }

    fn state(&self) -> &'static str {
        match self.state {
            State::Unclaimed { .. } => "unclaimed",
            State::Claimed { .. } => "claimed",
            State::Expired { .. } => "expired",
        }
    }

    fn expires_at(&self) -> Timestamp {
        self.forgotten_at()
    }
}

/// Adds a key. [`StoreError::Conflict`] if another one has the same characters: then it is drawn again.
pub async fn insert(
    tx: &mut Tx<'_>,
    key: &PairingKey,
    code_hash: &[u8; 32],
) -> Result<(), StoreError> {
    let row = [
        key.id.into(),
        key.environment.into(),
        key.user.into(),
        code_hash.into(),
        key.state().into(),
        document::encode(key)?.into(),
        key.expires_at().into(),
        key.forgotten_at().into(),
    ];
    tx.swap(INSERT, &row).await
}

/// The key whose characters have this hash, unless it is forgotten.
pub async fn find(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    code_hash: &[u8; 32],
    now: Timestamp,
) -> Result<Option<Versioned<PairingKey>>, StoreError> {
    let key = document::find(tx, FIND, &[code_hash.into(), environment.into()]).await?;
    Ok(key.filter(|key: &Versioned<PairingKey>| key.forgotten_at() > now))
}

/// How many keys of a user can be used now.
pub async fn count_valid(
    tx: &mut Tx<'_>,
    user: Id<User>,
    now: Timestamp,
) -> Result<i64, StoreError> {
    let row = tx.query_one(COUNT, &[user.into(), now.into()]).await?;
    row.map_or(Ok(0), |row| row.int(0))
}

/// Keys of a user that are not forgotten, by id.
pub async fn list_of_user(
    tx: &mut Tx<'_>,
    (environment, user): (Id<Environment>, Id<User>),
    now: Timestamp,
    range: Range<PairingKey>,
) -> Result<Vec<Versioned<PairingKey>>, StoreError> {
    let after = range.after.unwrap_or(Id::from_bytes([0; 16]));
    let limit = i64::from(range.limit).into();
    let params = [user.into(), environment.into(), now.into(), after.into(), limit];
    document::list(tx, LIST, &params).await
}

/// How many keys of a user are not forgotten, as far as `most`.
pub async fn count_of_user(
    tx: &mut Tx<'_>,
    (environment, user): (Id<Environment>, Id<User>),
    now: Timestamp,
    most: u32,
) -> Result<i64, StoreError> {
    let params = [user.into(), environment.into(), now.into(), i64::from(most).into()];
    let row = tx.query_one(COUNT_ALL, &params).await?;
    row.map_or(Ok(0), |row| row.int(0))
}

/// Removes a key that nobody has changed since it was read.
pub async fn delete(tx: &mut Tx<'_>, old: &Versioned<PairingKey>) -> Result<(), StoreError> {
    tx.swap(DELETE, &[old.id.into(), old.version().into()]).await
}
