//! Flows.

use countersign_domain::{
    environment::Environment,
    flow::{Flow, State},
    id::Id,
};
use countersign_protocol::time::Timestamp;

pub use crate::machine::{insert, load_live as load, swap};
use crate::{
    machine::{Machine, Table},
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
            State::AuthenticationCode { .. } => "authentication_code",
            State::PasswordChange { .. } => "password_change",
            State::Deciding { .. } => "deciding",
            State::DeviceSelection { .. } => "device_selection",
            State::Passcode { .. } => "passcode",
            State::Verification { .. } => "verification",
            State::Push { .. } => "push",
            State::PushTimedOut { .. } => "push_timed_out",
            State::Completed { .. } => "completed",
            State::Failed { .. } => "failed",
        }
    }

    fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}
