//! Group commit under so many callers: how many transactions a second become durable, and how many share one commit.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use countersign_domain::{
    audit::{Action, Entry, Event, Record},
    environment::Environment,
    id::Id,
};
use countersign_protocol::{
    entropy::SystemEntropy,
    time::{Clock, SystemClock},
};
use countersign_store::{Engine, Settings, Store, StoreError, Tx, Work, audit, migrate};
use serde::Serialize;
use tokio::task::JoinSet;

use crate::{
    LoadError,
    figures::{Latencies, Quantiles, real},
    stopwatch::Stopwatch,
};

/// What so many callers get.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct GroupCommit {
    /// Callers that write one line after another.
    pub callers: usize,
    /// Transactions that became durable, a second.
    pub writes_per_second: f64,
    /// Commits a second.
    pub commits_per_second: f64,
    /// Transactions that share a commit.
    pub writes_per_commit: f64,
    /// What a caller waits.
    #[serde(flatten)]
    pub latency: Quantiles,
}

/// Counts commits from within the bodies. On `SQLite` a body is dropped by the writer once its group is committed, so the first
/// body that runs after one was dropped opens a group.
#[derive(Default)]
struct Groups {
    has_ended: AtomicBool,
    count: AtomicU64,
}

/// One line of the audit log, as the smallest write that the server has.
struct Line {
    record: Record,
    groups: Arc<Groups>,
}

impl Work for Line {
    type Output = ();
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        if self.groups.has_ended.swap(false, Ordering::Relaxed) || tx.engine() == Engine::Postgres {
            self.groups.count.fetch_add(1, Ordering::Relaxed);
        }
        audit::insert(tx, &self.record).await
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.groups.has_ended.store(true, Ordering::Relaxed);
    }
}

/// Lets `callers` write to the database at `url` for `time`.
pub async fn measure(url: &str, callers: usize, time: Duration) -> Result<GroupCommit, LoadError> {
    let store = Store::open(&Settings::new(url)).await?;
    let migrated = migrate::run(&store, SystemClock.now()).await;
    migrated.map_err(|error| LoadError::other(error.to_string()))?;
    let groups = Arc::new(Groups::default());
    let environment = Id::new(SystemClock.now(), &SystemEntropy);
    let watch = Stopwatch::start();
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let (store, groups) = (store.clone(), Arc::clone(&groups));
        tasks.spawn(async move {
            let mut latencies = Latencies::default();
            while watch.elapsed() < time {
                let single = Stopwatch::start();
                store.write(line(environment, &groups)).await?;
                latencies.push(single.micros());
            }
            Ok::<_, StoreError>(latencies)
        });
    }
    let mut latencies = Latencies::default();
    for ended in tasks.join_all().await {
        latencies.append(ended?);
    }
    let seconds = watch.elapsed().as_secs_f64();
    store.close().await;
    let (writes, commits) =
        (real(latencies.len() as u64), real(groups.count.load(Ordering::Relaxed)));
    Ok(GroupCommit {
        callers,
        writes_per_second: writes / seconds,
        commits_per_second: commits / seconds,
        writes_per_commit: writes / commits.max(1.0),
        latency: latencies.quantiles(),
    })
}

fn line(environment: Id<Environment>, groups: &Arc<Groups>) -> Line {
    let now = SystemClock.now();
    let record = Record {
        id: Id::new(now, &SystemEntropy),
        environment,
        entry: Entry {
            recorded_at: now,
            correlation: String::new(),
            source: None,
            by: None,
            event: Event::succeeded(Action::FlowCreated),
        },
    };
    Line { record, groups: Arc::clone(groups) }
}
