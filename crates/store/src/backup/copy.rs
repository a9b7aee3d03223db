//! Reads everything in one snapshot and hands it on, page by page.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc::Sender;

use super::{PAGE, Table};
use crate::{Engine, StoreError, Tx, Value, Work};

/// A row, in the order of the columns of its table.
pub(super) type Values = Vec<Value<'static>>;

/// What is handed on.
pub(super) enum Message {
    /// Rows of the table at this position.
    Rows { table: usize, rows: Vec<Values> },
    /// That was all: the number of rows of each table in the same snapshot.
    End { counts: Vec<u64> },
}

pub(super) struct Copy {
    tables: Vec<Table>,
    sender: Sender<Message>,
    has_begun: AtomicBool,
}

impl Copy {
    pub const fn new(tables: Vec<Table>, sender: Sender<Message>) -> Self {
        Self { tables, sender, has_begun: AtomicBool::new(false) }
    }

    /// On `SQLite` a body may not wait, and has a thread of its own to block.
    async fn hand_on(&self, engine: Engine, message: Message) -> Result<(), StoreError> {
        let sent = match engine {
            Engine::Sqlite => self.sender.blocking_send(message),
            Engine::Postgres => self.sender.send(message).await,
        };
        sent.map_err(|_| StoreError::unavailable("the backup cannot be written"))
    }

    async fn copy(
        &self,
        tx: &mut Tx<'_>,
        position: usize,
        table: &Table,
    ) -> Result<(), StoreError> {
        let mut last: Option<Values> = None;
        loop {
            let sql = table.page(last.is_none());
            let rows = tx.page(&sql, last.as_deref().unwrap_or_default()).await?;
            let key =
                |row: &Values| table.key.iter().filter_map(|at| row.get(*at)).cloned().collect();
            last = rows.last().map(key);
            let is_last = rows.len() < PAGE;
            if !rows.is_empty() {
                self.hand_on(tx.engine(), Message::Rows { table: position, rows }).await?;
            }
            if is_last {
                return Ok(());
            }
        }
    }
}

impl Work for Copy {
    type Output = ();
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        if self.has_begun.swap(true, Ordering::Relaxed) {
            // Another try would be another snapshot.
            return Err(StoreError::unavailable(
                "the connection was lost in the middle of the backup",
            ));
        }
        for (position, table) in self.tables.iter().enumerate() {
            self.copy(tx, position, table).await?;
        }
        let mut counts = Vec::with_capacity(self.tables.len());
        for table in &self.tables {
            counts.push(count(tx, table).await?);
        }
        self.hand_on(tx.engine(), Message::End { counts }).await
    }
}

/// The number of rows of a table.
pub(super) async fn count(tx: &mut Tx<'_>, table: &Table) -> Result<u64, StoreError> {
    let rows = tx.page(&table.count(), &[]).await?;
    match rows.first().and_then(|row| row.first()) {
        Some(Value::Int(count)) => Ok(u64::try_from(*count).unwrap_or(0)),
        _ => Err(StoreError::bug("a count is not a number")),
    }
}
