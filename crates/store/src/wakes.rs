//! Who is woken by a commit: the worker of the outbox, and callers that wait for something to change.
//!
//! A caller takes a [`Waiter`] first and reads then, so that no commit slips in between. What other nodes commit is found in
//! the table `wakes`, which is written on PostgreSQL only: an SQLite file has one node.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use countersign_protocol::time::Timestamp;
use tokio::sync::Notify;

use crate::{Engine, Row, StoreError, Tx};

pub(crate) const STATEMENTS: &[&str] = &[INSERT, LIST, DELETE_EXPIRED];

const INSERT: &str = "INSERT INTO wakes (at, id) VALUES ($1, $2) ON CONFLICT (at, id) DO NOTHING";
const LIST: &str = "SELECT at, id FROM wakes WHERE at >= $1 ORDER BY at, id LIMIT $2";
const DELETE_EXPIRED: &str = "DELETE FROM wakes WHERE (at, id) IN \
     (SELECT at, id FROM wakes WHERE at < $1 ORDER BY at, id LIMIT $2)";

/// The most wakes of other nodes that are read at once. Whoever is missed looks again by itself.
const MAX_LISTED: i64 = 10_000;

/// What a caller waits for: a flow, or the challenges of an installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Topic([u8; 16]);

impl Topic {
    /// Named by these bytes: those of an id, or of a hash.
    #[must_use]
    pub const fn new(name: [u8; 16]) -> Self {
        Self(name)
    }
}

/// Everybody who can be woken.
#[derive(Default)]
pub(crate) struct Wakes {
    outbox: Notify,
    waiting: Mutex<HashMap<Topic, Arc<Notify>>>,
}

impl fmt::Debug for Wakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wakes").finish_non_exhaustive()
    }
}

/// What one transaction wakes once it is committed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Woken {
    pub outbox: bool,
    pub topics: Vec<Topic>,
}

impl Wakes {
    /// Wakes those whom a committed transaction has named.
    pub fn wake(&self, woken: &Woken) {
        if woken.outbox {
            self.outbox.notify_one();
        }
        self.wake_topics(&woken.topics);
    }

    /// Wakes those who wait for one of these.
    pub fn wake_topics(&self, topics: &[Topic]) {
        if topics.is_empty() {
            return;
        }
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for notify in topics.iter().filter_map(|topic| waiting.get(topic)) {
            notify.notify_waiters();
        }
    }

    pub async fn outbox_woken(&self) {
        self.outbox.notified().await;
    }

    pub fn waiter(self: &Arc<Self>, topic: Topic) -> Waiter {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let notify = Arc::clone(waiting.entry(topic).or_default());
        Waiter { topic, notify, wakes: Arc::clone(self) }
    }
}

/// Somebody who waits for a topic.
#[derive(Debug)]
pub struct Waiter {
    topic: Topic,
    notify: Arc<Notify>,
    wakes: Arc<Wakes>,
}

impl Waiter {
    /// The next wake from now on. Whoever calls this first and reads then misses nothing: it counts from the call.
    pub fn woken(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut notified = Box::pin(Arc::clone(&self.notify).notified_owned());
        notified.as_mut().enable();
        notified
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut waiting = self.wakes.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        // One for the map, one for this.
        let last = waiting.get(&self.topic).is_some_and(|known| Arc::strong_count(known) <= 2);
        if last {
            waiting.remove(&self.topic);
        }
    }
}

/// Wakes those who wait for a topic, once this transaction is committed: on this node at once, on others when they look.
pub async fn wake(tx: &mut Tx<'_>, topic: Topic, now: Timestamp) -> Result<(), StoreError> {
    tx.wake_topic(topic);
    if tx.engine() == Engine::Postgres {
        tx.execute(INSERT, &[now.into(), topic.0.into()]).await?;
    }
    Ok(())
}

/// What was woken since a time, on whatever node, and when.
pub async fn list(
    tx: &mut Tx<'_>,
    since: Timestamp,
) -> Result<Vec<(Timestamp, Topic)>, StoreError> {
    let rows = tx.query(LIST, &[since.into(), MAX_LISTED.into()]).await?;
    let wake = |row: &Row| Ok((Timestamp::from_micros(row.int(0)?), Topic(row.bytes(1)?)));
    rows.iter().map(wake).collect()
}

/// Forgets at most `limit` wakes of before a time. Returns how many.
pub async fn delete_before(
    tx: &mut Tx<'_>,
    time: Timestamp,
    limit: i64,
) -> Result<u64, StoreError> {
    tx.execute(DELETE_EXPIRED, &[time.into(), limit.into()]).await
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;

    const TOPIC: Topic = Topic::new([1; 16]);

    fn is_woken(woken: impl Future<Output = ()>) -> bool {
        let mut woken = Box::pin(woken);
        woken.as_mut().poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
    }

    #[test]
    fn who_waits_for_a_topic_is_woken_by_it_and_by_no_other() {
        let wakes = Arc::new(Wakes::default());
        let (here, there) = (wakes.waiter(TOPIC), wakes.waiter(Topic::new([2; 16])));
        let (woken, other) = (here.woken(), there.woken());
        wakes.wake(&Woken { outbox: false, topics: vec![TOPIC] });
        assert!(is_woken(woken));
        assert!(!is_woken(other));
        assert!(!is_woken(here.woken()), "an old wake does not count");
    }

    #[test]
    fn nobody_is_remembered_who_waits_no_more() {
        let wakes = Arc::new(Wakes::default());
        let (first, second) = (wakes.waiter(TOPIC), wakes.waiter(TOPIC));
        drop(first);
        assert_eq!(wakes.waiting.lock().unwrap().len(), 1);
        drop(second);
        assert_eq!(wakes.waiting.lock().unwrap().len(), 0);
    }
}
