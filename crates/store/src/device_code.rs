//! Device codes, found by themselves or by the hash of what a person types.

use countersign_domain::{
    device_code::{DeviceCode, State},
    environment::Environment,
    id::Id,
};
use countersign_protocol::time::Timestamp;

pub use crate::machine::{load_live as load, swap};
use crate::{
    StoreError, Tx, Versioned, document,
    machine::{Machine, Table},
    machine_table,
};

pub(crate) const STATEMENTS: &[&str] =
    &[INSERT, FIND_BY_USER_CODE, MACHINE[1], MACHINE[2], MACHINE[3]];

const MACHINE: [&str; 4] = DeviceCode::TABLE.statements();
const INSERT: &str = "INSERT INTO device_codes \
     (id, environment_id, user_code_hash, version, state, data, expires_at) \
     VALUES ($1, $2, $3, 1, $4, $5, $6) ON CONFLICT DO NOTHING";
const FIND_BY_USER_CODE: &str =
    "SELECT data, version FROM device_codes WHERE user_code_hash = $1 AND environment_id = $2";

impl Machine for DeviceCode {
    const TABLE: Table = machine_table!("device_codes");

    fn id(&self) -> Id<Self> {
        self.id
    }

    fn environment(&self) -> Id<Environment> {
        self.environment
    }

    fn state(&self) -> &'static str {
        match self.state {
            State::Pending { .. } => "pending",
            State::Approved { .. } => "approved",
            State::Denied => "denied",
            State::Redeemed { .. } => "redeemed",
        }
    }

    fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}

/// Adds a device code. [`StoreError::Conflict`] if another one has the same user code, once in many years.
pub async fn insert(
    tx: &mut Tx<'_>,
    code: &DeviceCode,
    user_code_hash: &[u8; 32],
) -> Result<(), StoreError> {
    let row = [
        code.id.into(),
        code.environment.into(),
        user_code_hash.into(),
        code.state().into(),
        document::encode(code)?.into(),
        code.expires_at.into(),
    ];
    tx.swap(INSERT, &row).await
}

/// The device code whose user code has this hash, unless it has expired.
pub async fn find_by_user_code(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    user_code_hash: &[u8; 32],
    now: Timestamp,
) -> Result<Option<Versioned<DeviceCode>>, StoreError> {
    let params = [user_code_hash.into(), environment.into()];
    let code = document::find(tx, FIND_BY_USER_CODE, &params).await?;
    Ok(code.filter(|code: &Versioned<DeviceCode>| code.expires_at > now))
}
