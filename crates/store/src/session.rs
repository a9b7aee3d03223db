//! Sessions.

use countersign_domain::{
    environment::Environment,
    id::Id,
    session::{Session, State},
};
use countersign_protocol::time::Timestamp;

pub use crate::machine::{insert, load_live as load, swap};
use crate::{
    machine::{Machine, Table},
    machine_table,
};

pub(crate) const STATEMENTS: &[&str] = &Session::TABLE.statements();

impl Machine for Session {
    const TABLE: Table = machine_table!("sessions");

    fn id(&self) -> Id<Self> {
        self.id
    }

    fn environment(&self) -> Id<Environment> {
        self.environment
    }

    fn state(&self) -> &'static str {
        match self.state {
            State::Active { .. } => "active",
            State::Ended { .. } => "ended",
        }
    }

    fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}
