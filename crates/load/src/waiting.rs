//! What a server needs for very many flows that wait for phones, each with a request that is held open.

use std::{net::SocketAddr, time::Duration};

use serde::Serialize;
use tokio::{task::JoinSet, time};

use crate::{
    LoadError,
    asked::{Asked, Begun, Flow},
    bank::Bank,
    connection::Connection,
    process::Process,
    stopwatch::Stopwatch,
};

/// How long the requests wait, in seconds; the server answers none before.
const WAIT_SECONDS: u8 = 25;

/// Flows that are begun, and connections that are opened, at the same time.
const BEGUN_AT_ONCE: usize = 64;

/// How long the server may take to settle, once all have asked.
const SETTLE: Duration = Duration::from_secs(2);

/// What was measured.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Report {
    /// Flows, each with a request that waits.
    pub flows: usize,
    /// Resident memory before any, in KiB.
    pub before_kib: u64,
    /// With all flows begun and nobody waiting.
    pub begun_kib: u64,
    /// With all requests waiting.
    pub waiting_kib: u64,
    /// CPU time of the server in a second while all wait, in microseconds.
    pub idle_cpu_us: u64,
}

/// Begins so many flows and waits for all of them at once.
pub async fn measure(
    bank: &Bank,
    (address, server): (SocketAddr, Process),
    flows: usize,
) -> Result<Report, LoadError> {
    let before_kib = server.memory()?.resident_kib;
    let begun = begin(bank, address, flows).await?;
    let begun_kib = server.memory()?.resident_kib;
    let (mut waiting, watch) = (wait(begun, address).await?, Stopwatch::start());
    time::sleep(SETTLE).await;
    let cpu = server.cpu_us()?;
    time::sleep(Duration::from_secs(1)).await;
    let idle_cpu_us = server.cpu_us()? - cpu;
    let waiting_kib = server.memory()?.resident_kib;
    if let Some(ended) = waiting.try_join_next() {
        return Err(LoadError::other(format!(
            "a request does not wait, after {} ms: {ended:?}",
            watch.micros() / 1_000
        )));
    }
    waiting.abort_all();
    Ok(Report { flows, before_kib, begun_kib, waiting_kib, idle_cpu_us })
}

async fn begin(bank: &Bank, address: SocketAddr, flows: usize) -> Result<Vec<Flow>, LoadError> {
    let mut shares: Vec<Vec<Asked>> = Vec::new();
    shares.resize_with(BEGUN_AT_ONCE, Vec::new);
    for (index, phone) in Asked::phones(bank, flows)?.into_iter().enumerate() {
        if let Some(share) = shares.get_mut(index % BEGUN_AT_ONCE) {
            share.push(phone);
        }
    }
    let mut tasks = JoinSet::new();
    for share in shares {
        tasks.spawn(async move {
            let mut connection = Connection::open(address).await?;
            let mut begun = Vec::with_capacity(share.len());
            for phone in share {
                begun.push(phone.begin(&mut connection, Begun::Elsewhere).await?);
            }
            Ok::<_, LoadError>(begun)
        });
    }
    let mut all = Vec::with_capacity(flows);
    while let Some(ended) = tasks.join_next().await {
        all.append(&mut ended.map_err(|error| LoadError::other(error.to_string()))??);
    }
    Ok(all)
}

/// A request for each flow, over a connection of its own.
async fn wait(
    flows: Vec<Flow>,
    address: SocketAddr,
) -> Result<JoinSet<Result<(), LoadError>>, LoadError> {
    let mut waiting = JoinSet::new();
    for flow in flows {
        let mut connection = Connection::open(address).await?;
        waiting.spawn(async move { flow.wait(&mut connection, WAIT_SECONDS).await.map(drop) });
    }
    Ok(waiting)
}
