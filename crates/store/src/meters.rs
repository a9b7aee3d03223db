//! What an operator wants to know of a store: how long, how many, how full.

use crate::{
    meter::{Counter, Gauge, Histogram, SIZES, TIMES},
    tally::Tally,
};

/// What a store has counted and timed since it was opened.
#[derive(Debug)]
pub struct Meters {
    /// Times of writes as their callers see them: place in the queue, body, commit.
    pub writes: Histogram,
    /// Times of reads as their callers see them.
    pub reads: Histogram,
    /// Times of commits alone.
    pub commits: Histogram,
    /// Commits that failed, or of which nobody knows whether they happened.
    pub failed_commits: Counter,
    /// `SQLite`: how many writes shared a commit.
    pub groups: Histogram,
    /// `SQLite`: pages of 4 KiB in the write-ahead log after the last commit.
    pub wal_pages: Gauge,
    /// PostgreSQL: how often a body had to run again because another transaction was in its way.
    pub collisions: Counter,
    /// PostgreSQL: connections that broke in a transaction.
    pub lost_connections: Counter,
    /// What transactions have told by [`crate::Tx::tally`], and others by [`Tally::count`].
    pub tally: Tally,
}

impl Default for Meters {
    fn default() -> Self {
        Self {
            writes: Histogram::new(TIMES),
            reads: Histogram::new(TIMES),
            commits: Histogram::new(TIMES),
            failed_commits: Counter::default(),
            groups: Histogram::new(SIZES),
            wal_pages: Gauge::default(),
            collisions: Counter::default(),
            lost_connections: Counter::default(),
            tally: Tally::default(),
        }
    }
}

/// How full a store is at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    /// Its queues.
    pub queues: Vec<Queue>,
    /// The pool of connections to PostgreSQL.
    pub connections: Option<Connections>,
}

/// Callers that are served or wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// What they want: `write` or `read`, or `any` where both share a queue.
    pub name: &'static str,
    /// How many there are.
    pub callers: usize,
    /// How many there may be.
    pub limit: usize,
    /// How many were refused so far, because there were as many as may be.
    pub refused: u64,
}

/// Connections to PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// How many there may be.
    pub limit: usize,
    /// How many are open.
    pub open: usize,
    /// How many of them do nothing.
    pub idle: usize,
    /// Callers that wait for one.
    pub waiting: usize,
}
