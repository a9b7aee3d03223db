//! A transaction, whatever the engine, and the unit of work that runs in one.

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
};

use crate::{
    Engine, Row, StoreError, Value, Versioned,
    kept::Kept,
    postgres, sqlite,
    tally::{Labels, Mark, Tally},
    unaudited::Watch,
    wakes::{Topic, Woken},
};

/// One use case's reads and writes.
///
/// A body touches nothing but its `tx`: on `SQLite` it is polled exactly once, on the thread that owns the connection.
/// It may run again after a collision on PostgreSQL, hence `&self`, and takes time and randomness from its fields.
pub trait Work: Send + Sync + 'static {
    /// What the caller gets once the transaction is committed.
    type Output: Send + 'static;
    /// Why there is nothing to commit.
    type Error: From<StoreError> + Send + 'static;

    /// Whether a read looks up a few rows by their keys and no more. On `SQLite` that takes microseconds, less than to wake a
    /// thread that may block, so it runs where it is asked for.
    const IS_BRIEF: bool = false;

    /// Runs the body. `Ok` commits, `Err` rolls back.
    fn run(
        &self,
        tx: &mut Tx<'_>,
    ) -> impl Future<Output = Result<Self::Output, Self::Error>> + Send;
}

/// A transaction.
///
/// Parameters are `$1`, `$2`, ... and each must occur in the text. A statement that fails spoils the transaction, as it
/// does on PostgreSQL: nothing else runs in it, and it cannot commit even if its body says `Ok`.
#[derive(Debug)]
pub struct Tx<'a> {
    connection: Connection<'a>,
    fault: Option<Fault>,
    tally: &'a Tally,
    marks: Vec<Mark>,
    watch: Watch,
    woken: Woken,
    kept: Option<&'a mut Kept>,
}

#[derive(Debug)]
enum Connection<'a> {
    Sqlite(&'a mut rusqlite::Connection),
    Postgres(&'a deadpool_postgres::Transaction<'a>),
}

/// Why a transaction cannot go on.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub error: StoreError,
    pub kind: FaultKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// Running the body again would end the same way.
    Statement,
    /// Another transaction was in the way; the engine asks to run the body again.
    Collision,
    /// The connection is gone, and the transaction with it.
    Lost,
    /// The transaction may not change rows.
    ReadOnly,
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self { error, kind: FaultKind::Statement }
    }
}

impl<'a> Tx<'a> {
    pub(crate) fn on_sqlite(
        connection: &'a mut rusqlite::Connection,
        tally: &'a Tally,
        kept: &'a mut Kept,
    ) -> Self {
        Self { kept: Some(kept), ..Self::on(Connection::Sqlite(connection), tally) }
    }

    pub(crate) fn on_postgres(
        transaction: &'a deadpool_postgres::Transaction<'a>,
        tally: &'a Tally,
    ) -> Self {
        Self::on(Connection::Postgres(transaction), tally)
    }

    fn on(connection: Connection<'a>, tally: &'a Tally) -> Self {
        let (watch, woken) = (Watch::default(), Woken::default());
        Self { connection, fault: None, tally, marks: Vec::new(), watch, woken, kept: None }
    }

    /// Says that what this transaction changes is not told in the audit log, and why. Tests look for what is neither told nor
    /// excused.
    pub fn needs_no_audit(&mut self, _why: &'static str) {
        self.watch.excuse();
    }

    /// The engine, for the rare statement that cannot be written for both. Such a place says why.
    #[must_use]
    pub fn engine(&self) -> Engine {
        match self.connection {
            Connection::Sqlite(_) => Engine::Sqlite,
            Connection::Postgres(_) => Engine::Postgres,
        }
    }

    /// Runs a statement and returns all its rows: the text must limit them.
    pub async fn query(
        &mut self,
        sql: &'static str,
        params: &[Value<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        self.check()?;
        self.watch.see(sql);
        self.foresee(sql);
        let rows = match &mut self.connection {
            Connection::Sqlite(connection) => sqlite::query(connection, sql, params),
            Connection::Postgres(transaction) => postgres::query(transaction, sql, params).await,
        };
        self.note(rows)
    }

    /// Runs a statement that finds at most one row.
    pub async fn query_one(
        &mut self,
        sql: &'static str,
        params: &[Value<'_>],
    ) -> Result<Option<Row>, StoreError> {
        let mut rows = self.query(sql, params).await?;
        let row = rows.pop();
        if rows.is_empty() {
            Ok(row)
        } else {
            self.note(Err(StoreError::bug(format!("`{sql}` finds more than one row")).into()))
        }
    }

    /// Runs a statement and returns how many rows it changed.
    pub async fn execute(
        &mut self,
        sql: &'static str,
        params: &[Value<'_>],
    ) -> Result<u64, StoreError> {
        self.check()?;
        self.foresee(sql);
        let changed = match &mut self.connection {
            Connection::Sqlite(connection) => sqlite::execute(connection, sql, params),
            Connection::Postgres(transaction) => postgres::execute(transaction, sql, params).await,
        };
        // What found nothing to change has changed nothing.
        if matches!(changed, Ok(1..)) {
            self.watch.see(sql);
        }
        self.note(changed)
    }

    /// Runs a guarded change: exactly one row must still be as it was read, else [`StoreError::Conflict`]. On PostgreSQL the
    /// body then runs again, a bounded number of times, before the conflict becomes the caller's.
    pub async fn swap(
        &mut self,
        sql: &'static str,
        params: &[Value<'_>],
    ) -> Result<(), StoreError> {
        match self.execute(sql, params).await? {
            1 => Ok(()),
            // On PostgreSQL somebody else has committed since this body read the row: run again, it sees that one's state
            // and ends with the refusal that says so. On `SQLite` bodies run one after another, and nobody can.
            0 if self.engine() == Engine::Postgres => {
                let kind = FaultKind::Collision;
                self.note(Err(Fault { error: StoreError::Conflict, kind }))
            }
            0 => Err(StoreError::Conflict),
            _ => self.note(Err(StoreError::bug(format!("`{sql}` changes several rows")).into())),
        }
    }

    /// Counts something once the transaction is committed: not when it is rolled back, and once when it runs twice.
    pub fn tally(&mut self, kind: &'static str, labels: Labels<'_>) {
        self.marks.push(self.tally.mark(kind, labels));
    }

    /// What counts now that the transaction is as good as committed.
    pub(crate) fn take_marks(&mut self) -> Vec<Mark> {
        std::mem::take(&mut self.marks)
    }

    /// Runs a statement of a backup, which is written at run time, and returns all its rows: the text must limit them.
    pub(crate) async fn page(
        &mut self,
        sql: &str,
        params: &[Value<'_>],
    ) -> Result<Vec<Vec<Value<'static>>>, StoreError> {
        self.check()?;
        let rows = match &mut self.connection {
            Connection::Sqlite(connection) => sqlite::page(connection, sql, params),
            Connection::Postgres(transaction) => postgres::page(transaction, sql, params).await,
        };
        self.note(rows)
    }

    /// Runs a statement of a backup, which is written at run time, with the values of all these rows.
    pub(crate) async fn load(
        &mut self,
        sql: &str,
        rows: &[Vec<Value<'_>>],
    ) -> Result<(), StoreError> {
        self.check()?;
        self.foresee(sql);
        let done = match &mut self.connection {
            Connection::Sqlite(connection) => sqlite::load(connection, sql, rows),
            Connection::Postgres(transaction) => postgres::load(transaction, sql, rows).await,
        };
        self.note(done)
    }

    /// Runs the statements of a migration, written for PostgreSQL in the portable subset.
    pub(crate) async fn script(&mut self, sql: &str) -> Result<(), StoreError> {
        self.check()?;
        self.foresee(sql);
        let done = match &mut self.connection {
            Connection::Sqlite(connection) => sqlite::script(connection, sql),
            Connection::Postgres(transaction) => postgres::script(transaction, sql).await,
        };
        self.note(done)
    }

    /// The document that this statement finds, if the connection has kept it.
    pub(crate) fn kept<T: Clone + 'static>(
        &self,
        sql: &'static str,
        params: &[Value<'_>],
    ) -> Option<Versioned<T>> {
        self.kept.as_ref()?.find(sql, params)
    }

    /// Keeps a document, where this connection does.
    pub(crate) fn keep<T: Clone + Send + Sync + 'static>(
        &mut self,
        sql: &'static str,
        params: &[Value<'_>],
        document: &Versioned<T>,
    ) {
        if let Some(kept) = &mut self.kept {
            kept.keep(sql, params, document);
        }
    }

    /// What a statement may change is kept no longer.
    fn foresee(&mut self, sql: &str) {
        if let Some(kept) = &mut self.kept {
            kept.see(sql);
        }
    }

    /// Lets the worker of the outbox be woken once this transaction is committed.
    pub(crate) const fn wake_outbox(&mut self) {
        self.woken.outbox = true;
    }

    /// Lets those who wait for a topic be woken once this transaction is committed.
    pub(crate) fn wake_topic(&mut self, topic: Topic) {
        self.woken.topics.push(topic);
    }

    /// Who is to be woken, now that the transaction is as good as committed.
    pub(crate) fn take_woken(&mut self) -> Woken {
        std::mem::take(&mut self.woken)
    }

    /// What spoiled the transaction, if anything did.
    pub(crate) fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }

    fn check(&self) -> Result<(), StoreError> {
        self.fault.as_ref().map_or(Ok(()), |fault| Err(goes_on(fault)))
    }

    fn note<T>(&mut self, result: Result<T, Fault>) -> Result<T, StoreError> {
        result.map_err(|fault| self.fault.insert(fault).error.clone())
    }
}

/// Runs a body to its end. A panic in it costs one transaction and not the thread that serves all.
pub(crate) async fn run<W: Work>(work: &W, tx: &mut Tx<'_>) -> Result<W::Output, W::Error> {
    let result = {
        let mut body = pin!(work.run(tx));
        poll_fn(|context| {
            catch_unwind(AssertUnwindSafe(|| body.as_mut().poll(context)))
                .unwrap_or_else(|_| Poll::Ready(Err(StoreError::bug("a body panicked").into())))
        })
        .await
    };
    match (result, tx.fault()) {
        (Ok(_), Some(fault)) => Err(goes_on(fault).into()),
        (Ok(output), None) => {
            tx.watch.end::<W>();
            Ok(output)
        }
        (Err(error), _) => Err(error),
    }
}

fn goes_on(fault: &Fault) -> StoreError {
    StoreError::Bug {
        what: "a body goes on after a failed statement".to_owned(),
        source: Some(std::sync::Arc::new(fault.error.clone())),
    }
}
