//! How the schema comes to be what the program knows.

use countersign_store::{
    Settings, Store, StoreError,
    migrate::{self, MigrateError, Migration},
};

use crate::engines::{Database, NOW, TABLES};

on_both_engines!(
    migrations_are_applied_once_and_in_order,
    a_migration_that_has_changed_is_refused,
    a_schema_newer_than_the_program_is_refused,
    a_migration_that_fails_leaves_nothing,
    nodes_that_migrate_at_once_agree,
    the_schema_of_the_product_is_portable,
);

const SECOND: Migration =
    Migration { version: 2, name: "a column", sql: "ALTER TABLE things ADD COLUMN colour TEXT;" };

async fn migrations_are_applied_once_and_in_order(database: &mut Database) {
    const BOTH: &[Migration] = &[TABLES[0], SECOND];
    for _ in 0..2 {
        assert_eq!(migrate::apply(&database.store, BOTH, NOW).await.unwrap(), 2);
    }
    database.execute("INSERT INTO things (id, colour) VALUES (1, 'blue')").await.unwrap();
    let applied = "SELECT COUNT(*) FROM schema_migration WHERE applied_at = 1767603600000000";
    assert_eq!(database.number(applied).await, 2);
}

async fn a_migration_that_has_changed_is_refused(database: &mut Database) {
    const CHANGED: &[Migration] = &[Migration { sql: "SELECT 1;", ..TABLES[0] }, SECOND];
    let result = migrate::apply(&database.store, CHANGED, NOW).await;
    assert!(matches!(result, Err(MigrateError::Changed { version: 1 })), "{result:?}");
    let second = "SELECT COUNT(*) FROM schema_migration WHERE version = 2";
    assert_eq!(database.number(second).await, 0);
}

async fn a_schema_newer_than_the_program_is_refused(database: &mut Database) {
    const BOTH: &[Migration] = &[TABLES[0], SECOND];
    migrate::apply(&database.store, BOTH, NOW).await.unwrap();
    let result = migrate::apply(&database.store, TABLES, NOW).await;
    assert!(matches!(result, Err(MigrateError::Newer { found: 2, known: 1 })), "{result:?}");
}

async fn a_migration_that_fails_leaves_nothing(database: &mut Database) {
    const BROKEN: &[Migration] = &[
        TABLES[0],
        Migration {
            version: 2,
            name: "half",
            sql: "CREATE TABLE halves (id BIGINT); INSERT INTO nothing VALUES (1);",
        },
    ];
    const WHOLE: &[Migration] = &[
        TABLES[0],
        Migration { version: 2, name: "half", sql: "CREATE TABLE halves (id BIGINT);" },
    ];
    let result = migrate::apply(&database.store, BROKEN, NOW).await;
    assert!(matches!(result, Err(MigrateError::Store(StoreError::Bug { .. }))), "{result:?}");
    assert_eq!(migrate::apply(&database.store, WHOLE, NOW).await.unwrap(), 2);
}

async fn nodes_that_migrate_at_once_agree(database: &mut Database) {
    database.execute("DROP TABLE schema_migration").await.unwrap();
    for table in ["DROP TABLE things", "DROP TABLE owners", "DROP TABLE lights"] {
        database.execute(table).await.unwrap();
    }
    let mut nodes = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let store = another_node(database).await;
        nodes.spawn(async move { migrate::apply(&store, TABLES, NOW).await.unwrap() });
    }
    assert_eq!(nodes.join_all().await, [1; 4]);
    assert_eq!(database.number("SELECT COUNT(*) FROM schema_migration").await, 1);
}

/// `SQLite` has one node; PostgreSQL knows nodes by their connections.
async fn another_node(database: &Database) -> Store {
    match database.store.engine() {
        countersign_store::Engine::Sqlite => database.store.clone(),
        countersign_store::Engine::Postgres => {
            let settings = Settings { connections: 2, ..database.settings.clone() };
            Store::open(&settings).await.unwrap()
        }
    }
}

async fn the_schema_of_the_product_is_portable(database: &mut Database) {
    let empty = Database::empty(database.store.engine()).await;
    let newest = migrate::MIGRATIONS.last().map(|migration| migration.version);
    assert_eq!(Some(migrate::run(&empty.store, NOW).await.unwrap()), newest);
    assert!(migrate::MIGRATIONS.iter().map(|migration| migration.version).eq(1..=newest.unwrap()));
    empty.remove().await;
}
