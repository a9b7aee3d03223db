//! MFA settings: one row per environment, or none while they are the defaults.

use countersign_domain::{environment::Environment, id::Id, mfa_settings::MfaSettings};

use crate::{StoreError, Tx, Versioned, document};

pub(crate) const STATEMENTS: &[&str] = &[PUT, LOAD, RESET];

const PUT: &str = "INSERT INTO mfa_settings (environment_id, version, data) VALUES ($1, 1, $2) \
     ON CONFLICT (environment_id) DO UPDATE SET version = mfa_settings.version + 1, data = excluded.data";
const LOAD: &str = "SELECT data, version FROM mfa_settings WHERE environment_id = $1";
const RESET: &str = "DELETE FROM mfa_settings WHERE environment_id = $1";

/// Sets the MFA settings of an environment, whatever they were.
pub async fn put(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    settings: &MfaSettings,
) -> Result<(), StoreError> {
    let data = document::encode(settings)?;
    tx.execute(PUT, &[environment.into(), data.into()]).await.map(drop)
}

/// The MFA settings of an environment.
pub async fn load(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
) -> Result<MfaSettings, StoreError> {
    let stored = document::find_configuration(tx, LOAD, &[environment.into()]).await?;
    Ok(stored.map(Versioned::into_value).unwrap_or_default())
}

/// Makes them the defaults again.
pub async fn reset(tx: &mut Tx<'_>, environment: Id<Environment>) -> Result<(), StoreError> {
    tx.execute(RESET, &[environment.into()]).await.map(drop)
}
