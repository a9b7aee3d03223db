//! Devices.

use countersign_domain::{
    application::Application,
    device::{Device, State},
    environment::Environment,
    id::Id,
    user::User,
};
use countersign_protocol::jwk::Thumbprint;

use crate::{StoreError, Tx, Versioned, document};

pub(crate) const STATEMENTS: &[&str] =
    &[INSERT, LOAD, FIND_OF_USER, LIST_OF_USER, LIST_OF_INSTALLATION, OF_APPLICATION, SWAP, DELETE];

const INSERT: &str = "INSERT INTO devices \
     (id, environment_id, user_id, thumbprint, application_id, version, state, data) \
     VALUES ($1, $2, $3, $4, $5, 1, $6, $7)";
const LOAD: &str = "SELECT data, version FROM devices WHERE id = $1 AND environment_id = $2";
const FIND_OF_USER: &str =
    "SELECT data, version FROM devices WHERE user_id = $1 AND thumbprint = $2";
// A user has at most 15 devices, an installation at most as many users as share a phone.
const LIST_OF_USER: &str = "SELECT data, version FROM devices WHERE user_id = $1 LIMIT 100";
const LIST_OF_INSTALLATION: &str = "SELECT data, version FROM devices \
     WHERE thumbprint = $1 AND environment_id = $2 ORDER BY id LIMIT 100";
const OF_APPLICATION: &str =
    "SELECT data, version FROM devices WHERE application_id = $1 ORDER BY id LIMIT 200";
const SWAP: &str = "UPDATE devices SET state = $3, data = $4, version = version + 1 \
     WHERE id = $1 AND version = $2";
const DELETE: &str = "DELETE FROM devices WHERE id = $1 AND version = $2";

const fn name(state: &State) -> &'static str {
    match state {
        State::Active { .. } => "active",
        State::Blocked { .. } => "blocked",
        State::Locked { .. } => "locked",
        State::Removed { .. } => "removed",
    }
}

/// Adds a device. An installation is paired to a user at most once.
pub async fn insert(tx: &mut Tx<'_>, device: &Device) -> Result<(), StoreError> {
    let params = [
        device.id.into(),
        device.environment.into(),
        device.user.into(),
        device.installation.thumbprint.as_bytes().into(),
        device.installation.application.into(),
        name(&device.state).into(),
        document::encode(device)?.into(),
    ];
    tx.execute(INSERT, &params).await.map(drop)
}

/// The device of this id in this environment.
pub async fn load(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    id: Id<Device>,
) -> Result<Option<Versioned<Device>>, StoreError> {
    document::find(tx, LOAD, &[id.into(), environment.into()]).await
}

/// The device of a user that is this installation.
pub async fn find_of_user(
    tx: &mut Tx<'_>,
    user: Id<User>,
    thumbprint: Thumbprint,
) -> Result<Option<Versioned<Device>>, StoreError> {
    document::find(tx, FIND_OF_USER, &[user.into(), thumbprint.as_bytes().into()]).await
}

/// The devices of a user, in their order.
pub async fn list_of_user(tx: &mut Tx<'_>, user: Id<User>) -> Result<Vec<Device>, StoreError> {
    let devices = list_versions_of_user(tx, user).await?;
    Ok(devices.into_iter().map(Versioned::into_value).collect())
}

/// The devices of a user, in their order, to change them.
pub async fn list_versions_of_user(
    tx: &mut Tx<'_>,
    user: Id<User>,
) -> Result<Vec<Versioned<Device>>, StoreError> {
    let mut devices: Vec<Versioned<Device>> =
        document::list(tx, LIST_OF_USER, &[user.into()]).await?;
    devices.sort_unstable_by_key(|device| device.rank());
    Ok(devices)
}

/// The devices that are this installation, one per user.
pub async fn list_of_installation(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    thumbprint: Thumbprint,
) -> Result<Vec<Versioned<Device>>, StoreError> {
    let params = [thumbprint.as_bytes().into(), environment.into()];
    document::list(tx, LIST_OF_INSTALLATION, &params).await
}

/// Some of the devices that have the app of an application.
pub async fn list_of_application(
    tx: &mut Tx<'_>,
    application: Id<Application>,
) -> Result<Vec<Versioned<Device>>, StoreError> {
    document::list(tx, OF_APPLICATION, &[application.into()]).await
}

/// Replaces a device that nobody has changed since it was read.
pub async fn swap(
    tx: &mut Tx<'_>,
    old: &Versioned<Device>,
    new: &Device,
) -> Result<(), StoreError> {
    let data = document::encode(new)?;
    let params = [old.id.into(), old.version().into(), name(&new.state).into(), data.into()];
    tx.swap(SWAP, &params).await
}

/// Removes a device that nobody has changed since it was read.
pub async fn delete(tx: &mut Tx<'_>, old: &Versioned<Device>) -> Result<(), StoreError> {
    tx.swap(DELETE, &[old.id.into(), old.version().into()]).await
}
