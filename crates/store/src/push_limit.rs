//! Limits of pushes, by user and application.

use countersign_domain::{
    application::Application, id::Id, push_limit::PushLimit, push_limit::PushLimitRules, user::User,
};
use countersign_protocol::time::Timestamp;

use crate::{Row, StoreError, Tx, Versioned, document};

pub(crate) const STATEMENTS: &[&str] = &[LOAD, LIST, PUT, SWAP, DELETE, DELETE_EXPIRED];

const LOAD: &str =
    "SELECT data, version FROM push_limits WHERE user_id = $1 AND application_id = $2";
const LIST: &str = "SELECT application_id, data FROM push_limits WHERE user_id = $1 LIMIT 100";
const PUT: &str = "INSERT INTO push_limits (user_id, application_id, version, data, expires_at) \
     VALUES ($1, $2, 1, $3, $4) ON CONFLICT (user_id, application_id) DO NOTHING";
const SWAP: &str = "UPDATE push_limits SET version = version + 1, data = $4, expires_at = $5 \
     WHERE user_id = $1 AND application_id = $2 AND version = $3";
const DELETE: &str = "DELETE FROM push_limits WHERE user_id = $1 AND application_id = $2";
const DELETE_EXPIRED: &str = "DELETE FROM push_limits WHERE (user_id, application_id) IN \
     (SELECT user_id, application_id FROM push_limits WHERE expires_at <= $1 \
      ORDER BY expires_at LIMIT $2)";

/// Whose count it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The user.
    pub user: Id<User>,
    /// The native application.
    pub application: Id<Application>,
}

/// The count of a subject, if anything was counted lately.
pub async fn load(
    tx: &mut Tx<'_>,
    subject: Subject,
) -> Result<Option<Versioned<PushLimit>>, StoreError> {
    document::find(tx, LOAD, &[subject.user.into(), subject.application.into()]).await
}

/// The applications whose pushes to a user are stopped now.
pub async fn list_stopped(
    tx: &mut Tx<'_>,
    user: Id<User>,
    now: Timestamp,
) -> Result<Vec<Id<Application>>, StoreError> {
    let rows = tx.query(LIST, &[user.into()]).await?;
    let mut stopped = Vec::new();
    for row in &rows {
        let limit: PushLimit = row.json(1)?;
        if limit.locked_until(now).is_some() {
            stopped.push(Row::id(row, 0)?);
        }
    }
    Ok(stopped)
}

/// Replaces a count that nobody has changed since it was read.
pub async fn put(
    tx: &mut Tx<'_>,
    subject: Subject,
    (old, new): (Option<&Versioned<PushLimit>>, &PushLimit),
    rules: &PushLimitRules,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (user, application) = (subject.user.into(), subject.application.into());
    let (data, expires_at) = (document::encode(new)?, new.expires_at(rules, now));
    match old {
        None => tx.swap(PUT, &[user, application, data.into(), expires_at.into()]).await,
        Some(old) => {
            let row = [user, application, old.version().into(), data.into(), expires_at.into()];
            tx.swap(SWAP, &row).await
        }
    }
}

/// Begins a count anew.
pub async fn clear(tx: &mut Tx<'_>, subject: Subject) -> Result<(), StoreError> {
    tx.execute(DELETE, &[subject.user.into(), subject.application.into()]).await.map(drop)
}

/// Forgets at most `limit` counts that say nothing any more. Returns how many.
pub async fn delete_expired(
    tx: &mut Tx<'_>,
    now: Timestamp,
    limit: i64,
) -> Result<u64, StoreError> {
    tx.execute(DELETE_EXPIRED, &[now.into(), limit.into()]).await
}
