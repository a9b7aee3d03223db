//! A backup that is to be restored.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags, params_from_iter};

use super::{
    BackupError, MIGRATIONS, Report, Table,
    catalogue::{self, HISTORY_TABLE},
    copy::{self, Values},
    file,
};
use crate::{
    Engine, Store, StoreError, Tx,
    migrate::{self, MigrateError, Migration},
    sqlite,
};
use countersign_protocol::time::Timestamp;

/// Rows that go into one statement; more would save little.
const BATCH: usize = 100;

/// A backup that was found sound, and of a schema that this program knows.
pub struct Source {
    path: PathBuf,
    tables: Vec<Table>,
    migrations: &'static [Migration],
    report: Report,
}

impl Source {
    /// Reads and verifies the file.
    pub async fn open(path: &Path) -> Result<Self, BackupError> {
        let path = path.to_owned();
        let opening = tokio::task::spawn_blocking(move || Self::read(path));
        opening
            .await
            .unwrap_or_else(|_| Err(StoreError::unavailable("the runtime is shutting down").into()))
    }

    fn read(path: PathBuf) -> Result<Self, BackupError> {
        let file = File::open(&path).map_err(|error| BackupError::File(path.clone(), error))?;
        let connection = connect(&path)?;
        file::verify(&connection).map_err(damaged)?;
        let migrations = schema(&connection)?;
        let tables = catalogue::of(migrations)?;
        let mut counts = Vec::with_capacity(tables.len());
        for table in &tables {
            let count = file::count(&connection, table).map_err(|error| damaged(error.into()))?;
            counts.push((table.name.clone(), count));
        }
        let (bytes, digest) =
            file::digest(file).map_err(|error| BackupError::File(path.clone(), error))?;
        let schema = migrations.last().map_or(0, |migration| migration.version);
        let report = Report { schema, tables: counts, bytes, digest };
        Ok(Self { path, tables, migrations, report })
    }

    /// What is in it.
    #[must_use]
    pub const fn report(&self) -> &Report {
        &self.report
    }

    /// Gives a database the schema that the backup has. One that has a newer schema is not empty.
    pub async fn prepare(&self, store: &Store, now: Timestamp) -> Result<(), BackupError> {
        Ok(migrate::apply(store, self.migrations, now).await.map(drop)?)
    }
}

/// What is wrong with the file is not wrong with the store.
fn damaged(error: BackupError) -> BackupError {
    match error {
        BackupError::Store(StoreError::Corrupt { what }) => BackupError::Damaged(what),
        BackupError::Store(StoreError::Bug { source: Some(source), .. }) => {
            BackupError::Damaged(source.to_string())
        }
        error => error,
    }
}

fn connect(path: &Path) -> Result<Connection, BackupError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Ok(Connection::open_with_flags(path, flags)?)
}

/// The migrations that the file has seen, which must be ours.
fn schema(connection: &Connection) -> Result<&'static [Migration], BackupError> {
    let list = |connection: &Connection| -> rusqlite::Result<Vec<(i64, Vec<u8>)>> {
        let mut statement =
            connection.prepare("SELECT version, digest FROM schema_migration ORDER BY version")?;
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    };
    let applied = list(connection)
        .map_err(|_| BackupError::Damaged("it is no backup of this program".to_owned()))?;
    let known = MIGRATIONS.last().map_or(0, |migration| migration.version);
    for (position, (version, digest)) in applied.iter().enumerate() {
        let Some(migration) = MIGRATIONS.get(position).filter(|step| step.version == *version)
        else {
            return Err(MigrateError::Newer { found: *version, known }.into());
        };
        if migration.digest().as_ref() != digest {
            return Err(MigrateError::Changed { version: *version }.into());
        }
    }
    MIGRATIONS
        .get(..applied.len())
        .filter(|steps| !steps.is_empty())
        .ok_or_else(|| BackupError::Damaged("it has no schema".to_owned()))
}

/// Loads everything into a database that has the schema and nothing else, in the transaction of the caller.
pub async fn load(tx: &mut Tx<'_>, source: &Source) -> Result<(), BackupError> {
    // The history is the database's own.
    let tables = || source.tables.iter().filter(|table| table.name != HISTORY_TABLE);
    for table in tables() {
        if copy::count(tx, table).await? > 0 {
            return Err(BackupError::NotEmpty(table.name.clone()));
        }
    }
    if tx.engine() == Engine::Postgres {
        // The limit is for requests.
        tx.script("SET LOCAL statement_timeout = 0").await?;
    }
    let connection = connect(&source.path)?;
    for table in tables() {
        let mut last: Option<Values> = None;
        loop {
            let rows = page(&connection, table, last.as_deref())?;
            for rows in rows.chunks(BATCH) {
                tx.load(&table.insert(rows.len()), rows).await?;
            }
            let Some(row) = rows.last() else { break };
            last = Some(table.key.iter().filter_map(|at| row.get(*at)).cloned().collect());
        }
    }
    for (name, expected) in &source.report.tables {
        let Some(table) = tables().find(|table| table.name == *name) else { continue };
        let found = copy::count(tx, table).await?;
        if found != *expected {
            let why = format!("{name} has {found} rows and should have {expected}");
            return Err(BackupError::Damaged(why));
        }
    }
    Ok(())
}

fn page(
    connection: &Connection,
    table: &Table,
    after: Option<&[crate::Value<'static>]>,
) -> Result<Vec<Values>, BackupError> {
    let mut statement = connection.prepare_cached(&table.page(after.is_none()))?;
    let mut rows = statement.query(params_from_iter(after.unwrap_or_default()))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let values = (0..table.width())
            .map(|column| sqlite::value(row.get_ref(column).map_err(sqlite::store_error)?));
        found.push(values.collect::<Result<Values, StoreError>>()?);
    }
    Ok(found)
}
