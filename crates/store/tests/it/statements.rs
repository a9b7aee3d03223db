//! Every statement of the crate is understood, and understood alike, by both engines.

use std::collections::BTreeSet;

use countersign_store::{Engine, STATEMENTS, migrate};
use rusqlite::{Connection, OpenFlags};
use tokio_postgres::{NoTls, types::Type};

use crate::engines::{Database, NOW, is_skipped};

/// What an engine says of a statement.
#[derive(Debug, PartialEq, Eq)]
struct Shape {
    params: usize,
    /// The kind of each column, where the engine knows it.
    columns: Vec<Option<Kind>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A number, or a truth value: `SQLite` has one kind for both.
    Number,
    Text,
    Bytes,
}

fn statements() -> impl Iterator<Item = &'static str> {
    STATEMENTS.iter().copied().flatten().copied()
}

async fn migrated(engine: Engine) -> Database {
    let database = Database::empty(engine).await;
    migrate::run(&database.store, NOW).await.unwrap();
    database
}

fn connect(database: &Database) -> Connection {
    let path = database.folder().join("store.db");
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
}

#[test]
fn no_statement_is_listed_twice() {
    let mut seen = BTreeSet::new();
    for sql in statements() {
        assert!(seen.insert(sql), "{sql}");
    }
}

/// The log is as long as its retention, and a page of it shows ten.
#[tokio::test]
async fn sign_ons_of_a_user_are_found_by_their_index() {
    let database = migrated(Engine::Sqlite).await;
    let find = statements().find(|sql| sql.contains("sign_on_user_id = ")).unwrap();
    let plan: String = connect(&database)
        .query_row(&format!("EXPLAIN QUERY PLAN {find}"), [&[0_u8; 0]; 3], |row| row.get(3))
        .unwrap();
    assert!(plan.contains("USING INDEX audit_records_by_sign_on"), "{plan}");
    database.remove().await;
}

#[tokio::test]
async fn sqlite_understands_every_statement() {
    let database = migrated(Engine::Sqlite).await;
    let connection = connect(&database);
    for sql in statements() {
        sqlite_shape(&connection, sql);
    }
    database.remove().await;
}

#[tokio::test]
async fn both_engines_see_the_same_parameters_and_columns() {
    if is_skipped(Engine::Postgres) {
        return;
    }
    let (sqlite, postgres) = (migrated(Engine::Sqlite).await, migrated(Engine::Postgres).await);
    let connection = connect(&sqlite);
    let (client, session) =
        tokio_postgres::connect(postgres.settings.url.expose(), NoTls).await.unwrap();
    let session = tokio::spawn(session);
    for sql in statements() {
        let (here, there) = (sqlite_shape(&connection, sql), postgres_shape(&client, sql).await);
        assert_eq!(here.params, there.params, "{sql}");
        assert_eq!(here.columns.len(), there.columns.len(), "{sql}");
        for (here, there) in here.columns.iter().zip(&there.columns) {
            assert!(here.is_none() || here == there, "{sql}: {here:?} and {there:?}");
        }
    }
    drop(client);
    session.await.unwrap().unwrap();
    sqlite.remove().await;
    postgres.remove().await;
}

fn sqlite_shape(connection: &Connection, sql: &str) -> Shape {
    let statement = connection.prepare(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let kind = |declared: &str| match declared {
        "INTEGER" => Kind::Number,
        "TEXT" => Kind::Text,
        "BLOB" => Kind::Bytes,
        other => panic!("{sql}: a column of {other}"),
    };
    let columns = statement.columns().map(|column| column.decl_type().map(kind)).collect();
    Shape { params: statement.parameter_count(), columns }
}

async fn postgres_shape(client: &tokio_postgres::Client, sql: &str) -> Shape {
    let statement = client.prepare(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let kind = |kind: &Type| match *kind {
        Type::INT8 | Type::INT4 | Type::BOOL => Kind::Number,
        Type::TEXT => Kind::Text,
        Type::BYTEA => Kind::Bytes,
        ref other => panic!("{sql}: a value of {other}"),
    };
    for param in statement.params() {
        assert_ne!(*param, Type::INT4, "{sql}: a parameter is not a BIGINT");
        kind(param);
    }
    Shape {
        params: statement.params().len(),
        columns: statement.columns().iter().map(|column| Some(kind(column.type_()))).collect(),
    }
}

/// So that `Duplicate` names the same constraint on both engines.
#[tokio::test]
async fn unique_indexes_are_named_as_postgresql_names_its_own() {
    let database = migrated(Engine::Sqlite).await;
    let connection = connect(&database);
    let sql = "SELECT t.name, i.name, (SELECT group_concat(c.name, '_') FROM pragma_index_info(i.name) AS c)
         FROM sqlite_schema AS t, pragma_index_list(t.name) AS i
         WHERE t.type = 'table' AND i.\"unique\" AND i.origin = 'c'";
    let mut statement = connection.prepare(sql).unwrap();
    let indexes = statement.query_map([], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
    });
    for (table, index, columns) in indexes.unwrap().map(Result::unwrap) {
        assert_eq!(index, format!("{table}_{columns}_key"));
    }
    drop(statement);
    database.remove().await;
}
