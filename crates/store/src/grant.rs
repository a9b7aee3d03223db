//! Grants. Most live for about an hour, and are swept from the old end of their table. Those with refresh tokens, or with
//! access tokens of more than an hour, live for weeks: among the others they would hide what has ended behind them. They move
//! to a table of their own when their code is redeemed, so that a code without refresh tokens costs nothing more.

use countersign_domain::{
    environment::Environment,
    grant::{CODE_SECONDS, Grant, State, TOKEN_SECONDS},
    id::Id,
};
use countersign_protocol::time::Timestamp;

pub use crate::machine::insert;
use crate::{
    StoreError, Tx, Versioned, document,
    machine::{self, Machine, Table},
    machine_table,
};

pub(crate) const STATEMENTS: &[&str] = &[
    DELETE,
    INSERT_LASTING,
    LOAD_LASTING,
    SWAP_LASTING,
    DELETE_LASTING,
    DELETE_EXPIRED_LASTING,
    MACHINE[0],
    MACHINE[1],
    MACHINE[2],
    MACHINE[3],
];

const MACHINE: [&str; 4] = Grant::TABLE.statements();
const DELETE: &str = "DELETE FROM grants WHERE id = $1 AND version = $2";
const INSERT_LASTING: &str = "INSERT INTO lasting_grants \
     (id, environment_id, version, state, data, expires_at) VALUES ($1, $2, 1, $3, $4, $5)";
const LOAD_LASTING: &str =
    "SELECT data, version FROM lasting_grants WHERE id = $1 AND environment_id = $2";
const SWAP_LASTING: &str = "UPDATE lasting_grants \
     SET version = version + 1, state = $3, data = $4, expires_at = $5 WHERE id = $1 AND version = $2";
const DELETE_LASTING: &str = "DELETE FROM lasting_grants WHERE id = $1 AND version = $2";
const DELETE_EXPIRED_LASTING: &str = "DELETE FROM lasting_grants WHERE id IN \
     (SELECT id FROM lasting_grants WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)";

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
            State::Answered { .. } => "answered",
            State::Redeemed { .. } => "redeemed",
            State::Refreshable { .. } => "refreshable",
            State::Revoked { .. } => "revoked",
        }
    }

    fn expires_at(&self) -> Timestamp {
        self.expires_at()
    }
}

/// Whether a grant belongs among those that live long. Once it does, it does until it is revoked.
fn lasts(grant: &Grant) -> bool {
    match grant.state {
        State::Refreshable { .. } => true,
        State::Answered { access_until } | State::Redeemed { access_until, .. } => {
            access_until > grant.issued_at.plus_seconds(CODE_SECONDS + TOKEN_SECONDS)
        }
        State::Issued | State::Revoked { .. } => false,
    }
}

/// The grant with this id in this environment, unless it has expired.
pub async fn load(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    id: Id<Grant>,
    now: Timestamp,
) -> Result<Option<Versioned<Grant>>, StoreError> {
    // In this order, since a grant only ever moves in this direction.
    match machine::load_live(tx, environment, id, now).await? {
        Some(grant) => Ok(Some(grant)),
        None => load_refreshable(tx, environment, id, now).await,
    }
}

/// The grant that refresh tokens name, unless it has expired.
pub async fn load_refreshable(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    id: Id<Grant>,
    now: Timestamp,
) -> Result<Option<Versioned<Grant>>, StoreError> {
    let grant = document::find(tx, LOAD_LASTING, &[id.into(), environment.into()]).await?;
    Ok(grant.filter(|grant: &Versioned<Grant>| grant.expires_at() > now))
}

/// Replaces a grant by its next state. [`StoreError::Conflict`] if somebody else has, since it was read.
pub async fn swap(tx: &mut Tx<'_>, old: &Versioned<Grant>, new: &Grant) -> Result<(), StoreError> {
    match (lasts(old), lasts(new)) {
        (false, false) => machine::swap(tx, old, new).await,
        (false, true) => {
            tx.swap(DELETE, &[old.id.into(), old.version().into()]).await?;
            insert_lasting(tx, new).await
        }
        // It was revoked, and is forgotten: what is unknown counts as little.
        (true, false) => tx.swap(DELETE_LASTING, &[old.id.into(), old.version().into()]).await,
        (true, true) => {
            let row = [
                old.id.into(),
                old.version().into(),
                new.state().into(),
                document::encode(new)?.into(),
                new.expires_at().into(),
            ];
            tx.swap(SWAP_LASTING, &row).await
        }
    }
}

/// Adds a grant that was redeemed in the moment in which it was made.
pub async fn insert_redeemed(tx: &mut Tx<'_>, grant: &Grant) -> Result<(), StoreError> {
    if lasts(grant) { insert_lasting(tx, grant).await } else { insert(tx, grant).await }
}

async fn insert_lasting(tx: &mut Tx<'_>, grant: &Grant) -> Result<(), StoreError> {
    let row = [
        grant.id.into(),
        grant.environment.into(),
        grant.state().into(),
        document::encode(grant)?.into(),
        grant.expires_at().into(),
    ];
    tx.execute(INSERT_LASTING, &row).await.map(drop)
}

/// Removes at most `limit` of those that live long and have expired, and returns how many.
pub async fn delete_expired_lasting(
    tx: &mut Tx<'_>,
    now: Timestamp,
    limit: i64,
) -> Result<u64, StoreError> {
    tx.execute(DELETE_EXPIRED_LASTING, &[now.into(), limit.into()]).await
}
