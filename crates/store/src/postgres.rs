//! The PostgreSQL driver: a pool of connections, statements prepared once on each, bodies run again after a collision.

mod error;
mod tls;
mod value;

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Duration,
};

use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime, Transaction,
};
use tokio_postgres::{
    Config, IsolationLevel, NoTls,
    types::{ToSql, Type},
};

use self::error::{commit_fault, fault, pool_error};
use crate::{
    Connections, Load, Meters, Row, Settings, StoreError, Value, Work,
    callers::Callers,
    meter::Stopwatch,
    tx::{self, Fault, FaultKind, Tx},
    wakes::Wakes,
};

/// How often a body runs before a collision becomes the caller's business.
const ATTEMPTS: u32 = 8;

/// The longest pause before the last attempt, in milliseconds; each earlier one is half as long.
const LONGEST_PAUSE_MS: u64 = 64;

pub(crate) struct Postgres {
    pool: Pool,
    callers: Callers,
    meters: Arc<Meters>,
    wakes: Arc<Wakes>,
}

/// What a transaction may do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    /// See one snapshot and change nothing, as on `SQLite`.
    Snapshot,
    /// Change rows. Every change of state is guarded by its statement, so `READ COMMITTED` is enough.
    Change,
}

/// Why an attempt has no output.
enum Failure<E> {
    /// Running the body again would end the same way.
    Final(E),
    /// Another transaction was in the way.
    Collided,
    /// The connection broke before the commit was sent.
    Lost(StoreError),
}

impl<E: From<StoreError>> From<Fault> for Failure<E> {
    fn from(fault: Fault) -> Self {
        match fault.kind {
            FaultKind::Statement | FaultKind::ReadOnly => Self::Final(fault.error.into()),
            FaultKind::Collision => Self::Collided,
            FaultKind::Lost => Self::Lost(fault.error),
        }
    }
}

impl Postgres {
    /// Opens no connection yet.
    pub fn new(
        settings: &Settings,
        meters: Arc<Meters>,
        wakes: Arc<Wakes>,
    ) -> Result<Self, StoreError> {
        let patience = Duration::from_millis(settings.connect_timeout_ms);
        let (mut config, tls) = tls::parse(settings.url.expose())?;
        config.connect_timeout(patience).application_name("countersign");
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(patience);
        }
        // Each host has its time to accept, and the last of them some to greet.
        let hosts = u32::try_from(config.get_hosts().len()).unwrap_or(u32::MAX);
        let pool = Pool::builder(manager(config, tls))
            .runtime(Runtime::Tokio1)
            .max_size(settings.connections.max(1))
            .wait_timeout(Some(patience))
            .create_timeout(Some(patience.saturating_mul(hosts.saturating_add(1))))
            .post_create(limits(settings.statement_timeout_ms))
            .build()
            .map_err(|error| StoreError::bug(error.to_string()))?;
        Ok(Self { pool, callers: Callers::new(settings.callers), meters, wakes })
    }

    pub async fn write<W: Work>(&self, work: &W) -> Result<W::Output, W::Error> {
        self.run(work, Access::Change).await
    }

    pub async fn read<W: Work>(&self, work: &W) -> Result<W::Output, W::Error> {
        self.run(work, Access::Snapshot).await
    }

    pub fn load(&self) -> Load {
        let pool = self.pool.status();
        let connections = Connections {
            limit: pool.max_size,
            open: pool.size,
            idle: pool.available,
            waiting: pool.waiting,
        };
        Load { queues: vec![self.callers.queue("any")], connections: Some(connections) }
    }

    /// Waits for the callers that are served and closes the connections.
    pub async fn close(&self) {
        self.callers.close().await;
        self.pool.close();
    }

    async fn run<W: Work>(&self, work: &W, access: Access) -> Result<W::Output, W::Error> {
        let _place = self.callers.admit()?;
        let mut was_lost = false;
        for attempt in 1..=ATTEMPTS {
            match self.attempt(work, access).await {
                Ok(output) => return Ok(output),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Lost(error)) if was_lost => return Err(error.into()),
                Err(Failure::Lost(_)) => was_lost = true,
                Err(Failure::Collided) => {
                    self.meters.collisions.add(1);
                    if attempt < ATTEMPTS {
                        step_aside(attempt).await;
                    }
                }
            }
        }
        Err(StoreError::Conflict.into())
    }

    async fn attempt<W: Work>(
        &self,
        work: &W,
        access: Access,
    ) -> Result<W::Output, Failure<W::Error>> {
        let mut client =
            self.pool.get().await.map_err(|error| Failure::Final(pool_error(error).into()))?;
        let result = transact(&mut client, work, access, (&self.meters, &self.wakes)).await;
        if matches!(result, Err(Failure::Lost(_))) {
            self.meters.lost_connections.add(1);
            // A server that has become a standby keeps its connections open, and of one that has ended not each is known
            // to be dead yet. They are of no use here, nor to the second attempt.
            drop(Object::take(client));
            self.pool.retain(|_, _| false);
        }
        result
    }
}

async fn transact<W: Work>(
    client: &mut Object,
    work: &W,
    access: Access,
    (meters, wakes): (&Meters, &Wakes),
) -> Result<W::Output, Failure<W::Error>> {
    let begin = client.build_transaction();
    let begin = match access {
        Access::Snapshot => begin.read_only(true).isolation_level(IsolationLevel::RepeatableRead),
        Access::Change => begin.isolation_level(IsolationLevel::ReadCommitted),
    };
    let transaction = begin.start().await.map_err(fault)?;
    let mut tx = Tx::on_postgres(&transaction, &meters.tally);
    let result = tx::run(work, &mut tx).await;
    match tx.fault() {
        Some(Fault { kind: FaultKind::Collision, .. }) => return Err(Failure::Collided),
        Some(Fault { kind: FaultKind::Lost, error }) => return Err(Failure::Lost(error.clone())),
        Some(Fault { kind: FaultKind::ReadOnly, .. }) if access == Access::Change => {
            return Err(Failure::Lost(StoreError::unavailable("the server is a standby")));
        }
        Some(Fault { kind: FaultKind::Statement | FaultKind::ReadOnly, .. }) | None => {}
    }
    let output = result.map_err(Failure::Final)?;
    let woken = tx.take_woken();
    // A transaction that is dropped rolls back, and nobody waits for that.
    if access == Access::Change {
        let (marks, watch) = (tx.take_marks(), Stopwatch::start());
        let committed = transaction.commit().await;
        meters.commits.observe_time(watch.elapsed());
        if committed.is_err() {
            meters.failed_commits.add(1);
        }
        committed.map_err(commit_fault)?;
        meters.tally.add(marks);
        wakes.wake(&woken);
    }
    Ok(output)
}

fn manager(config: Config, tls: Option<tls::Connector>) -> Manager {
    // A connection is as good as its last transaction left it: no query to find out.
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    match tls {
        Some(connector) => Manager::from_config(config, connector, recycling),
        None => Manager::from_config(config, NoTls, recycling),
    }
}

/// Bounds what a statement may cost, on each new connection.
fn limits(statement_timeout_ms: u64) -> Hook {
    let sql = format!(
        "SET statement_timeout = {statement_timeout_ms};
         SET idle_in_transaction_session_timeout = {statement_timeout_ms}"
    );
    Hook::async_fn(move |client, _| {
        let sql = sql.clone();
        Box::pin(async move { client.batch_execute(&sql).await.map_err(HookError::Backend) })
    })
}

/// Waits a little, and not as long as another that collided at the same time.
async fn step_aside(attempt: u32) {
    let random = RandomState::new().hash_one(attempt);
    let longest_ms = LONGEST_PAUSE_MS >> (ATTEMPTS - attempt).min(63);
    tokio::time::sleep(Duration::from_micros(random % (longest_ms * 1_000 + 1))).await;
}

pub(crate) async fn query(
    transaction: &Transaction<'_>,
    sql: &'static str,
    params: &[Value<'_>],
) -> Result<Vec<Row>, Fault> {
    let statement = transaction.prepare_cached(sql).await.map_err(fault)?;
    let params: Vec<&(dyn ToSql + Sync)> = params.iter().map(|param| param as _).collect();
    let rows = transaction.query(&statement, &params).await.map_err(fault)?;
    let read = |row: &tokio_postgres::Row| {
        (0..row.len()).map(|column| row.try_get(column)).collect::<Result<_, _>>()
    };
    rows.iter().map(|row| Ok(Row::new(sql, read(row).map_err(fault)?))).collect()
}

pub(crate) async fn execute(
    transaction: &Transaction<'_>,
    sql: &'static str,
    params: &[Value<'_>],
) -> Result<u64, Fault> {
    let statement = transaction.prepare_cached(sql).await.map_err(fault)?;
    transaction.execute_raw(&statement, params).await.map_err(fault)
}

/// All rows of a statement that is written at run time. Its text must limit them.
pub(crate) async fn page(
    transaction: &Transaction<'_>,
    sql: &str,
    params: &[Value<'_>],
) -> Result<Vec<Vec<Value<'static>>>, Fault> {
    let statement = transaction.prepare_cached(sql).await.map_err(fault)?;
    let params: Vec<&(dyn ToSql + Sync)> = params.iter().map(|param| param as _).collect();
    let rows = transaction.query(&statement, &params).await.map_err(fault)?;
    let read = |row: &tokio_postgres::Row| {
        (0..row.len()).map(|column| row.try_get(column)).collect::<Result<_, _>>()
    };
    rows.iter().map(|row| read(row).map_err(fault)).collect()
}

/// Runs a statement that is written at run time with the values of all these rows. `SQLite`, where they may come from,
/// has numbers for truth values.
pub(crate) async fn load(
    transaction: &Transaction<'_>,
    sql: &str,
    rows: &[Vec<Value<'_>>],
) -> Result<(), Fault> {
    let statement = transaction.prepare_cached(sql).await.map_err(fault)?;
    let values = rows.iter().flatten().zip(statement.params()).map(|(value, kind)| match value {
        Value::Int(number) if *kind == Type::BOOL => Value::Bool(*number != 0),
        value => value.clone(),
    });
    let values: Vec<Value<'_>> = values.collect();
    transaction.execute_raw(&statement, &values).await.map_err(fault)?;
    Ok(())
}

pub(crate) async fn script(transaction: &Transaction<'_>, sql: &str) -> Result<(), Fault> {
    transaction.batch_execute(sql).await.map_err(fault)
}
