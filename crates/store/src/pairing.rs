//! Pairing tickets.

use countersign_domain::{
    environment::Environment,
    id::Id,
    pairing::{State, TICKET_SECONDS, Ticket},
};
use countersign_protocol::time::Timestamp;

use crate::{
    StoreError, Tx, Versioned,
    machine::{self, Machine, Table},
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

/// Adds a ticket.
pub async fn insert(tx: &mut Tx<'_>, ticket: &Ticket) -> Result<(), StoreError> {
    machine::insert(tx, ticket).await
}

/// Replaces a ticket that nobody has changed since it was read.
pub async fn swap(
    tx: &mut Tx<'_>,
    old: &Versioned<Ticket>,
    new: &Ticket,
) -> Result<(), StoreError> {
    machine::swap(tx, old, new).await
}

/// The ticket of this id in this environment, expired or not.
pub async fn load(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    id: Id<Ticket>,
) -> Result<Option<Versioned<Ticket>>, StoreError> {
    machine::load(tx, environment, id).await
}
