//! Flows.

use countersign_domain::{
    environment::Environment,
    flow::{Flow, State},
    id::Id,
};
use countersign_protocol::time::Timestamp;

use crate::{
    StoreError, Tx, Versioned,
    machine::{self, Machine, Table},
    machine_table,
};

pub(crate) const STATEMENTS: &[&str] = &Flow::TABLE.statements();

impl Machine for Flow {
    const TABLE: Table = machine_table!("flows");

    fn id(&self) -> Id<Self> {
        self.id
    }

    fn environment(&self) -> Id<Environment> {
        self.environment
    }

    fn state(&self) -> &'static str {
        match self.state {
            State::Identifier { .. } => "identifier",
            State::Login { .. } => "login",
            State::Password { .. } => "password",
            State::Deciding { .. } => "deciding",
            State::DeviceSelection { .. } => "device_selection",
            State::Passcode { .. } => "passcode",
            State::Completed { .. } => "completed",
            State::Failed { .. } => "failed",
        }
    }

    fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}

/// Adds a flow.
pub async fn insert(tx: &mut Tx<'_>, flow: &Flow) -> Result<(), StoreError> {
    machine::insert(tx, flow).await
}

/// Replaces a flow that nobody has changed since it was read.
pub async fn swap(tx: &mut Tx<'_>, old: &Versioned<Flow>, new: &Flow) -> Result<(), StoreError> {
    machine::swap(tx, old, new).await
}

/// The flow of this id in this environment, unless it has expired.
pub async fn load(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    id: Id<Flow>,
    now: Timestamp,
) -> Result<Option<Versioned<Flow>>, StoreError> {
    let flow = machine::load(tx, environment, id).await?;
    Ok(flow.filter(|flow: &Versioned<Flow>| flow.expires_at() > now))
}
