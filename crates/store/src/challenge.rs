//! Challenges.

use countersign_domain::{
    application::Application,
    challenge::{Challenge, Question, State},
    environment::Environment,
    id::Id,
    user::User,
};
use countersign_protocol::{jwk::Thumbprint, time::Timestamp};

use crate::{StoreError, Tx, Versioned, document};

pub(crate) const STATEMENTS: &[&str] =
    &[INSERT, LOAD, SWAP, LIST_OF_INSTALLATION, LIST_OF_USER, LIST_OVERDUE, DELETE_EXPIRED];

const INSERT: &str = "INSERT INTO challenges (id, environment_id, user_id, application_id, thumbprint, \
     visible, version, state, data, answer_until, expires_at) \
     VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $8, $9, $10) ON CONFLICT DO NOTHING";
const LOAD: &str = "SELECT data, version FROM challenges WHERE id = $1 AND environment_id = $2";
const SWAP: &str = "UPDATE challenges SET version = version + 1, state = $4, data = $5 \
     WHERE id = $1 AND environment_id = $2 AND version = $3";
const LIST_OF_INSTALLATION: &str = "SELECT data, version FROM challenges \
     WHERE thumbprint = $1 AND environment_id = $2 AND state = 'pending' ORDER BY id LIMIT 32";
const LIST_OF_USER: &str = "SELECT data, version FROM challenges \
     WHERE user_id = $1 AND state = 'pending' ORDER BY id LIMIT 100";
const LIST_OVERDUE: &str = "SELECT data, version FROM challenges \
     WHERE answer_until <= $1 AND state = 'pending' ORDER BY answer_until, id LIMIT $2";
const DELETE_EXPIRED: &str = "DELETE FROM challenges WHERE id IN (SELECT id FROM \
     (SELECT id, expires_at FROM challenges ORDER BY id LIMIT $2) AS oldest WHERE expires_at <= $1)";

const fn name(state: &State) -> &'static str {
    match state {
        State::Pending => "pending",
        State::Acknowledged { .. } => "acknowledged",
        State::Approved { .. } => "approved",
        State::Denied { .. } => "denied",
        State::TimedOut => "timed_out",
        State::Cancelled { .. } => "cancelled",
    }
}

/// Adds a challenge. A user is asked one visible question at a time by an application: the one before must have come to its
/// end. If another is asked at the same time, somebody else was first.
pub async fn insert(tx: &mut Tx<'_>, challenge: &Challenge) -> Result<(), StoreError> {
    let visible = matches!(challenge.question, Question::Visible(_));
    let row = [
        challenge.id.into(),
        challenge.environment.into(),
        challenge.user.into(),
        challenge.application.into(),
        challenge.installation.as_bytes().into(),
        visible.into(),
        name(&challenge.state).into(),
        document::encode(challenge)?.into(),
        challenge.answer_until.into(),
        challenge.expires_at().into(),
    ];
    tx.swap(INSERT, &row).await
}

/// The challenge of this id in this environment.
pub async fn load(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    id: Id<Challenge>,
) -> Result<Option<Versioned<Challenge>>, StoreError> {
    document::find(tx, LOAD, &[id.into(), environment.into()]).await
}

/// Replaces a challenge that nobody has changed since it was read.
pub async fn swap(
    tx: &mut Tx<'_>,
    old: &Versioned<Challenge>,
    new: &Challenge,
) -> Result<(), StoreError> {
    let row = [
        old.id.into(),
        old.environment.into(),
        old.version().into(),
        name(&new.state).into(),
        document::encode(new)?.into(),
    ];
    tx.swap(SWAP, &row).await
}

/// What an installation has been asked and has not answered, for all its users.
pub async fn list_of_installation(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    thumbprint: Thumbprint,
) -> Result<Vec<Versioned<Challenge>>, StoreError> {
    let row = [thumbprint.as_bytes().into(), environment.into()];
    document::list(tx, LIST_OF_INSTALLATION, &row).await
}

/// What a user has been asked and has not answered, on all devices.
pub async fn list_of_user(
    tx: &mut Tx<'_>,
    user: Id<User>,
) -> Result<Vec<Versioned<Challenge>>, StoreError> {
    document::list(tx, LIST_OF_USER, &[user.into()]).await
}

/// The visible question that an application has put to a user, if one waits.
pub async fn find_visible(
    tx: &mut Tx<'_>,
    user: Id<User>,
    application: Id<Application>,
) -> Result<Option<Versioned<Challenge>>, StoreError> {
    let waiting = list_of_user(tx, user).await?;
    let same = |challenge: &Versioned<Challenge>| {
        challenge.application == application && challenge.shown().is_some()
    };
    Ok(waiting.into_iter().find(same))
}

/// At most `limit` challenges whose time for an answer is over, of all environments.
pub async fn list_overdue(
    tx: &mut Tx<'_>,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<Versioned<Challenge>>, StoreError> {
    document::list(tx, LIST_OVERDUE, &[now.into(), limit.into()]).await
}

/// Forgets those of the `limit` oldest challenges whose end was long ago. Returns how many.
pub async fn delete_expired(
    tx: &mut Tx<'_>,
    now: Timestamp,
    limit: i64,
) -> Result<u64, StoreError> {
    tx.execute(DELETE_EXPIRED, &[now.into(), limit.into()]).await
}
