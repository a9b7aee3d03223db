//! What phones have sent of the logs of their apps: of each device the last, until its time is over.

use countersign_domain::{device::Device, id::Id};
use countersign_protocol::time::Timestamp;

use crate::{StoreError, Tx};

pub(crate) const STATEMENTS: &[&str] = &[PUT, LOAD, DELETE, DELETE_EXPIRED];

const PUT: &str = "INSERT INTO device_logs (device_id, log, expires_at) VALUES ($1, $2, $3) \
     ON CONFLICT (device_id) DO UPDATE SET log = $2, expires_at = $3";
const LOAD: &str = "SELECT log FROM device_logs WHERE device_id = $1 AND expires_at > $2";
const DELETE: &str = "DELETE FROM device_logs WHERE device_id = $1";
const DELETE_EXPIRED: &str = "DELETE FROM device_logs WHERE device_id IN \
     (SELECT device_id FROM device_logs WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)";

/// Keeps a log until then, in place of the one before.
pub async fn put(
    tx: &mut Tx<'_>,
    device: Id<Device>,
    log: &str,
    until: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(PUT, &[device.into(), log.into(), until.into()]).await.map(drop)
}

/// The log of a device, if there is one whose time is not over.
pub async fn load(
    tx: &mut Tx<'_>,
    device: Id<Device>,
    now: Timestamp,
) -> Result<Option<String>, StoreError> {
    let row = tx.query_one(LOAD, &[device.into(), now.into()]).await?;
    row.map(|row| row.text(0).map(str::to_owned)).transpose()
}

/// Forgets the log of a device.
pub async fn delete(tx: &mut Tx<'_>, device: Id<Device>) -> Result<(), StoreError> {
    tx.execute(DELETE, &[device.into()]).await.map(drop)
}

/// Forgets at most `limit` logs whose time is over. Returns how many.
pub async fn delete_expired(
    tx: &mut Tx<'_>,
    now: Timestamp,
    limit: i64,
) -> Result<u64, StoreError> {
    tx.execute(DELETE_EXPIRED, &[now.into(), limit.into()]).await
}
