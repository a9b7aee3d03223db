//! MFA policies.

use countersign_domain::{environment::Environment, id::Id, mfa_policy::MfaPolicy};

use crate::{StoreError, Tx, Versioned, document};

pub(crate) const STATEMENTS: &[&str] = &[INSERT, LOAD, LOAD_DEFAULT, SWAP];

const INSERT: &str = "INSERT INTO mfa_policies (id, environment_id, name, is_default, version, data) \
     VALUES ($1, $2, $3, $4, 1, $5)";
const LOAD: &str = "SELECT data, version FROM mfa_policies WHERE id = $1 AND environment_id = $2";
const LOAD_DEFAULT: &str = "SELECT data, version FROM mfa_policies \
     WHERE environment_id = $1 AND is_default ORDER BY id LIMIT 1";
const SWAP: &str = "UPDATE mfa_policies SET name = $3, is_default = $4, data = $5, version = version + 1 \
     WHERE id = $1 AND version = $2";

/// Adds a policy. Its name must be free in the environment.
pub async fn insert(tx: &mut Tx<'_>, policy: &MfaPolicy) -> Result<(), StoreError> {
    let MfaPolicy { id, environment, name, default, .. } = policy;
    let data = document::encode(policy)?;
    let params =
        [(*id).into(), (*environment).into(), name.as_str().into(), (*default).into(), data.into()];
    tx.execute(INSERT, &params).await.map(drop)
}

/// The policy of this id in this environment.
pub async fn load(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    id: Id<MfaPolicy>,
) -> Result<Option<Versioned<MfaPolicy>>, StoreError> {
    document::find(tx, LOAD, &[id.into(), environment.into()]).await
}

/// The default policy of an environment.
pub async fn load_default(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
) -> Result<Option<Versioned<MfaPolicy>>, StoreError> {
    document::find(tx, LOAD_DEFAULT, &[environment.into()]).await
}

/// Replaces a policy that nobody has changed since it was read.
pub async fn swap(
    tx: &mut Tx<'_>,
    old: &Versioned<MfaPolicy>,
    new: &MfaPolicy,
) -> Result<(), StoreError> {
    let data = document::encode(new)?;
    let params = [
        old.id.into(),
        old.version().into(),
        new.name.as_str().into(),
        new.default.into(),
        data.into(),
    ];
    tx.swap(SWAP, &params).await
}
