//! Sessions, found by themselves or by their user.

use countersign_domain::{
    environment::Environment,
    id::Id,
    session::{Session, State},
    user::User,
};
use countersign_protocol::time::Timestamp;

pub use crate::machine::{load_live as load, swap};
use crate::{
    StoreError, Tx, Versioned,
    configured::Range,
    document,
    machine::{Machine, Table},
    machine_table,
};

pub(crate) const STATEMENTS: &[&str] =
    &[INSERT, LIST_OF_USER, COUNT_OF_USER, MACHINE[1], MACHINE[2], MACHINE[3]];

const MACHINE: [&str; 4] = Session::TABLE.statements();
const INSERT: &str = "INSERT INTO sessions \
     (id, environment_id, user_id, version, state, data, expires_at) \
     VALUES ($1, $2, $3, 1, $4, $5, $6) ON CONFLICT (id) DO NOTHING";
const LIST_OF_USER: &str = "SELECT data, version FROM sessions \
     WHERE user_id = $1 AND state = 'active' AND environment_id = $2 AND expires_at > $3 AND id > $4 \
     ORDER BY id LIMIT $5";
const COUNT_OF_USER: &str = "SELECT COUNT(*) FROM (SELECT id FROM sessions \
     WHERE user_id = $1 AND state = 'active' AND environment_id = $2 AND expires_at > $3 LIMIT $4) AS found";

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

/// Adds a session. It is one user's to its end.
pub async fn insert(tx: &mut Tx<'_>, session: &Session) -> Result<(), StoreError> {
    let row = [
        session.id.into(),
        session.environment.into(),
        session.user().into(),
        session.state().into(),
        document::encode(session)?.into(),
        session.expires_at.into(),
    ];
    tx.swap(INSERT, &row).await
}

/// Sessions of a user that are not over, the oldest first.
pub async fn list_of_user(
    tx: &mut Tx<'_>,
    (environment, user): (Id<Environment>, Id<User>),
    now: Timestamp,
    range: Range<Session>,
) -> Result<Vec<Versioned<Session>>, StoreError> {
    let after = range.after.unwrap_or(Id::from_bytes([0; 16]));
    let limit = i64::from(range.limit).into();
    let params = [user.into(), environment.into(), now.into(), after.into(), limit];
    document::list(tx, LIST_OF_USER, &params).await
}

/// How many sessions of a user are not over, as far as `most`.
pub async fn count_of_user(
    tx: &mut Tx<'_>,
    (environment, user): (Id<Environment>, Id<User>),
    now: Timestamp,
    most: u32,
) -> Result<i64, StoreError> {
    let params = [user.into(), environment.into(), now.into(), i64::from(most).into()];
    let row = tx.query_one(COUNT_OF_USER, &params).await?;
    row.map_or(Ok(0), |row| row.int(0))
}
