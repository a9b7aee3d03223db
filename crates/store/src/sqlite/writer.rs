//! The one thread that writes: it takes bodies from a queue, runs each in a savepoint, and commits them together.

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rusqlite::{Connection, OpenFlags};
use tokio::sync::oneshot;

use super::{at_once, checkpoint, command, connect, locked, store_error};
use crate::{
    Meters, StoreError, Work,
    callers::{Callers, Place},
    kept::{Generation, Kept},
    meter::Stopwatch,
    meters::Queue,
    tally::{Mark, Tally},
    tx::{self, Tx},
    wakes::{Wakes, Woken},
};

/// The most bodies that share a commit. More would make the first of them wait longer than the sync saves.
const GROUP_LIMIT: usize = 128;

/// How long a group waits for as many as came last time, once the queue is empty. A lone caller never waits.
///
/// Measured with callers that spend 0.1 ms between writes, against a group that waits for all of this time: two callers
/// get 3,000 writes a second instead of 1,200, eight get 5,700 instead of 4,600, and 64 get the same.
const LINGER: Duration = Duration::from_millis(1);

/// The cache is in KiB when negative: it serves the reads of the bodies and holds what a group has changed. What a savepoint
/// may have to undo stays in memory: SQLite would write it to a file in `/var/tmp`, which was more than all it wrote to its log.
const PRAGMAS: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA foreign_keys = ON;
    PRAGMA cache_size = -16384;
    PRAGMA temp_store = MEMORY;
";

pub(super) struct Writer {
    callers: Callers,
    /// Bounded by the number of callers; `None` once closed.
    queue: Mutex<Option<Sender<Box<dyn Job>>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Writer {
    pub fn start(
        path: &Path,
        callers: usize,
        meters: &Arc<Meters>,
        (wakes, generation): (Arc<Wakes>, Arc<Generation>),
    ) -> Result<Self, StoreError> {
        let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE, PRAGMAS)?;
        let mode: String = connection
            .query_row("PRAGMA journal_mode", [], |row| row.get(0))
            .map_err(store_error)?;
        if mode != "wal" {
            return Err(StoreError::unavailable("the file system cannot keep a write-ahead log"));
        }
        let checkpoints = checkpoint::start(path, &mut connection, meters)?;
        let mut kept = Kept::new(generation);
        let (queue, jobs) = channel();
        let meters = Arc::clone(meters);
        let writer = spawn("sqlite-writer", move || {
            serve(&mut connection, &mut kept, &jobs, (&meters, &wakes));
        })?;
        Ok(Self {
            callers: Callers::new(callers),
            queue: Mutex::new(Some(queue)),
            threads: Mutex::new(vec![writer, checkpoints]),
        })
    }

    pub async fn write<W: Work>(&self, work: W) -> Result<W::Output, W::Error> {
        let place = self.callers.admit()?;
        let (answer, answered) = oneshot::channel();
        self.enqueue(Box::new(Request {
            work,
            result: None,
            marks: Vec::new(),
            woken: Woken::default(),
            answer,
            place,
        }))?;
        answered.await.unwrap_or_else(|_| Err(ended().into()))
    }

    pub fn queue(&self) -> Queue {
        self.callers.queue("write")
    }

    fn enqueue(&self, job: Box<dyn Job>) -> Result<(), StoreError> {
        locked(&self.queue).as_ref().and_then(|queue| queue.send(job).ok()).ok_or_else(ended)
    }

    /// Lets what is queued finish. The writer ends when nobody can send, and the checkpoints end with the writer.
    pub async fn close(&self) {
        self.callers.close().await;
        drop(locked(&self.queue).take());
        let threads = std::mem::take(&mut *locked(&self.threads));
        let join = || threads.into_iter().try_for_each(JoinHandle::join);
        if !matches!(tokio::task::spawn_blocking(join).await, Ok(Ok(()))) {
            tracing::error!("a thread of the store has panicked");
        }
    }
}

fn ended() -> StoreError {
    StoreError::unavailable("the writer has ended")
}

pub(super) fn spawn(
    name: &str,
    body: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, StoreError> {
    thread::Builder::new().name(name.to_owned()).spawn(body).map_err(|error| {
        StoreError::unavailable(format!("cannot start the thread {name}: {error}"))
    })
}

/// A body in the queue, whatever its types.
trait Job: Send {
    /// Runs the body. The error says what spoiled the transaction, if it was not the body's own decision.
    fn run(
        &mut self,
        connection: &mut Connection,
        tally: &Tally,
        kept: &mut Kept,
    ) -> Result<(), Option<StoreError>>;

    /// Whom the body wakes.
    fn woken(&self) -> &Woken;

    /// Counts what it did and tells the caller how it ended. `lost`: nothing of the group was kept.
    fn answer(self: Box<Self>, lost: Option<&StoreError>, tally: &Tally);
}

struct Request<W: Work> {
    work: W,
    result: Option<Result<W::Output, W::Error>>,
    marks: Vec<Mark>,
    woken: Woken,
    answer: oneshot::Sender<Result<W::Output, W::Error>>,
    place: Place,
}

impl<W: Work> Job for Request<W> {
    fn run(
        &mut self,
        connection: &mut Connection,
        tally: &Tally,
        kept: &mut Kept,
    ) -> Result<(), Option<StoreError>> {
        if self.answer.is_closed() {
            return Ok(());
        }
        let mut tx = Tx::on_sqlite(connection, tally, kept);
        let result = self.result.insert(at_once(tx::run(&self.work, &mut tx)));
        match result {
            Ok(_) => {
                self.marks = tx.take_marks();
                self.woken = tx.take_woken();
                Ok(())
            }
            Err(_) => Err(tx.fault().map(|fault| fault.error.clone())),
        }
    }

    fn woken(&self) -> &Woken {
        &self.woken
    }

    /// Even a refusal is not the answer if the group is lost: it may rest on what another body of the group did.
    fn answer(self: Box<Self>, lost: Option<&StoreError>, tally: &Tally) {
        let Self { result, marks, answer, place, .. } = *self;
        if lost.is_none() {
            tally.add(marks);
        }
        // First the place, so that a caller who is answered finds it free.
        drop(place);
        if let Some(result) = lost.map(|error| Err(error.clone().into())).or(result) {
            // The caller may have gone away; that is its right.
            let _ = answer.send(result);
        }
    }
}

fn serve(
    connection: &mut Connection,
    kept: &mut Kept,
    queue: &Receiver<Box<dyn Job>>,
    (meters, wakes): (&Meters, &Wakes),
) {
    let mut group: Vec<Box<dyn Job>> = Vec::with_capacity(GROUP_LIMIT);
    let mut last_len = 0;
    while let Ok(first) = queue.recv() {
        group.push(first);
        let mut arrivals = Arrivals::new(queue, last_len);
        let result = commit_group(connection, kept, &mut group, &mut arrivals, meters);
        last_len = group.len();
        meters.groups.observe(u64::try_from(last_len).unwrap_or(u64::MAX));
        if result.is_ok() {
            for job in &group {
                wakes.wake(job.woken());
            }
        }
        for job in group.drain(..) {
            job.answer(result.as_ref().err(), &meters.tally);
        }
    }
}

/// Runs the job in `group` and those that arrive, and commits. On failure nothing is kept and the connection is clean.
fn commit_group(
    connection: &mut Connection,
    kept: &mut Kept,
    group: &mut Vec<Box<dyn Job>>,
    arrivals: &mut Arrivals<'_>,
    meters: &Meters,
) -> Result<(), StoreError> {
    let result = run_group(connection, kept, group, arrivals, meters);
    if result.is_err() {
        meters.failed_commits.add(1);
    }
    kept.end_group();
    if result.is_err() && !connection.is_autocommit() {
        // If even this fails, the next group fails to begin and comes here again.
        if let Err(error) = command(connection, "ROLLBACK") {
            tracing::error!(%error, "cannot roll back");
        }
    }
    result
}

fn run_group(
    connection: &mut Connection,
    kept: &mut Kept,
    group: &mut Vec<Box<dyn Job>>,
    arrivals: &mut Arrivals<'_>,
    meters: &Meters,
) -> Result<(), StoreError> {
    command(connection, "BEGIN IMMEDIATE").map_err(store_error)?;
    while let Some(job) = group.last_mut() {
        run_job(connection, kept, job.as_mut(), &meters.tally)?;
        match arrivals.next(group.len()) {
            Some(job) => group.push(job),
            None => break,
        }
    }
    let watch = Stopwatch::start();
    let committed = command(connection, "COMMIT");
    meters.commits.observe_time(watch.elapsed());
    committed.map_err(|error| match store_error(error) {
        // Any other failure of a commit is nobody's fault in particular.
        error @ (StoreError::Full { .. } | StoreError::Unavailable { .. }) => error,
        error => StoreError::Unavailable {
            what: "a commit failed".to_owned(),
            source: Some(std::sync::Arc::new(error)),
        },
    })
}

fn run_job(
    connection: &mut Connection,
    kept: &mut Kept,
    job: &mut dyn Job,
    tally: &Tally,
) -> Result<(), StoreError> {
    command(connection, "SAVEPOINT job").map_err(store_error)?;
    let result = job.run(connection, tally, kept);
    if connection.is_autocommit() {
        // A full disk or a failed write makes SQLite roll back all of a transaction and not just the statement.
        let fault = result.err().flatten();
        return Err(fault.unwrap_or_else(|| StoreError::bug("a body ended its group")));
    }
    if result.is_err() {
        command(connection, "ROLLBACK TO job").map_err(store_error)?;
    }
    command(connection, "RELEASE job").map_err(store_error)
}

/// What joins a group after its first job: what is queued, then what comes while it is worth waiting.
struct Arrivals<'q> {
    queue: &'q Receiver<Box<dyn Job>>,
    /// How many jobs the last group had. When as many are here again, nobody is known to be missing.
    expected: usize,
    lingers_until: Option<Instant>,
}

impl<'q> Arrivals<'q> {
    fn new(queue: &'q Receiver<Box<dyn Job>>, expected: usize) -> Self {
        Self { queue, expected, lingers_until: None }
    }

    /// The job that joins `present` others.
    fn next(&mut self, present: usize) -> Option<Box<dyn Job>> {
        if present >= GROUP_LIMIT {
            return None;
        }
        let queued = self.queue.try_recv().ok();
        if queued.is_some() || present >= self.expected { queued } else { self.linger() }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "measures a wait; nothing is decided or stored by it"
    )]
    fn linger(&mut self) -> Option<Box<dyn Job>> {
        let now = Instant::now();
        let until = *self.lingers_until.get_or_insert(now + LINGER);
        self.queue.recv_timeout(until.saturating_duration_since(now)).ok()
    }
}
