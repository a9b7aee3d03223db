//! Read-only connections, each on one snapshot at a time: on the runtime's blocking threads, or where a brief read is asked for.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use rusqlite::{Connection, OpenFlags};
use tokio::sync::Semaphore;

use super::{at_once, command, connect, locked, store_error};
use crate::{
    Meters, Settings, StoreError, Work,
    callers::Callers,
    kept::{Generation, Kept},
    meters::Queue,
    tally::Tally,
    tx::{self, Tx},
};

/// A connection, with the configuration that it has decoded.
type Reader = (Connection, Kept);

pub(super) struct Readers {
    callers: Callers,
    /// One permit for each idle connection.
    turns: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Reader>>>,
    meters: Arc<Meters>,
}

impl Readers {
    pub fn open(
        path: &Path,
        settings: &Settings,
        meters: &Arc<Meters>,
        generation: &Arc<Generation>,
    ) -> Result<Self, StoreError> {
        let connections = settings.connections.max(1);
        let reader = |_| {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
            let connection = connect(path, flags, "PRAGMA query_only = ON")?;
            Ok((connection, Kept::new(Arc::clone(generation))))
        };
        let idle = (0..connections).map(reader).collect::<Result<_, StoreError>>()?;
        Ok(Self {
            callers: Callers::new(settings.callers),
            turns: Arc::new(Semaphore::new(connections)),
            idle: Arc::new(Mutex::new(idle)),
            meters: Arc::clone(meters),
        })
    }

    pub async fn read<W: Work>(&self, work: W) -> Result<W::Output, W::Error> {
        let place = self.callers.admit()?;
        // Where no connection is idle, the read waits for its turn like any other.
        if W::IS_BRIEF
            && let Ok(_turn) = self.turns.try_acquire()
        {
            return self.read_here(&work);
        }
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| lost())?;
        let (idle, meters) = (Arc::clone(&self.idle), Arc::clone(&self.meters));
        // A caller that goes away leaves the connection to this closure, which puts it back.
        let reading = tokio::task::spawn_blocking(move || {
            let mut reader = locked(&idle).pop().ok_or_else(lost)?;
            let result = read(&mut reader, &work, &meters.tally);
            locked(&idle).push(reader);
            drop((turn, place));
            result
        });
        reading.await.unwrap_or_else(|_| Err(lost().into()))
    }

    /// Reads on the caller's own thread. The caller has a turn.
    fn read_here<W: Work>(&self, work: &W) -> Result<W::Output, W::Error> {
        let mut reader = locked(&self.idle).pop().ok_or_else(lost)?;
        let result = read(&mut reader, work, &self.meters.tally);
        locked(&self.idle).push(reader);
        result
    }

    pub fn queue(&self) -> Queue {
        self.callers.queue("read")
    }

    /// Waits for the reads that run and closes their connections.
    pub async fn close(&self) {
        self.callers.close().await;
        locked(&self.idle).clear();
    }
}

fn lost() -> StoreError {
    StoreError::unavailable("the runtime is shutting down")
}

fn read<W: Work>(
    (connection, kept): &mut Reader,
    work: &W,
    tally: &Tally,
) -> Result<W::Output, W::Error> {
    // Before the snapshot begins, so that what was decided on is never older than what was acknowledged.
    kept.renew();
    command(connection, "BEGIN").map_err(store_error)?;
    let result = at_once(tx::run(work, &mut Tx::on_sqlite(connection, tally, kept)));
    if !connection.is_autocommit() {
        command(connection, "ROLLBACK").map_err(store_error)?;
    }
    result
}
