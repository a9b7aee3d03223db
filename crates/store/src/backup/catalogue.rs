//! Which tables there are, with their columns and keys, as the migrations make them: a table that is added to the schema is in
//! the next backup.

use rusqlite::Connection;

use crate::{
    StoreError,
    migrate::{HISTORY, Migration},
    sqlite::{store_error, translate},
};

/// A table, in an order in which each one comes after those that it refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub name: String,
    columns: Vec<String>,
    /// Positions of the columns of the primary key, in its order.
    pub key: Vec<usize>,
}

impl Table {
    /// The first page, and the pages after a key; each by its key.
    pub fn page(&self, is_first: bool) -> String {
        let (columns, keys) = (self.columns.join(", "), self.keys());
        let name = &self.name;
        let after = if is_first {
            String::new()
        } else {
            format!(" WHERE ({keys}) > ({})", placeholders(1, self.key.len()))
        };
        format!("SELECT {columns} FROM {name}{after} ORDER BY {keys} LIMIT {}", super::PAGE)
    }

    /// The number of rows.
    pub fn count(&self) -> String {
        format!("SELECT COUNT(*) FROM {}", self.name)
    }

    /// Adds so many rows.
    pub fn insert(&self, rows: usize) -> String {
        let width = self.columns.len();
        let row = |row| format!("({})", placeholders(row * width + 1, width));
        let rows = (0..rows).map(row).collect::<Vec<_>>().join(", ");
        format!("INSERT INTO {} ({}) VALUES {rows}", self.name, self.columns.join(", "))
    }

    /// How many values a row has.
    pub fn width(&self) -> usize {
        self.columns.len()
    }

    fn keys(&self) -> String {
        let name = |position: &usize| self.columns.get(*position).map(String::as_str);
        self.key.iter().filter_map(name).collect::<Vec<_>>().join(", ")
    }
}

fn placeholders(first: usize, count: usize) -> String {
    (first..first + count).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ")
}

/// The name of the table that says which migrations were applied.
pub(super) const HISTORY_TABLE: &str = "schema_migration";

/// Makes the tables of these migrations, empty.
pub(super) fn create(connection: &Connection, migrations: &[Migration]) -> Result<(), StoreError> {
    let run = |sql: &str| connection.execute_batch(&translate(sql)).map_err(store_error);
    run(HISTORY)?;
    migrations.iter().try_for_each(|migration| run(migration.sql))
}

/// The tables that these migrations make.
pub(super) fn of(migrations: &[Migration]) -> Result<Vec<Table>, StoreError> {
    let connection = Connection::open_in_memory().map_err(store_error)?;
    create(&connection, migrations)?;
    read(&connection).map_err(store_error)
}

fn read(connection: &Connection) -> rusqlite::Result<Vec<Table>> {
    let names = strings(
        connection,
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY rowid",
        "",
    )?;
    let mut left = Vec::new();
    for name in names {
        let refers =
            strings(connection, "SELECT \"table\" FROM pragma_foreign_key_list(?1)", &name)?;
        left.push((table(connection, name)?, refers));
    }
    let mut ordered: Vec<Table> = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let is_known = |name: &String, own: &Table| {
            *name == own.name || ordered.iter().any(|table| table.name == *name)
        };
        let (ready, rest): (Vec<_>, Vec<_>) = left
            .into_iter()
            .partition(|(table, refers)| refers.iter().all(|name| is_known(name, table)));
        if ready.is_empty() {
            // Tables that refer to each other in a circle have no order.
            return Err(rusqlite::Error::InvalidQuery);
        }
        ordered.extend(ready.into_iter().map(|(table, _)| table));
        left = rest;
    }
    Ok(ordered)
}

fn table(connection: &Connection, name: String) -> rusqlite::Result<Table> {
    let columns =
        strings(connection, "SELECT name FROM pragma_table_info(?1) ORDER BY cid", &name)?;
    let key = "SELECT name FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY pk";
    let key = strings(connection, key, &name)?;
    let position = |key: &String| columns.iter().position(|column| column == key);
    let key: Vec<usize> = key.iter().filter_map(position).collect();
    // Without a key there are no pages.
    if key.is_empty() {
        Err(rusqlite::Error::InvalidQuery)
    } else {
        Ok(Table { name, columns, key })
    }
}

fn strings(connection: &Connection, sql: &str, about: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(sql)?;
    let parameters: &[&dyn rusqlite::ToSql] =
        if statement.parameter_count() == 0 { &[] } else { &[&about] };
    statement.query_map(parameters, |row| row.get(0))?.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrate::MIGRATIONS;

    #[test]
    fn every_table_comes_after_those_that_it_refers_to() {
        let tables = of(MIGRATIONS).unwrap();
        let at = |name: &str| tables.iter().position(|table| table.name == name).unwrap();
        assert!(at("environments") < at("populations"));
        assert!(at("populations") < at("users"));
        assert!(at("users") < at("devices"));
        at(HISTORY_TABLE);
        let made = MIGRATIONS.iter().map(|step| step.sql.matches("CREATE TABLE").count());
        assert_eq!(tables.len(), made.sum::<usize>() + 1);
    }

    #[test]
    fn a_table_is_read_by_the_pages_of_its_key() {
        let table = Table {
            name: "t".to_owned(),
            columns: ["a", "b", "c"].map(str::to_owned).to_vec(),
            key: vec![2, 0],
        };
        assert_eq!(table.page(true), "SELECT a, b, c FROM t ORDER BY c, a LIMIT 500");
        assert_eq!(
            table.page(false),
            "SELECT a, b, c FROM t WHERE (c, a) > ($1, $2) ORDER BY c, a LIMIT 500"
        );
        assert_eq!(table.insert(2), "INSERT INTO t (a, b, c) VALUES ($1, $2, $3), ($4, $5, $6)");
    }
}
