//! The `SQLite` driver: one writer thread with group commit, a pool of readers, checkpoints aside.

mod checkpoint;
mod readers;
mod schema;
mod writer;

use std::{
    borrow::Cow,
    fs::{File, OpenOptions, TryLockError},
    path::Path,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

use rusqlite::{
    CachedStatement, Connection, ErrorCode, OpenFlags, ToSql,
    config::DbConfig,
    ffi, params_from_iter,
    types::{ToSqlOutput, ValueRef},
};
use tokio::sync::oneshot;

pub(crate) use self::schema::translate;
use self::{readers::Readers, writer::Writer};
use crate::{
    Load, Meters, Row, Settings, StoreError, Value, Work, kept::Generation, tx::Fault, wakes::Wakes,
};

/// How long a connection waits for a lock. Only checkpoints that end the log hold one, and briefly.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Statements that a connection keeps prepared.
const CACHED_STATEMENTS: usize = 512;

pub(crate) struct Sqlite {
    writer: Writer,
    readers: Readers,
    /// Keeps other processes out for as long as it is open.
    lock: Mutex<Option<File>>,
}

impl Sqlite {
    pub async fn open(
        settings: &Settings,
        meters: &Arc<Meters>,
        wakes: Arc<Wakes>,
    ) -> Result<Self, StoreError> {
        let path = path(settings.url.expose())?;
        let lock = lock(path, Duration::from_millis(settings.connect_timeout_ms)).await?;
        create(path)?;
        let generation = Arc::<Generation>::default();
        let shared = (wakes, Arc::clone(&generation));
        let writer = Writer::start(path, settings.callers, meters, shared)?;
        let readers = Readers::open(path, settings, meters, &generation)?;
        Ok(Self { writer, readers, lock: Mutex::new(Some(lock)) })
    }

    pub async fn write<W: Work>(&self, work: W) -> Result<W::Output, W::Error> {
        self.writer.write(work).await
    }

    pub async fn read<W: Work>(&self, work: W) -> Result<W::Output, W::Error> {
        self.readers.read(work).await
    }

    pub fn load(&self) -> Load {
        Load { queues: vec![self.writer.queue(), self.readers.queue()], connections: None }
    }

    /// The readers end first, so that the last checkpoint finds nobody in its way.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
        drop(locked(&self.lock).take());
    }
}

/// The path in a URL: `sqlite:PATH`, `sqlite://PATH` or the path itself.
fn path(url: &str) -> Result<&Path, StoreError> {
    let path = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")).unwrap_or(url);
    match path {
        "" | ":memory:" => Err(StoreError::unavailable("the URL must name a file")),
        _ if path.contains("://") => {
            Err(StoreError::unavailable("the URL must begin with sqlite: or postgres:"))
        }
        _ => Ok(Path::new(path)),
    }
}

/// Takes the lock beside the database. Not on the database itself: closing a file drops all the locks that `SQLite`
/// holds on it in this process.
///
/// A process that was killed holds it until it has quite ended, and the one that takes its place may be faster.
async fn lock(path: &Path, patience: Duration) -> Result<File, StoreError> {
    let path = with_suffix(path, "-lock");
    let file = private_file(&path)?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(source)) => return Err(cannot("lock", &path, source)),
    }
    let (sender, receiver) = oneshot::channel();
    // A thread of its own: a runtime that ends does not wait for it. A lock that comes too late is dropped.
    thread::spawn(move || sender.send(file.lock().map(|()| file)));
    match tokio::time::timeout(patience, receiver).await {
        Ok(Ok(locked)) => locked.map_err(|source| cannot("lock", &path, source)),
        Ok(Err(_)) | Err(_) => Err(StoreError::unavailable(format!(
            "another process has the database open: {} is locked",
            path.display()
        ))),
    }
}

/// Creates the database empty, readable by nobody else. The log and its index inherit the permissions.
fn create(path: &Path) -> Result<(), StoreError> {
    private_file(path).map(drop)
}

fn private_file(path: &Path) -> Result<File, StoreError> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|source| cannot("open", path, source))
}

fn with_suffix(path: &Path, suffix: &str) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn cannot(what: &str, path: &Path, source: std::io::Error) -> StoreError {
    StoreError::Unavailable {
        what: format!("cannot {what} {}", path.display()),
        source: Some(Arc::new(source)),
    }
}

fn connect(path: &Path, flags: OpenFlags, pragmas: &str) -> Result<Connection, StoreError> {
    let connect = || {
        let connection =
            Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
        // A statement is planned once. Without this, SQLite plans most of ours anew for each value of their parameters, which
        // cost 8 % of all CPU time under load.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.execute_batch(pragmas)?;
        Ok(connection)
    };
    connect().map_err(store_error)
}

/// The lock of our own; what it guards is whole even after a panic.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a statement of ours that has neither parameters nor rows.
fn command(connection: &Connection, sql: &'static str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.raw_execute().map(drop)
}

/// Polls a body once: every call of a `Tx` on `SQLite` is ready at once, so one that is not waits for something else.
fn at_once<T, E: From<StoreError>>(body: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    match pin!(body).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => {
            Err(StoreError::bug("a body waits for something other than its Tx").into())
        }
    }
}

pub(crate) fn query(
    connection: &mut Connection,
    sql: &'static str,
    params: &[Value<'_>],
) -> Result<Vec<Row>, Fault> {
    let mut statement = bind(connection, sql, params)?;
    let columns = statement.column_count();
    let mut rows = statement.raw_query();
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(store_error)? {
        let values = (0..columns).map(|column| value(row.get_ref(column).map_err(store_error)?));
        found.push(Row::new(sql, values.collect::<Result<_, StoreError>>()?));
    }
    Ok(found)
}

pub(crate) fn execute(
    connection: &mut Connection,
    sql: &'static str,
    params: &[Value<'_>],
) -> Result<u64, Fault> {
    let changed = bind(connection, sql, params)?.raw_execute().map_err(store_error)?;
    Ok(u64::try_from(changed).unwrap_or(u64::MAX))
}

/// All rows of a statement that is written at run time. Its text must limit them.
pub(crate) fn page(
    connection: &Connection,
    sql: &str,
    params: &[Value<'_>],
) -> Result<Vec<Vec<Value<'static>>>, Fault> {
    let mut statement = connection.prepare_cached(sql).map_err(store_error)?;
    let columns = statement.column_count();
    let mut rows = statement.query(params_from_iter(params)).map_err(store_error)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(store_error)? {
        let values = (0..columns).map(|column| value(row.get_ref(column).map_err(store_error)?));
        found.push(values.collect::<Result<_, StoreError>>()?);
    }
    Ok(found)
}

/// Runs a statement that is written at run time with the values of all these rows.
pub(crate) fn load(
    connection: &Connection,
    sql: &str,
    rows: &[Vec<Value<'_>>],
) -> Result<(), Fault> {
    let mut statement = connection.prepare_cached(sql).map_err(store_error)?;
    statement.execute(params_from_iter(rows.iter().flatten())).map_err(store_error)?;
    Ok(())
}

pub(crate) fn script(connection: &mut Connection, sql: &str) -> Result<(), Fault> {
    Ok(connection.execute_batch(&schema::translate(sql)).map_err(store_error)?)
}

/// Prepares `sql` and binds `$1`, `$2`, ... by name: `SQLite` numbers them in order of appearance, PostgreSQL by name.
fn bind<'c>(
    connection: &'c Connection,
    sql: &'static str,
    params: &[Value<'_>],
) -> Result<CachedStatement<'c>, StoreError> {
    let mut statement = connection.prepare_cached(sql).map_err(store_error)?;
    if statement.parameter_count() != params.len() {
        return Err(StoreError::bug(format!("`{sql}` does not take {} parameters", params.len())));
    }
    for (param, name) in params.iter().zip(NAMES) {
        let index = statement.parameter_index(name).map_err(store_error)?;
        let index = index.ok_or_else(|| StoreError::bug(format!("`{sql}` lacks {name}")))?;
        if let Value::Text(text) = param
            && text.contains('\0')
        {
            return Err(StoreError::bug(format!("{name} of `{sql}` contains NUL")));
        }
        statement.raw_bind_parameter(index, param).map_err(store_error)?;
    }
    Ok(statement)
}

/// The names that parameters can have; a statement with more of them fails to bind.
const NAMES: [&str; 32] = [
    "$1", "$2", "$3", "$4", "$5", "$6", "$7", "$8", "$9", "$10", "$11", "$12", "$13", "$14", "$15",
    "$16", "$17", "$18", "$19", "$20", "$21", "$22", "$23", "$24", "$25", "$26", "$27", "$28",
    "$29", "$30", "$31", "$32",
];

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Int(number) => ValueRef::Integer(*number),
            Value::Bool(truth) => ValueRef::Integer(i64::from(*truth)),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

pub(crate) fn value(value: ValueRef<'_>) -> Result<Value<'static>, StoreError> {
    match value {
        ValueRef::Null => Ok(Value::Null),
        ValueRef::Integer(number) => Ok(Value::Int(number)),
        ValueRef::Text(text) => match str::from_utf8(text) {
            Ok(text) => Ok(Value::Text(Cow::Owned(text.to_owned()))),
            Err(_) => Err(StoreError::corrupt("text that is not UTF-8")),
        },
        ValueRef::Blob(bytes) => Ok(Value::Blob(Cow::Owned(bytes.to_vec()))),
        ValueRef::Real(_) => Err(StoreError::corrupt("a number with a fraction")),
    }
}

pub(crate) fn store_error(error: rusqlite::Error) -> StoreError {
    let (failure, message) = match &error {
        rusqlite::Error::SqliteFailure(failure, message) => (*failure, message.as_deref()),
        rusqlite::Error::SqlInputError { error, .. } => (*error, None),
        _ => (ffi::Error::new(ffi::SQLITE_MISUSE), None),
    };
    match (failure.code, failure.extended_code) {
        (ErrorCode::DiskFull, _) => StoreError::Full { source: Some(Arc::new(error)) },
        (_, ffi::SQLITE_CONSTRAINT_FOREIGNKEY) => StoreError::Conflict,
        (_, code @ (ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY)) => {
            let is_primary = code == ffi::SQLITE_CONSTRAINT_PRIMARYKEY;
            StoreError::Duplicate {
                constraint: constraint(message.unwrap_or_default(), is_primary),
            }
        }
        (ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase, _) => {
            StoreError::corrupt(format!("the database file: {error}"))
        }
        (
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::CannotOpen
            | ErrorCode::PermissionDenied
            | ErrorCode::SystemIoFailure
            | ErrorCode::OutOfMemory,
            _,
        ) => StoreError::Unavailable {
            what: "SQLite failed".to_owned(),
            source: Some(Arc::new(error)),
        },
        _ => StoreError::Bug {
            what: "SQLite refuses a statement".to_owned(),
            source: Some(Arc::new(error)),
        },
    }
}

/// The name that PostgreSQL would give the constraint in `UNIQUE constraint failed: person.tenant, person.name`.
fn constraint(message: &str, is_primary: bool) -> String {
    let columns = message.rsplit_once(": ").map_or(message, |(_, columns)| columns);
    let table = columns.split_once('.').map_or(columns, |(table, _)| table);
    if is_primary {
        return format!("{table}_pkey");
    }
    let names = columns.split(", ").filter_map(|column| column.split_once('.'));
    names.fold(table.to_owned(), |name, (_, column)| format!("{name}_{column}")) + "_key"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constraint_is_named_as_postgresql_names_it() {
        let message = "UNIQUE constraint failed: person.tenant, person.name";
        assert_eq!(constraint(message, false), "person_tenant_name_key");
        assert_eq!(constraint("UNIQUE constraint failed: person.id", true), "person_pkey");
    }

    #[test]
    fn a_url_names_a_file() {
        for url in ["sqlite:a/b.db", "sqlite://a/b.db", "a/b.db"] {
            assert_eq!(path(url).unwrap(), Path::new("a/b.db"), "{url}");
        }
        for url in ["", "sqlite:", "sqlite::memory:", "mysql://host/db"] {
            assert!(matches!(path(url), Err(StoreError::Unavailable { .. })), "{url}");
        }
    }
}
