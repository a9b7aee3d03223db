//! Authentication codes, found by themselves or by the hash of what a phone has read.

use countersign_domain::{
    authentication_code::{AuthenticationCode, State},
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
    &[INSERT, FIND, DELETE, LIST_OVERDUE, MACHINE[1], MACHINE[2], MACHINE[3]];

const MACHINE: [&str; 4] = AuthenticationCode::TABLE.statements();
const INSERT: &str = "INSERT INTO authentication_codes \
     (id, environment_id, code_hash, version, state, data, answer_until, expires_at) \
     VALUES ($1, $2, $3, 1, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
const FIND: &str =
    "SELECT data, version FROM authentication_codes WHERE code_hash = $1 AND environment_id = $2";
const DELETE: &str = "DELETE FROM authentication_codes WHERE id = $1 AND version = $2";
const LIST_OVERDUE: &str = "SELECT data, version FROM authentication_codes \
     WHERE answer_until <= $1 AND state = 'open' ORDER BY answer_until, id LIMIT $2";

impl Machine for AuthenticationCode {
    const TABLE: Table = machine_table!("authentication_codes");

    fn id(&self) -> Id<Self> {
        self.id
    }

    fn environment(&self) -> Id<Environment> {
        self.environment
    }

    /// Whether something can still come of it: this is what is searched by.
    fn state(&self) -> &'static str {
        match self.state {
            State::Unclaimed | State::Claimed { .. } => "open",
            State::Completed { .. } => "completed",
            State::Denied { .. } => "denied",
            State::Expired { .. } => "expired",
        }
    }

    fn expires_at(&self) -> Timestamp {
        self.forgotten_at()
    }
}

/// Adds a code. [`StoreError::Conflict`] if another one has the same characters: then it is drawn again.
pub async fn insert(
    tx: &mut Tx<'_>,
    code: &AuthenticationCode,
    code_hash: &[u8; 32],
) -> Result<(), StoreError> {
    let row = [
        code.id.into(),
        code.environment.into(),
        code_hash.into(),
        code.state().into(),
        document::encode(code)?.into(),
        code.expires_at().into(),
        code.forgotten_at().into(),
    ];
    tx.swap(INSERT, &row).await
}

/// The code whose characters have this hash, unless it is forgotten.
pub async fn find(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    code_hash: &[u8; 32],
    now: Timestamp,
) -> Result<Option<Versioned<AuthenticationCode>>, StoreError> {
    let code = document::find(tx, FIND, &[code_hash.into(), environment.into()]).await?;
    Ok(code.filter(|code: &Versioned<AuthenticationCode>| code.forgotten_at() > now))
}

/// Removes a code that nobody has changed since it was read.
pub async fn delete(
    tx: &mut Tx<'_>,
    old: &Versioned<AuthenticationCode>,
) -> Result<(), StoreError> {
    tx.swap(DELETE, &[old.id.into(), old.version().into()]).await
}

/// At most `limit` codes of which nothing can come any more, and that do not say so yet.
pub async fn list_overdue(
    tx: &mut Tx<'_>,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<Versioned<AuthenticationCode>>, StoreError> {
    document::list(tx, LIST_OVERDUE, &[now.into(), limit.into()]).await
}
