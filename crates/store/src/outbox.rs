//! The outbox: messages in the order in which they are due. To lease one is to move it on to the end of the lease.
//!
//! The due time leads the key, so the table is read and changed at its ends and needs no other index. A due time and a number
//! of attempts are never the same again, so together they guard what a worker does with the message that it has leased.

use countersign_domain::outbox::Message;
use countersign_protocol::time::Timestamp;

use crate::{Row, StoreError, Tx, document};

pub(crate) const STATEMENTS: &[&str] =
    &[INSERT, LEASE, FIRST_DUE, DELETE, POSTPONE, RELEASE, DEPTH];

const INSERT: &str = "INSERT INTO outbox (due_at, id, attempts, created_at, data) \
     VALUES ($1, $2, 0, $1, $3)";
// The due time is asked for twice: of two workers that chose the same row, the second sees on PostgreSQL that it has moved.
const LEASE: &str = "UPDATE outbox SET due_at = $2, attempts = attempts + 1 \
     WHERE due_at <= $1 AND (due_at, id) IN \
     (SELECT due_at, id FROM outbox WHERE due_at <= $1 ORDER BY due_at, id LIMIT $3) \
     RETURNING attempts, data";
const FIRST_DUE: &str = "SELECT due_at FROM outbox ORDER BY due_at, id LIMIT 1";
const DELETE: &str = "DELETE FROM outbox WHERE due_at = $1 AND id = $2 AND attempts = $3";
const POSTPONE: &str =
    "UPDATE outbox SET due_at = $4 WHERE due_at = $1 AND id = $2 AND attempts = $3";
// Nobody holds a lease of before, so a row that is leased or postponed is due.
const RELEASE: &str = "UPDATE outbox SET due_at = $1 WHERE due_at > $1 AND attempts > 0";
const DEPTH: &str = "SELECT COUNT(*), MIN(created_at) FROM \
     (SELECT created_at FROM outbox ORDER BY due_at, id LIMIT $1) AS waiting";

/// A message that belongs to one worker for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leased {
    /// The message.
    pub message: Message,
    /// The number of this attempt, from 1.
    pub attempt: u32,
    /// When the message is another's.
    pub until: Timestamp,
}

/// How much there is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depth {
    /// Messages, counted up to [`MAX_COUNTED`].
    pub messages: i64,
    /// When the oldest of those was written.
    pub oldest_at: Option<Timestamp>,
}

/// The most messages that are counted: the count is for watching, and must cost little when much has piled up.
pub const MAX_COUNTED: i64 = 10_000;

/// Adds a message in the transaction of its cause, and wakes the worker of this node once that is committed.
pub async fn insert(tx: &mut Tx<'_>, message: &Message) -> Result<(), StoreError> {
    let data = document::encode(message)?;
    tx.execute(INSERT, &[message.due_at().into(), message.id.into(), data.into()]).await?;
    tx.wake_outbox();
    Ok(())
}

/// Leases at most `limit` of the messages that are due, the longest due first.
pub async fn lease(
    tx: &mut Tx<'_>,
    (now, until): (Timestamp, Timestamp),
    limit: u32,
) -> Result<Vec<Leased>, StoreError> {
    let rows = tx.query(LEASE, &[now.into(), until.into(), i64::from(limit).into()]).await?;
    let leased = |row: &Row| {
        let attempt = u32::try_from(row.int(0)?).unwrap_or(u32::MAX);
        Ok(Leased { message: row.json(1)?, attempt, until })
    };
    rows.iter().map(leased).collect()
}

/// When the next message is due, or the lease of one ends.
pub async fn first_due(tx: &mut Tx<'_>) -> Result<Option<Timestamp>, StoreError> {
    tx.query_one(FIRST_DUE, &[]).await?.map(|row| row.time(0)).transpose()
}

/// Forgets a message. Tells whether it was still this worker's: if the lease has run out, another may have sent it again.
pub async fn delete(tx: &mut Tx<'_>, leased: &Leased) -> Result<bool, StoreError> {
    let Leased { message, attempt, until } = leased;
    let row = [(*until).into(), message.id.into(), i64::from(*attempt).into()];
    Ok(tx.execute(DELETE, &row).await? == 1)
}

/// Gives a message back, to be tried at another time, if it is still this worker's.
pub async fn postpone(tx: &mut Tx<'_>, leased: &Leased, at: Timestamp) -> Result<bool, StoreError> {
    let Leased { message, attempt, until } = leased;
    let row = [(*until).into(), message.id.into(), i64::from(*attempt).into(), at.into()];
    Ok(tx.execute(POSTPONE, &row).await? == 1)
}

/// Makes all that was leased or postponed due now. For the one process of an `SQLite` file, when it starts: whoever held a lease
/// is gone, and a question to a phone does not wait until a lease ends. Returns how many.
pub async fn release(tx: &mut Tx<'_>, now: Timestamp) -> Result<u64, StoreError> {
    tx.execute(RELEASE, &[now.into()]).await
}

/// How much there is to be sent, for those who watch.
pub async fn depth(tx: &mut Tx<'_>) -> Result<Depth, StoreError> {
    let row = tx.query_one(DEPTH, &[MAX_COUNTED.into()]).await?;
    let row = row.ok_or_else(|| StoreError::bug("a count has no row"))?;
    Ok(Depth { messages: row.int(0)?, oldest_at: row.opt_time(1)? })
}
