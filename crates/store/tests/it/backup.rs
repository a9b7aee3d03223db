//! Backups: one snapshot whatever others write, from any engine into any engine, and nothing that is damaged.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use countersign_store::{
    Engine, Store, Tx, Value, Work,
    backup::{self, BackupError, Report, Source},
    migrate::{self, MigrateError},
};
use tempfile::TempDir;

use crate::engines::{Database, NOW, Statement, is_skipped};

const ENVIRONMENT: &str =
    "INSERT INTO environments (id, name, version, data) VALUES ($1, $2, 1, '{}')";
const POPULATION: &str = "INSERT INTO populations (id, environment_id, name, is_default, version, data) \
     VALUES ($1, $2, $3, $4, 1, '{}')";
const RECORD: &str = "INSERT INTO audit_records (environment_id, id, data) VALUES ($1, $2, $3)";

struct Scene {
    database: Database,
    folder: TempDir,
}

fn number(n: u64) -> Value<'static> {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&n.to_be_bytes());
    id.into()
}

impl Scene {
    async fn new(engine: Engine) -> Self {
        let database = Database::empty(engine).await;
        migrate::run(&database.store, NOW).await.unwrap();
        Self { database, folder: tempfile::tempdir().unwrap() }
    }

    /// With an environment, populations, and so many audit records.
    async fn filled(engine: Engine, records: u64) -> Self {
        let scene = Self::new(engine).await;
        let store = &scene.database.store;
        let environment = vec![number(1), "Bänk ✓".into()];
        store.write(Statement(ENVIRONMENT, environment)).await.unwrap();
        for (n, is_default) in [(1, true), (2, false)] {
            let row = vec![number(n), number(1), format!("P{n}").into(), is_default.into()];
            store.write(Statement(POPULATION, row)).await.unwrap();
        }
        store.write(Records { first: 0, count: records }).await.unwrap();
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Audit records in one transaction.
struct Records {
    first: u64,
    count: u64,
}

impl Work for Records {
    type Output = ();
    type Error = countersign_store::StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Self::Error> {
        for n in self.first..self.first + self.count {
            tx.execute(RECORD, &[number(1), number(n), format!("{{\"n\":{n}}}").into()]).await?;
        }
        Ok(())
    }
}

struct Load(Source);

impl Work for Load {
    type Output = ();
    type Error = BackupError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), BackupError> {
        backup::load(tx, &self.0).await
    }
}

async fn restore(store: &Store, from: &Path) -> Result<(), BackupError> {
    let source = Source::open(from).await?;
    source.prepare(store, NOW).await?;
    store.write(Load(source)).await
}

fn rows(report: &Report, table: &str) -> u64 {
    report.tables.iter().find(|(name, _)| name == table).unwrap().1
}

/// The two reports but for what differs in the file without meaning anything.
fn assert_same(one: &Report, other: &Report) {
    assert_eq!((one.schema, &one.tables), (other.schema, &other.tables));
}

async fn goes_from_one_engine_to_the_other(from: Engine, into: Engine) {
    if is_skipped(from) || is_skipped(into) {
        return;
    }
    let scene = Scene::filled(from, 1_203).await;
    let file = scene.path("backup");
    let report = backup::write(&scene.database.store, &file).await.unwrap();
    assert_eq!((rows(&report, "audit_records"), rows(&report, "populations")), (1_203, 2));
    assert_eq!(fs::metadata(&file).unwrap().len(), report.bytes);
    let target = Database::empty(into).await;
    restore(&target.store, &file).await.unwrap();
    let defaults = "SELECT COUNT(*) FROM populations WHERE is_default AND name = 'P1'";
    assert_eq!(target.number(defaults).await, 1);
    assert_eq!(target.number("SELECT COUNT(*) FROM environments WHERE name = 'Bänk ✓'").await, 1);
    let again = backup::write(&target.store, &scene.path("again")).await.unwrap();
    assert_same(&report, &again);
    target.remove().await;
    scene.database.remove().await;
}

#[tokio::test]
async fn a_backup_of_sqlite_goes_into_sqlite() {
    goes_from_one_engine_to_the_other(Engine::Sqlite, Engine::Sqlite).await;
}

#[tokio::test]
async fn a_backup_of_sqlite_goes_into_postgres() {
    goes_from_one_engine_to_the_other(Engine::Sqlite, Engine::Postgres).await;
}

#[tokio::test]
async fn a_backup_of_postgres_goes_into_sqlite() {
    goes_from_one_engine_to_the_other(Engine::Postgres, Engine::Sqlite).await;
}

#[tokio::test]
async fn a_backup_of_postgres_goes_into_postgres() {
    goes_from_one_engine_to_the_other(Engine::Postgres, Engine::Postgres).await;
}

/// Each transaction writes ten records, so every snapshot has a multiple of ten.
async fn is_one_snapshot_while_others_write(engine: Engine) {
    if is_skipped(engine) {
        return;
    }
    let scene = Scene::filled(engine, 2_000).await;
    let stopped = Arc::new(AtomicBool::new(false));
    let writing = {
        let (store, stopped) = (scene.database.store.clone(), Arc::clone(&stopped));
        tokio::spawn(async move {
            let mut first = 1_000_000;
            while !stopped.load(Ordering::Relaxed) {
                store.write(Records { first, count: 10 }).await.unwrap();
                first += 10;
            }
            first - 1_000_000
        })
    };
    let mut last = 0;
    for round in 0..5 {
        let name = format!("backup-{round}");
        let report = backup::write(&scene.database.store, &scene.path(&name)).await.unwrap();
        let records = rows(&report, "audit_records");
        assert_eq!(records % 10, 0);
        assert!(records >= last);
        last = records;
    }
    stopped.store(true, Ordering::Relaxed);
    assert!(writing.await.unwrap() > 0, "nobody was held up");
    scene.database.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_sqlite_is_one_snapshot_while_others_write() {
    is_one_snapshot_while_others_write(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_postgres_is_one_snapshot_while_others_write() {
    is_one_snapshot_while_others_write(Engine::Postgres).await;
}

#[tokio::test]
async fn a_backup_overwrites_nothing_and_leaves_nothing_unfinished() {
    let scene = Scene::filled(Engine::Sqlite, 10).await;
    let file = scene.path("backup");
    fs::write(&file, "precious").unwrap();
    let refused = backup::write(&scene.database.store, &file).await.unwrap_err();
    assert!(matches!(refused, BackupError::Exists(_)), "{refused}");
    let nowhere = scene.path("missing").join("backup");
    let refused = backup::write(&scene.database.store, &nowhere).await.unwrap_err();
    assert!(matches!(refused, BackupError::File(..)), "{refused}");
    assert_eq!(fs::read(&file).unwrap(), b"precious");
    assert_eq!(fs::read_dir(scene.folder.path()).unwrap().count(), 1);
    scene.database.remove().await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_backup_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let scene = Scene::filled(Engine::Sqlite, 1).await;
    let file = scene.path("backup");
    backup::write(&scene.database.store, &file).await.unwrap();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    scene.database.remove().await;
}

async fn refuses_what_is_not_empty(engine: Engine) {
    if is_skipped(engine) {
        return;
    }
    let scene = Scene::filled(engine, 10).await;
    let file = scene.path("backup");
    backup::write(&scene.database.store, &file).await.unwrap();
    let refused = restore(&scene.database.store, &file).await.unwrap_err();
    assert!(
        matches!(&refused, BackupError::NotEmpty(table) if table == "environments"),
        "{refused}"
    );
    assert_eq!(scene.database.number("SELECT COUNT(*) FROM audit_records").await, 10);
    scene.database.remove().await;
}

#[tokio::test]
async fn sqlite_that_is_not_empty_is_not_restored_into() {
    refuses_what_is_not_empty(Engine::Sqlite).await;
}

#[tokio::test]
async fn postgres_that_is_not_empty_is_not_restored_into() {
    refuses_what_is_not_empty(Engine::Postgres).await;
}

/// The error for a backup that was changed like this, after which the database must still be empty.
async fn refused(change: impl FnOnce(&Path)) -> BackupError {
    let scene = Scene::filled(Engine::Sqlite, 600).await;
    let file = scene.path("backup");
    backup::write(&scene.database.store, &file).await.unwrap();
    change(&file);
    let target = Database::empty(Engine::Sqlite).await;
    migrate::run(&target.store, NOW).await.unwrap();
    let error = restore(&target.store, &file).await.unwrap_err();
    assert_eq!(target.number("SELECT COUNT(*) FROM environments").await, 0);
    target.remove().await;
    scene.database.remove().await;
    error
}

fn change(file: &Path, sql: &str) {
    let connection = rusqlite::Connection::open(file).unwrap();
    connection.execute_batch(&format!("PRAGMA foreign_keys = OFF; {sql}")).unwrap();
}

#[tokio::test]
async fn a_damaged_backup_is_not_restored() {
    let cut = |file: &Path| {
        let bytes = fs::read(file).unwrap();
        fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
    };
    let overwrite = |file: &Path| {
        let mut bytes = fs::read(file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle..middle + 8_192].fill(0xa5);
        fs::write(file, bytes).unwrap();
    };
    let other = |file: &Path| fs::write(file, "no database").unwrap();
    let empty = |file: &Path| fs::write(file, "").unwrap();
    let orphans = |file: &Path| change(file, "DELETE FROM environments");
    for error in [
        refused(cut).await,
        refused(overwrite).await,
        refused(other).await,
        refused(empty).await,
        refused(orphans).await,
    ] {
        assert!(matches!(error, BackupError::Damaged(_)), "{error:?}");
    }
}

#[tokio::test]
async fn a_backup_of_another_schema_is_not_restored() {
    let newer = refused(|file| {
        change(file, "INSERT INTO schema_migration VALUES (99, 'x', x'00', 0)");
    });
    let error = newer.await;
    assert!(
        matches!(error, BackupError::Schema(MigrateError::Newer { found: 99, .. })),
        "{error:?}"
    );
    let error = refused(|file| change(file, "UPDATE schema_migration SET digest = x'00'")).await;
    assert!(
        matches!(error, BackupError::Schema(MigrateError::Changed { version: 1 })),
        "{error:?}"
    );
}
