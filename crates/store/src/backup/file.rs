//! The file of a backup: written beside its place, verified, and then put there whole.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Read},
    path::{Path, PathBuf},
};

use aws_lc_rs::digest::{Context, SHA256};
use rusqlite::{Connection, OpenFlags, params_from_iter};
use tokio::sync::mpsc::Receiver;

use super::{
    BackupError, MIGRATIONS, Report, Table, catalogue,
    copy::{Message, Values},
};

/// The file is worth nothing before it is finished, so nothing of it is made durable before.
const PRAGMAS: &str = "
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    PRAGMA cache_size = -8192;
";

/// Writes what is handed on into a new file.
pub(super) fn write(
    to: &Path,
    tables: &[Table],
    messages: Receiver<Message>,
) -> Result<Report, BackupError> {
    if fs::symlink_metadata(to).is_ok() {
        return Err(BackupError::Exists(to.to_owned()));
    }
    let unfinished = Unfinished::create(to)?;
    let tables = fill(&unfinished.0, tables, messages)?;
    let cannot = |error| BackupError::File(to.to_owned(), error);
    let file = File::open(&unfinished.0).map_err(cannot)?;
    file.sync_all().map_err(cannot)?;
    let (bytes, digest) = digest(file).map_err(cannot)?;
    fs::hard_link(&unfinished.0, to).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => BackupError::Exists(to.to_owned()),
        _ => cannot(error),
    })?;
    drop(unfinished);
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))
        .and_then(|folder| folder.sync_all())
        .map_err(cannot)?;
    let schema = MIGRATIONS.last().map_or(0, |migration| migration.version);
    Ok(Report { schema, tables, bytes, digest })
}

/// A file that goes away with the value.
struct Unfinished(PathBuf);

impl Unfinished {
    /// An empty one beside the place where it will be, for its owner alone: it is as secret as the database.
    fn create(to: &Path) -> Result<Self, BackupError> {
        let mut name = OsString::from(to);
        name.push(format!(".{}.unfinished", std::process::id()));
        let path = PathBuf::from(name);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&path).map_err(|error| BackupError::File(path.clone(), error))?;
        Ok(Self(path))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::warn!(%error, "an unfinished backup could not be removed");
        }
    }
}

fn fill(
    path: &Path,
    tables: &[Table],
    mut messages: Receiver<Message>,
) -> Result<Vec<(String, u64)>, BackupError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.execute_batch(PRAGMAS)?;
    catalogue::create(&connection, MIGRATIONS)?;
    connection.execute_batch("BEGIN")?;
    let counts = loop {
        match messages.blocking_recv() {
            Some(Message::Rows { table, rows }) => {
                let unknown = || BackupError::Damaged("a table is unknown".to_owned());
                insert(&connection, tables.get(table).ok_or_else(unknown)?, &rows)?;
            }
            Some(Message::End { counts }) => break counts,
            None => return Err(BackupError::Damaged("it broke off".to_owned())),
        }
    };
    connection.execute_batch("COMMIT")?;
    verify(&connection)?;
    let mut told = Vec::with_capacity(tables.len());
    for (table, expected) in tables.iter().zip(counts) {
        let found = count(&connection, table)?;
        if found != expected {
            let why = format!("{} has {found} rows and should have {expected}", table.name);
            return Err(BackupError::Damaged(why));
        }
        told.push((table.name.clone(), found));
    }
    Ok(told)
}

fn insert(connection: &Connection, table: &Table, rows: &[Values]) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(&table.insert(1))?;
    for row in rows {
        statement.execute(params_from_iter(row))?;
    }
    Ok(())
}

/// Whether the file is sound: its pages, and that every reference leads to a row.
pub(super) fn verify(connection: &Connection) -> Result<(), BackupError> {
    let verdict: String =
        connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        return Err(BackupError::Damaged(verdict));
    }
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    let mut broken = statement.query([])?;
    match broken.next()? {
        Some(row) => {
            let table: String = row.get(0)?;
            Err(BackupError::Damaged(format!("a row of {table} refers to one that is missing")))
        }
        None => Ok(()),
    }
}

pub(super) fn count(connection: &Connection, table: &Table) -> rusqlite::Result<u64> {
    let count: i64 = connection.query_row(&table.count(), [], |row| row.get(0))?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// Length and SHA-256.
pub(super) fn digest(mut file: File) -> io::Result<(u64, String)> {
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0; 64 * 1024];
    let mut bytes = 0;
    loop {
        let length = file.read(&mut buffer)?;
        if length == 0 {
            break;
        }
        context.update(buffer.get(..length).unwrap_or_default());
        bytes += u64::try_from(length).unwrap_or(0);
    }
    let digest = context.finish();
    Ok((bytes, digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()))
}
