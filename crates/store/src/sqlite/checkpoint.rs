//! Moves the log into the database file from a thread of its own, so that no commit waits for it.

use std::{
    path::Path,
    sync::{
        Arc,
        mpsc::{Receiver, sync_channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};

use super::{connect, store_error, writer::spawn};
use crate::{Meters, StoreError};

/// Pages of 4 KiB in the log that are worth a checkpoint.
const STEP_PAGES: i32 = 1_000;

/// Pages in the log from which writers must stop for a moment, so that it starts anew: under a steady load a checkpoint
/// that waits for nobody never catches up with the end.
const LIMIT_PAGES: i32 = 16_000;

/// How long the one that starts the log anew may wait for readers, while writers wait for it.
const RESTART_TIMEOUT: Duration = Duration::from_millis(100);

/// Starts the thread. It is told of the writer's commits and ends when the writer's connection closes.
pub(super) fn start(
    path: &Path,
    writer: &mut Connection,
    meters: &Arc<Meters>,
) -> Result<JoinHandle<()>, StoreError> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE, "PRAGMA synchronous = FULL")?;
    connection.busy_timeout(RESTART_TIMEOUT).map_err(store_error)?;
    let meters = Arc::clone(meters);
    let (nudge, nudges) = sync_channel(1);
    let (mut last, mut next) = (0, STEP_PAGES);
    // The hook replaces the checkpoints that SQLite would run inside a commit.
    let on_commit = move |_: &mut rusqlite::hooks::Wal, pages: i32| {
        meters.wal_pages.set(pages.into());
        if pages < last {
            // The log has started anew.
            next = STEP_PAGES;
        }
        last = pages;
        if pages >= next {
            // If one waits already, it will see these pages too.
            let _ = nudge.try_send(pages);
            next = pages.saturating_add(STEP_PAGES);
        }
        Ok(())
    };
    writer.wal_hook(Some(on_commit)).map_err(store_error)?;
    spawn("sqlite-checkpoint", move || serve(&connection, &nudges))
}

fn serve(connection: &Connection, nudges: &Receiver<i32>) {
    while let Ok(pages) = nudges.recv() {
        checkpoint(connection, "PRAGMA wal_checkpoint(PASSIVE)");
        if pages >= LIMIT_PAGES {
            checkpoint(connection, "PRAGMA wal_checkpoint(TRUNCATE)");
        }
    }
    // The store is closed: leave one file that is whole by itself.
    checkpoint(connection, "PRAGMA wal_checkpoint(TRUNCATE)");
}

/// A checkpoint that fails is no loss: the log keeps everything, and the next one does the work.
fn checkpoint(connection: &Connection, sql: &str) {
    if let Err(error) = connection.query_row(sql, [], |_| Ok(())) {
        tracing::warn!(%error, "a checkpoint failed");
    }
}
