//! Access tokens that were revoked one by one (RFC 7009) and have not expired.

use countersign_domain::{environment::Environment, id::Id};
use countersign_protocol::time::Timestamp;

use crate::{StoreError, Tx};

pub(crate) const STATEMENTS: &[&str] = &[INSERT, FIND, DELETE_EXPIRED];

const INSERT: &str = "INSERT INTO revoked_tokens (expires_at, environment_id, token_id) \
     VALUES ($1, $2, $3) ON CONFLICT (expires_at, environment_id, token_id) DO NOTHING";
const FIND: &str = "SELECT token_id FROM revoked_tokens \
     WHERE expires_at = $1 AND environment_id = $2 AND token_id = $3";
const DELETE_EXPIRED: &str = "DELETE FROM revoked_tokens WHERE (expires_at, environment_id, token_id) IN \
     (SELECT expires_at, environment_id, token_id FROM revoked_tokens WHERE expires_at <= $1 \
      ORDER BY expires_at, environment_id, token_id LIMIT $2)";

/// Names an access token among those of its environment, by two of its claims.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    /// The tenant.
    pub environment: Id<Environment>,
    /// `exp`
    pub expires_at: Timestamp,
    /// `jti`
    pub token_id: &'a str,
}

/// Revokes a token, once or again.
pub async fn insert(tx: &mut Tx<'_>, key: Key<'_>) -> Result<(), StoreError> {
    tx.execute(INSERT, &params(key)).await.map(drop)
}

/// Whether a token was revoked.
pub async fn exists(tx: &mut Tx<'_>, key: Key<'_>) -> Result<bool, StoreError> {
    tx.query_one(FIND, &params(key)).await.map(|row| row.is_some())
}

fn params(key: Key<'_>) -> [crate::Value<'_>; 3] {
    [key.expires_at.into(), key.environment.into(), key.token_id.into()]
}

/// Forgets at most `limit` tokens that have expired. Returns how many.
pub async fn delete_expired(
    tx: &mut Tx<'_>,
    now: Timestamp,
    limit: i64,
) -> Result<u64, StoreError> {
    tx.execute(DELETE_EXPIRED, &[now.into(), limit.into()]).await
}
