//! Proofs that have counted, and the answers that they got.

use countersign_domain::{environment::Environment, id::Id};
use countersign_protocol::{
    jwk::{EcPublicKey, Thumbprint},
    proof::{Jti, REMEMBERED_AFTER_EXPIRY_SECONDS, Verified},
    time::Timestamp,
};

use crate::{StoreError, Tx};

pub(crate) const STATEMENTS: &[&str] = &[SPEND, LOAD, ANSWER, AMEND, FIND_KEY, DELETE_EXPIRED];

const SPEND: &str = "INSERT INTO spent_proofs (expires_at, thumbprint, jti, environment_id, digest) \
     VALUES ($1, $2, $3, $4, $5) ON CONFLICT (expires_at, thumbprint, jti) DO NOTHING";
const LOAD: &str = "SELECT digest, answer FROM spent_proofs WHERE expires_at = $1 AND thumbprint = $2 AND jti = $3";
const ANSWER: &str = "UPDATE spent_proofs SET answer = $4, public_key = $5 \
     WHERE expires_at = $1 AND thumbprint = $2 AND jti = $3 AND answer IS NULL";
const AMEND: &str = "UPDATE spent_proofs SET answer = $4 \
     WHERE expires_at = $1 AND thumbprint = $2 AND jti = $3 AND answer IS NOT NULL";
const FIND_KEY: &str = "SELECT public_key FROM spent_proofs \
     WHERE expires_at = $1 AND thumbprint = $2 AND jti = $3 AND answer IS NOT NULL";
const DELETE_EXPIRED: &str = "DELETE FROM spent_proofs WHERE (expires_at, thumbprint, jti) IN \
     (SELECT expires_at, thumbprint, jti FROM spent_proofs WHERE expires_at < $1 \
      ORDER BY expires_at, thumbprint, jti LIMIT $2)";

/// Whether a proof counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spending {
    /// It has not counted before, and now it has.
    First,
    /// It has counted, and this was the answer, if the request has one.
    Again { answer: Option<String> },
    /// Another statement with the same id has counted.
    Clash,
}

/// Names a proof among those of its environment.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    environment: Id<Environment>,
    thumbprint: [u8; 32],
    jti: [u8; 16],
    digest: [u8; 32],
    expires_at: Timestamp,
    signed_by: EcPublicKey,
}

impl Key {
    /// The key of a verified proof.
    pub fn of<P>(environment: Id<Environment>, proof: &Verified<P>) -> Self {
        Self {
            environment,
            thumbprint: *proof.thumbprint().as_bytes(),
            jti: *proof.jti().as_bytes(),
            digest: proof.digest(),
            expires_at: proof.expires_at(),
            signed_by: *proof.key(),
        }
    }
}

/// Spends a proof in the transaction of its effect.
pub async fn spend(tx: &mut Tx<'_>, key: &Key) -> Result<Spending, StoreError> {
    let Key { environment, thumbprint, jti, digest, expires_at, .. } = key;
    let params =
        [(*expires_at).into(), thumbprint.into(), jti.into(), environment.into(), digest.into()];
    if tx.execute(SPEND, &params).await? == 1 {
        return Ok(Spending::First);
    }
    let row = tx.query_one(LOAD, &[(*expires_at).into(), thumbprint.into(), jti.into()]).await?;
    // Between the two statements only the expiry worker deletes, and it spares what could still be verified.
    let row = row.ok_or(StoreError::Conflict)?;
    if row.blob(0)? == key.digest {
        Ok(Spending::Again { answer: row.opt_text(1)?.map(str::to_owned) })
    } else {
        Ok(Spending::Clash)
    }
}

/// Keeps the answer to a proof that was spent in this transaction.
pub async fn answer(tx: &mut Tx<'_>, key: &Key, answer: &str) -> Result<(), StoreError> {
    let Key { thumbprint, jti, expires_at, signed_by, .. } = key;
    let public_key = signed_by.to_uncompressed();
    let expires_at = (*expires_at).into();
    let params = [expires_at, thumbprint.into(), jti.into(), answer.into(), public_key.into()];
    tx.swap(ANSWER, &params).await
}

/// Says more in the answer to a proof that was answered.
pub async fn amend(tx: &mut Tx<'_>, key: &Key, answer: &str) -> Result<(), StoreError> {
    let Key { thumbprint, jti, expires_at, .. } = key;
    let params = [(*expires_at).into(), thumbprint.into(), jti.into(), answer.into()];
    tx.swap(AMEND, &params).await
}

/// The key that signed a proof which was answered, so that it can be answered again after its device is gone.
pub async fn find_key(
    tx: &mut Tx<'_>,
    thumbprint: Thumbprint,
    jti: Jti,
    expires_at: Timestamp,
) -> Result<Option<EcPublicKey>, StoreError> {
    let params = [expires_at.into(), thumbprint.as_bytes().into(), jti.as_bytes().into()];
    let Some(row) = tx.query_one(FIND_KEY, &params).await? else { return Ok(None) };
    let point = row.blob(0)?;
    let key = EcPublicKey::from_uncompressed(point);
    key.map(Some).map_err(|_| StoreError::corrupt("spent_proofs.public_key is not a key"))
}

/// Forgets at most `limit` proofs that no longer verify. Returns how many.
pub async fn delete_expired(
    tx: &mut Tx<'_>,
    now: Timestamp,
    limit: i64,
) -> Result<u64, StoreError> {
    let before = now.minus_seconds(REMEMBERED_AFTER_EXPIRY_SECONDS);
    tx.execute(DELETE_EXPIRED, &[before.into(), limit.into()]).await
}
