//! Grants.

use countersign_domain::{
    environment::Environment,
    grant::{CODE_SECONDS, Grant, State, TOKEN_SECONDS},
    id::Id,
};
use countersign_protocol::time::Timestamp;

pub use crate::machine::{insert, load_live as load, swap};
use crate::{
    machine::{Machine, Table},
    machine_table,
};

pub(crate) const STATEMENTS: &[&str] = &Grant::TABLE.statements();

impl Machine for Grant {
    const TABLE: Table = machine_table!("grants");

    fn id(&self) -> Id<Self> {
        self.id
    }

    fn environment(&self) -> Id<Environment> {
        self.environment
    }

    fn state(&self) -> &'static str {
        match self.state {
            State::Issued => "issued",
            State::Redeemed { .. } => "redeemed",
            State::Revoked { .. } => "revoked",
        }
    }

    fn expires_at(&self) -> Timestamp {
        // As long as the tokens that the code may still give.
        self.issued_at.plus_seconds(CODE_SECONDS + TOKEN_SECONDS)
    }
}
