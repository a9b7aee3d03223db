//! Wrong passwords in a row, by user name: whoever has the name, or nobody.

use countersign_domain::{environment::Environment, id::Id, lockout::Lockout};
use countersign_protocol::time::Timestamp;

use crate::{StoreError, Tx, Versioned, document};

pub(crate) const STATEMENTS: &[&str] = &[LOAD, INSERT, SWAP, DELETE, FORGET, DELETE_EXPIRED];

const LOAD: &str = "SELECT data, version FROM lockouts WHERE environment_id = $1 AND subject = $2 AND expires_at > $3";
const INSERT: &str = "INSERT INTO lockouts (environment_id, subject, version, data, expires_at) VALUES ($1, $2, 1, $3, $4) \
     ON CONFLICT (environment_id, subject) DO UPDATE SET version = lockouts.version + 1, data = excluded.data, \
     expires_at = excluded.expires_at WHERE lockouts.expires_at <= $5";
const SWAP: &str = "UPDATE lockouts SET version = version + 1, data = $4, expires_at = $5 \
     WHERE environment_id = $1 AND subject = $2 AND version = $3";
const DELETE: &str =
    "DELETE FROM lockouts WHERE environment_id = $1 AND subject = $2 AND version = $3";
const FORGET: &str = "DELETE FROM lockouts WHERE environment_id = $1 AND subject = $2";
const DELETE_EXPIRED: &str = "DELETE FROM lockouts WHERE (environment_id, subject) IN \
     (SELECT environment_id, subject FROM lockouts WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)";

/// Seconds after which a count is forgotten that nothing was added to.
const KEPT_SECONDS: i64 = 86_400;

/// Names a count: the tenant, and a keyed hash of whose attempts they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The tenant.
    pub environment: Id<Environment>,
    /// The keyed hash.
    pub hash: [u8; 32],
}

/// The count of a subject, if anything was counted lately.
pub async fn load(
    tx: &mut Tx<'_>,
    subject: &Subject,
    now: Timestamp,
) -> Result<Option<Versioned<Lockout>>, StoreError> {
    let Subject { environment, hash } = subject;
    document::find(tx, LOAD, &[environment.into(), hash.into(), now.into()]).await
}

/// Replaces a count that nobody has changed since it was read. A count that is clear is not kept.
pub async fn put(
    tx: &mut Tx<'_>,
    subject: &Subject,
    old: Option<&Versioned<Lockout>>,
    new: &Lockout,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Subject { environment, hash } = subject;
    let (environment, hash) = (environment.into(), hash.into());
    let data = document::encode(new)?;
    let expires_at = now.plus_seconds(KEPT_SECONDS).into();
    match old {
        None if *new == Lockout::cleared() => Ok(()),
        None => {
            let row = [environment, hash, data.into(), expires_at, now.into()];
            tx.swap(INSERT, &row).await
        }
        Some(old) if *new == Lockout::cleared() => {
            tx.swap(DELETE, &[environment, hash, old.version().into()]).await
        }
        Some(old) if **old == *new => Ok(()),
        Some(old) => {
            let row = [environment, hash, old.version().into(), data.into(), expires_at];
            tx.swap(SWAP, &row).await
        }
    }
}

/// Forgets a count, whatever it is.
pub async fn forget(tx: &mut Tx<'_>, subject: &Subject) -> Result<(), StoreError> {
    let Subject { environment, hash } = subject;
    tx.execute(FORGET, &[environment.into(), hash.into()]).await.map(drop)
}

/// Forgets at most `limit` counts that nothing was added to for a day. Returns how many.
pub async fn delete_expired(
    tx: &mut Tx<'_>,
    now: Timestamp,
    limit: i64,
) -> Result<u64, StoreError> {
    tx.execute(DELETE_EXPIRED, &[now.into(), limit.into()]).await
}
