//! JWTs that have counted and must not count again: client assertions, login hints, `DPoP` proofs.

use countersign_domain::{environment::Environment, id::Id, spent_jwt::SpentJwt};
use countersign_protocol::time::Timestamp;

use crate::{StoreError, Tx};

pub(crate) const STATEMENTS: &[&str] = &[SPEND, DELETE_EXPIRED];

const SPEND: &str = "INSERT INTO spent_jwts (expires_at, environment_id, hash) VALUES ($1, $2, $3) \
     ON CONFLICT (expires_at, environment_id, hash) DO NOTHING";
const DELETE_EXPIRED: &str = "DELETE FROM spent_jwts WHERE (expires_at, environment_id, hash) IN \
     (SELECT expires_at, environment_id, hash FROM spent_jwts WHERE expires_at < $1 \
      ORDER BY expires_at, environment_id, hash LIMIT $2)";

/// How much longer than needed a JWT is remembered, in seconds, since the clocks of two nodes may differ.
const MARGIN_SECONDS: i64 = 60;

/// Spends a JWT in the transaction of its effect. Tells whether it counts: not if it was spent before.
pub async fn spend(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    jwt: &SpentJwt,
) -> Result<bool, StoreError> {
    let params = [jwt.until.into(), environment.into(), (&jwt.hash).into()];
    Ok(tx.execute(SPEND, &params).await? == 1)
}

/// Forgets at most `limit` JWTs that would be refused by their age. Returns how many.
pub async fn delete_expired(
    tx: &mut Tx<'_>,
    now: Timestamp,
    limit: i64,
) -> Result<u64, StoreError> {
    let before = now.minus_seconds(MARGIN_SECONDS);
    tx.execute(DELETE_EXPIRED, &[before.into(), limit.into()]).await
}
