//! Pushed authorization requests.

use countersign_domain::{
    environment::Environment,
    id::Id,
    pushed_request::{PushedRequest, State},
};
use countersign_protocol::time::Timestamp;

pub use crate::machine::{insert, load, swap};
use crate::{
    machine::{Machine, Table},
    machine_table,
};

pub(crate) const STATEMENTS: &[&str] = &PushedRequest::TABLE.statements();

impl Machine for PushedRequest {
    const TABLE: Table = machine_table!("pushed_requests");

    fn id(&self) -> Id<Self> {
        self.id
    }

    fn environment(&self) -> Id<Environment> {
        self.environment
    }

    fn state(&self) -> &'static str {
        match self.state {
            State::Waiting => "waiting",
            State::Used => "used",
        }
    }

    fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}
