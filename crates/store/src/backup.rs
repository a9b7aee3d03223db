//! Backups: one consistent copy of everything in one file, and back.
//!
//! A backup is an `SQLite` file with the schema of the program, whichever engine the data came from, so a backup also
//! carries data from one engine to the other. All of it is read in one snapshot, page by page, while writers go on. It
//! holds no key-encryption key: what is sealed in the database is sealed in the backup.

mod catalogue;
mod copy;
mod file;
mod source;

use std::path::{Path, PathBuf};

use tokio::sync::mpsc;

pub use self::source::{Source, load};
use self::{catalogue::Table, copy::Copy};
use crate::{
    Store, StoreError,
    migrate::{MIGRATIONS, MigrateError},
};

/// Rows that are read at a time.
const PAGE: usize = 500;

/// Pages that may wait to be written.
const PAGES: usize = 4;

/// What is in a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Version of the schema.
    pub schema: i64,
    /// Rows of each table.
    pub tables: Vec<(String, u64)>,
    /// Length of the file.
    pub bytes: u64,
    /// SHA-256 of the file, in hexadecimal digits.
    pub digest: String,
}

/// Why there is no backup, or why one cannot be restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Nothing is ever overwritten.
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    /// The file cannot be read or written.
    #[error("{} cannot be used", .0.display())]
    File(PathBuf, #[source] std::io::Error),
    /// The file is no backup, or not what was written.
    #[error("the backup is damaged: {0}")]
    Damaged(String),
    /// The database already holds something.
    #[error("the database to restore into is not empty: {0} has rows")]
    NotEmpty(String),
    /// The schema of the backup or of the database is not one that this program knows.
    #[error(transparent)]
    Schema(#[from] MigrateError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for BackupError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(crate::sqlite::store_error(error))
    }
}

/// Writes all that the store holds at one moment into a new file, and verifies the file.
pub async fn write(store: &Store, to: &Path) -> Result<Report, BackupError> {
    let tables = catalogue::of(MIGRATIONS)?;
    let (sender, receiver) = mpsc::channel(PAGES);
    let (path, known) = (to.to_owned(), tables.clone());
    let writing = tokio::task::spawn_blocking(move || file::write(&path, &known, receiver));
    let copied = store.read(Copy::new(tables, sender)).await;
    let lost = |_| StoreError::unavailable("the runtime is shutting down");
    // If the file cannot be written, the copy fails too, and only because of that.
    let report = writing.await.map_err(lost)?;
    match (report, copied) {
        (Ok(report), Ok(())) => Ok(report),
        (Err(BackupError::Damaged(_)), Err(error)) => Err(error.into()),
        (Err(error), _) => Err(error),
        (Ok(_), Err(error)) => Err(error.into()),
    }
}
