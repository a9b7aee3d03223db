//! Where it is kept: all SQL, for `SQLite` and PostgreSQL.
//!
//! Every statement is written once and every body is written once, against [`Tx`]. On PostgreSQL a body suspends as
//! async code does; on `SQLite` each call of `Tx` is ready at once, so one writer thread polls a body once, runs many
//! of them, each in a savepoint, and makes them durable by one commit.
//!
//! # The portable subset
//!
//! - Column kinds are `BIGINT`, `TEXT`, `BYTEA` and `BOOLEAN`. Ids are 16 bytes of `BYTEA`, times are `BIGINT`
//!   microseconds, JSON is `TEXT`. `SUM` of a `BIGINT` is a `NUMERIC` on PostgreSQL: cast it.
//! - `INSERT .. ON CONFLICT`, `RETURNING` (by [`Tx::query`]), common table expressions and partial indexes are fine.
//!   No arrays, no `NOW()`, no sequences, no triggers, no `LISTEN`.
//! - A unique index is named `table_column_column_key`, as PostgreSQL names its own, so that
//!   [`StoreError::Duplicate`] says the same on both engines.
//! - To insert unless there is a row: `ON CONFLICT DO NOTHING` and the count. A failed statement ends its transaction.
//! - Every change of state is guarded in SQL and goes through [`Tx::swap`]: PostgreSQL runs at `READ COMMITTED`.

pub mod application;
pub mod audit;
pub mod audit_seal;
pub mod authentication_code;
pub mod authenticator;
pub mod backup;
mod callers;
pub mod challenge;
pub mod configured;
pub mod device;
pub mod device_code;
pub mod device_log;
mod document;
pub mod environment;
mod error;
pub mod examine;
pub mod flow;
pub mod grant;
pub mod group;
mod kept;
pub mod lockout;
pub mod machine;
pub mod meter;
mod meters;
pub mod mfa_policy;
pub mod mfa_settings;
pub mod migrate;
pub mod outbox;
pub mod pairing;
pub mod pairing_key;
pub mod password;
pub mod population;
mod postgres;
pub mod protected_resource;
pub mod push_credentials;
pub mod push_health;
pub mod push_limit;
pub mod pushed_request;
pub mod revoked_token;
pub mod role_assignment;
pub mod sealed;
pub mod session;
pub mod sign_on_policy;
pub mod sign_on_policy_assignment;
pub mod signing_key;
pub mod spent_jwt;
pub mod spent_proof;
mod sqlite;
pub mod subscription;
mod tally;
mod tx;
pub mod unaudited;
pub mod user;
mod value;
pub mod wakes;

use std::{any::type_name, fmt, sync::Arc};

use countersign_protocol::secret::Secret;
use tracing::Instrument;

pub use crate::{
    document::Versioned,
    error::{Cause, StoreError},
    meters::{Connections, Load, Meters, Queue},
    tally::{Labels, Occurrence, Tally},
    tx::{Tx, Work},
    value::{Row, Value},
    wakes::{Topic, Waiter},
};
use crate::{meter::Stopwatch, postgres::Postgres, sqlite::Sqlite, wakes::Wakes};

/// The target of the spans of this crate, which is the same for all that an operator traces.
const SPANS: &str = "countersign::store";

/// Every statement of the crate, by module, so that a test can prepare all of them on both engines.
pub const STATEMENTS: &[&[&str]] = &[
    application::STATEMENTS,
    audit::STATEMENTS,
    audit_seal::STATEMENTS,
    authentication_code::STATEMENTS,
    authenticator::STATEMENTS,
    challenge::STATEMENTS,
    device::STATEMENTS,
    device_code::STATEMENTS,
    device_log::STATEMENTS,
    environment::STATEMENTS,
    examine::STATEMENTS,
    flow::STATEMENTS,
    grant::STATEMENTS,
    group::STATEMENTS,
    lockout::STATEMENTS,
    mfa_policy::STATEMENTS,
    mfa_settings::STATEMENTS,
    migrate::STATEMENTS,
    outbox::STATEMENTS,
    pairing::STATEMENTS,
    pairing_key::STATEMENTS,
    password::STATEMENTS,
    population::STATEMENTS,
    protected_resource::STATEMENTS,
    push_credentials::STATEMENTS,
    push_health::STATEMENTS,
    push_limit::STATEMENTS,
    pushed_request::STATEMENTS,
    session::STATEMENTS,
    sealed::STATEMENTS,
    revoked_token::STATEMENTS,
    role_assignment::STATEMENTS,
    sign_on_policy::STATEMENTS,
    sign_on_policy_assignment::STATEMENTS,
    signing_key::STATEMENTS,
    spent_jwt::STATEMENTS,
    spent_proof::STATEMENTS,
    subscription::STATEMENTS,
    user::STATEMENTS,
    wakes::STATEMENTS,
];

/// Which engine keeps the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// One file, one process.
    Sqlite,
    /// A server that speaks the PostgreSQL protocol, shared by several nodes.
    Postgres,
}

/// Where the data is and how much may be asked of it at a time.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `sqlite:PATH`, a plain path, or `postgres://USER:PASSWORD@HOST,HOST/DATABASE?target_session_attrs=read-write`.
    ///
    /// A connection to PostgreSQL that leaves the machine uses TLS and checks the server's name, unless the URL says
    /// `sslmode=disable`. `sslrootcert=PATH` names the PEM file of the authorities to trust instead of the system's.
    pub url: Secret<String>,
    /// Connections to PostgreSQL, or concurrent reads of `SQLite`; at least 1.
    pub connections: usize,
    /// Callers that may be served or wait at a time; more are refused with [`StoreError::Busy`].
    pub callers: usize,
    /// How long to wait for a connection, or for the process that had the `SQLite` file open to end, in milliseconds.
    pub connect_timeout_ms: u64,
    /// PostgreSQL: how long one statement may run, in milliseconds.
    pub statement_timeout_ms: u64,
}

impl Settings {
    /// The settings that fit most, for the database at `url`.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: Secret::new(url.into()),
            connections: 16,
            callers: 4_096,
            connect_timeout_ms: 5_000,
            statement_timeout_ms: 10_000,
        }
    }

    /// Whether the URL is one of PostgreSQL.
    #[must_use]
    pub fn is_postgres(&self) -> bool {
        let url = self.url.expose();
        url.starts_with("postgres://") || url.starts_with("postgresql://")
    }
}

/// The store. Clones share everything.
#[derive(Clone)]
pub struct Store(Arc<Shared>);

struct Shared {
    driver: Driver,
    meters: Arc<Meters>,
    wakes: Arc<Wakes>,
}

enum Driver {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

impl Store {
    /// Opens the database and makes sure that it answers. Does not touch the schema: see [`migrate::run`].
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the URL makes no sense, the database does not answer, or another process has the
    /// `SQLite` file open.
    pub async fn open(settings: &Settings) -> Result<Self, StoreError> {
        let (meters, wakes) = (Arc::<Meters>::default(), Arc::<Wakes>::default());
        let driver = if settings.is_postgres() {
            Driver::Postgres(Postgres::new(settings, Arc::clone(&meters), Arc::clone(&wakes))?)
        } else {
            Driver::Sqlite(Sqlite::open(settings, &meters, Arc::clone(&wakes)).await?)
        };
        let store = Self(Arc::new(Shared { driver, meters, wakes }));
        store.ping().await?;
        Ok(store)
    }

    /// Which engine keeps the data.
    #[must_use]
    pub fn engine(&self) -> Engine {
        match self.0.driver {
            Driver::Sqlite(_) => Engine::Sqlite,
            Driver::Postgres(_) => Engine::Postgres,
        }
    }

    /// Runs `work` in a transaction and returns once what it did is durable.
    ///
    /// If the caller goes away, the work is done whole or not at all.
    pub async fn write<W: Work>(&self, work: W) -> Result<W::Output, W::Error> {
        let (name, watch) = (type_name::<W>(), Stopwatch::start());
        let span = tracing::debug_span!(target: SPANS, "write", work = name);
        let done = match &self.0.driver {
            Driver::Sqlite(sqlite) => sqlite.write(work).instrument(span).await,
            // Boxed: it holds the body, which runs elsewhere on `SQLite`, and would make every caller's future as large.
            Driver::Postgres(postgres) => Box::pin(postgres.write(&work)).instrument(span).await,
        };
        self.0.meters.writes.observe_time(watch.elapsed());
        done
    }

    /// Runs `work` on one snapshot of what is committed, in which nothing can be changed.
    pub async fn read<W: Work>(&self, work: W) -> Result<W::Output, W::Error> {
        let (name, watch) = (type_name::<W>(), Stopwatch::start());
        let span = tracing::debug_span!(target: SPANS, "read", work = name);
        let done = match &self.0.driver {
            Driver::Sqlite(sqlite) => sqlite.read(work).instrument(span).await,
            Driver::Postgres(postgres) => Box::pin(postgres.read(&work)).instrument(span).await,
        };
        self.0.meters.reads.observe_time(watch.elapsed());
        done
    }

    /// What it has counted and timed since it was opened.
    #[must_use]
    pub fn meters(&self) -> &Meters {
        &self.0.meters
    }

    /// How full it is.
    #[must_use]
    pub fn load(&self) -> Load {
        match &self.0.driver {
            Driver::Sqlite(sqlite) => sqlite.load(),
            Driver::Postgres(postgres) => postgres.load(),
        }
    }

    /// Waits until a message for the outbox has been committed through this store. One that nobody has waited for ends the
    /// next wait at once. What other nodes commit is only found by looking.
    pub async fn outbox_woken(&self) {
        self.0.wakes.outbox_woken().await;
    }

    /// Somebody who waits for a topic: take one, call [`Waiter::woken`], read, and then wait.
    #[must_use]
    pub fn waiter(&self, topic: Topic) -> Waiter {
        self.0.wakes.waiter(topic)
    }

    /// Wakes those of this node who wait for one of these: for what was found in the table.
    pub fn wake(&self, topics: &[Topic]) {
        self.0.wakes.wake_topics(topics);
    }

    /// Whether a transaction could be begun and ended just now.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.write(Ping).await
    }

    /// The first damage that the engine finds in its file, if any. PostgreSQL looks after its files itself.
    pub async fn find_damage(&self) -> Result<Option<String>, StoreError> {
        self.read(FindDamage).await
    }

    /// Lets what has been accepted finish and ends the connections. Later calls get [`StoreError::Unavailable`].
    pub async fn close(&self) {
        match &self.0.driver {
            Driver::Sqlite(sqlite) => sqlite.close().await,
            Driver::Postgres(postgres) => postgres.close().await,
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Store").field(&self.engine()).finish()
    }
}

struct Ping;

impl Work for Ping {
    type Output = ();
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        tx.query("SELECT 1", &[]).await.map(drop)
    }
}

struct FindDamage;

impl Work for FindDamage {
    type Output = Option<String>;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<String>, StoreError> {
        // There is nothing of the kind on PostgreSQL.
        if tx.engine() == Engine::Postgres {
            return Ok(None);
        }
        let rows = tx.query("PRAGMA integrity_check(1)", &[]).await?;
        let said = rows.first().map(|row| row.text(0)).transpose()?;
        Ok(said.filter(|said| *said != "ok").map(str::to_owned))
    }
}
