//! Grants.

use countersign_domain::{
    environment::Environment,
    grant::{CODE_SECONDS, Grant, State, TOKEN_SECONDS},
    id::Id,
};
use countersign_protocol::time::Timestamp;

use crate::{
    StoreError, Tx, Versioned,
    machine::{self, Machine, Table},
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

/// Adds a grant.
pub async fn insert(tx: &mut Tx<'_>, grant: &Grant) -> Result<(), StoreError> {
    machine::insert(tx, grant).await
}

/// Replaces a grant that nobody has changed since it was read.
pub async fn swap(tx: &mut Tx<'_>, old: &Versioned<Grant>, new: &Grant) -> Result<(), StoreError> {
    machine::swap(tx, old, new).await
}

/// The grant of this id in this environment, unless it has expired.
pub async fn load(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    id: Id<Grant>,
    now: Timestamp,
) -> Result<Option<Versioned<Grant>>, StoreError> {
    let grant = machine::load(tx, environment, id).await?;
    Ok(grant.filter(|grant: &Versioned<Grant>| grant.expires_at() > now))
}
