//! Plays a scenario over many connections at once, and looks at the server meanwhile.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use serde::Serialize;
use tokio::{task::JoinSet, time};

use crate::{
    LoadError,
    connection::Connection,
    figures::{Latencies, Quantiles, real},
    process::{Memory, Process},
    stopwatch::Stopwatch,
};

/// What a round may take, in seconds. One that takes longer is a failure of the run.
const ROUND_LIMIT_SECONDS: u64 = 10;

/// One client that plays its round again and again.
pub trait Scenario: Send + 'static {
    /// One round, from the first request to the last answer. Anything but success is an error.
    fn round(
        &mut self,
        connection: &mut Connection,
    ) -> impl Future<Output = Result<(), LoadError>> + Send;
}

/// How long and against whom.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The server's address.
    pub address: SocketAddr,
    /// The server's process.
    pub server: Process,
    /// How long to play before anything is measured.
    pub warm_up: Duration,
    /// How long to measure.
    pub measured: Duration,
}

/// What was measured.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Report {
    /// Connections, each with one client.
    pub connections: usize,
    /// Rounds that ended in the measured time.
    pub rounds: u64,
    /// The measured time.
    pub seconds: f64,
    /// Rounds per second.
    pub rounds_per_second: f64,
    /// What rounds took.
    #[serde(flatten)]
    pub latency: Quantiles,
    /// CPU time of the server meanwhile, in seconds.
    pub server_cpu_seconds: f64,
    /// CPU time of the server per round, in microseconds.
    pub server_cpu_us_per_round: f64,
    /// CPU time of the load meanwhile, in seconds: near `seconds`, the load was the limit.
    pub load_cpu_seconds: f64,
    /// Memory of the server at the end.
    #[serde(flatten)]
    pub memory: Memory,
}

const WARMING_UP: u8 = 0;
const MEASURING: u8 = 1;
const OVER: u8 = 2;

/// Plays the clients, one connection each, and measures.
pub async fn drive<S: Scenario>(clients: Vec<S>, plan: Plan) -> Result<Report, LoadError> {
    let phase = Arc::new(AtomicU8::new(WARMING_UP));
    let connections = clients.len();
    let mut tasks = JoinSet::new();
    for client in clients {
        let connection = Connection::open(plan.address).await?;
        tasks.spawn(play(client, connection, Arc::clone(&phase)));
    }
    let measured = tokio::select! {
        measured = measure(plan, &phase) => measured?,
        failed = first_failure(&mut tasks) => return Err(failed),
    };
    let mut latencies = Latencies::default();
    while let Some(ended) = tasks.join_next().await {
        latencies.append(flatten(ended)?);
    }
    let rounds = latencies.len() as u64;
    let seconds = measured.time.as_secs_f64();
    let server_cpu_us = real(measured.server_cpu_us);
    Ok(Report {
        connections,
        rounds,
        seconds,
        rounds_per_second: real(rounds) / seconds,
        latency: latencies.quantiles(),
        server_cpu_seconds: server_cpu_us / 1e6,
        server_cpu_us_per_round: server_cpu_us / real(rounds),
        load_cpu_seconds: real(measured.load_cpu_us) / 1e6,
        memory: plan.server.memory()?,
    })
}

struct Measured {
    time: Duration,
    server_cpu_us: u64,
    load_cpu_us: u64,
}

async fn measure(plan: Plan, phase: &AtomicU8) -> Result<Measured, LoadError> {
    let own = Process::own();
    time::sleep(plan.warm_up).await;
    let (server_before, load_before) = (plan.server.cpu_us()?, own.cpu_us()?);
    let watch = Stopwatch::start();
    phase.store(MEASURING, Ordering::Relaxed);
    time::sleep(plan.measured).await;
    phase.store(OVER, Ordering::Relaxed);
    let time = watch.elapsed();
    let server_cpu_us = plan.server.cpu_us()? - server_before;
    Ok(Measured { time, server_cpu_us, load_cpu_us: own.cpu_us()? - load_before })
}

async fn play<S: Scenario>(
    mut client: S,
    mut connection: Connection,
    phase: Arc<AtomicU8>,
) -> Result<Latencies, LoadError> {
    let mut latencies = Latencies::default();
    let limit = Duration::from_secs(ROUND_LIMIT_SECONDS);
    loop {
        let watch = Stopwatch::start();
        let round = time::timeout(limit, client.round(&mut connection));
        round.await.map_err(|_| LoadError::Slow(ROUND_LIMIT_SECONDS))??;
        match phase.load(Ordering::Relaxed) {
            WARMING_UP => {}
            MEASURING => latencies.push(watch.micros()),
            _ => return Ok(latencies),
        }
    }
}

/// Waits until a client fails; for ever if none does. Clients end by themselves only when all is over.
async fn first_failure(tasks: &mut JoinSet<Result<Latencies, LoadError>>) -> LoadError {
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = flatten(ended) {
            return error;
        }
    }
    std::future::pending().await
}

fn flatten<T>(ended: Result<Result<T, LoadError>, tokio::task::JoinError>) -> Result<T, LoadError> {
    ended.map_err(|error| LoadError::other(error.to_string()))?
}
