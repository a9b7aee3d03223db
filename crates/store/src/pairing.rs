//! Pairing tickets.

use countersign_domain::{
    environment::Environment,
    id::Id,
    pairing::{State, TICKET_SECONDS, Ticket},
};
use countersign_protocol::time::Timestamp;

pub use crate::machine::{insert, load, swap};
use crate::{
    machine::{Machine, Table},
    machine_table,
};

pub(crate) const STATEMENTS: &[&str] = &Ticket::TABLE.statements();

impl Machine for Ticket {
    const TABLE: Table = machine_table!("pairing_tickets");

    fn id(&self) -> Id<Self> {
        self.id
    }

    fn environment(&self) -> Id<Environment> {
        self.environment
    }

    fn state(&self) -> &'static str {
        match self.state {
            State::Open => "open",
            State::Claimed { .. } => "claimed",
            State::Denied { .. } => "denied",
            State::Expired => "expired",
        }
    }

    fn expires_at(&self) -> Timestamp {
        // As long again, so that a late phone is told that it is late.
        self.expires_at().plus_seconds(TICKET_SECONDS)
    }
}
