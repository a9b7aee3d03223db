//! How soon an authorize that waits goes on after the phone has acknowledged the silent push.
//!
//! Each phone signs in, an app waits for the flow over a connection of its own, and the phone acknowledges over another. What is
//! measured ends when the whole answer to the waiting request is there.

use std::{net::SocketAddr, time::Duration};

use serde::Serialize;
use tokio::{task::JoinSet, time};

use crate::{
    LoadError,
    asked::{Asked, Begun, completed},
    bank::Bank,
    connection::Connection,
    figures::{Latencies, real},
    process::Process,
    stopwatch::Stopwatch,
};

/// How long the app is ready to wait, in seconds; also what a round may take.
const WAIT_SECONDS: u8 = 20;

/// How many phones, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The server's address.
    pub address: SocketAddr,
    /// The server's process.
    pub server: Process,
    /// Phones that sign in at the same time.
    pub phones: usize,
    /// How long a phone pauses after a sign-on, on average.
    pub pause: Duration,
    /// How long to play before anything is measured.
    pub warm_up: Duration,
    /// How long to measure.
    pub measured: Duration,
}

/// What was measured.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Report {
    /// Sign-ons that were measured.
    pub rounds: u64,
    /// How many of them in a second.
    pub rounds_per_second: f64,
    /// From the moment at which the acknowledgement is sent: half of them took at most so many microseconds.
    pub sent_p50_us: u64,
    /// 99 of 100.
    pub sent_p99_us: u64,
    /// The longest.
    pub sent_max_us: u64,
    /// 99 of 100, from the moment at which the phone has the answer to it; 0 where the flow was faster.
    pub answered_p99_us: u64,
    /// Per cent of its core that the server was busy.
    pub server_busy: f64,
}

/// Two times of each sign-on.
#[derive(Default)]
struct Laps {
    sent: Latencies,
    answered: Latencies,
}

/// Plays all phones and measures.
pub async fn measure(bank: &Bank, plan: Plan) -> Result<Report, LoadError> {
    let mut tasks = JoinSet::new();
    let watch = Stopwatch::start();
    for phone in Asked::phones(bank, plan.phones)? {
        tasks.spawn(play(phone, plan, watch));
    }
    time::sleep(plan.warm_up).await;
    let (before, measured) = (plan.server.cpu_us()?, Stopwatch::start());
    time::sleep(plan.measured).await;
    let server_busy = real(plan.server.cpu_us()? - before) / real(measured.micros()) * 100.0;
    let mut all = Laps::default();
    while let Some(ended) = tasks.join_next().await {
        let laps = ended.map_err(|error| LoadError::other(error.to_string()))??;
        all.sent.append(laps.sent);
        all.answered.append(laps.answered);
    }
    let rounds = all.sent.len() as u64;
    let (sent, answered) = (all.sent.quantiles(), all.answered.quantiles());
    Ok(Report {
        rounds,
        rounds_per_second: real(rounds) / plan.measured.as_secs_f64(),
        sent_p50_us: sent.p50_us,
        sent_p99_us: sent.p99_us,
        sent_max_us: sent.max_us,
        answered_p99_us: answered.p99_us,
        server_busy,
    })
}

async fn play(phone: Asked, plan: Plan, watch: Stopwatch) -> Result<Laps, LoadError> {
    let mut connections =
        [Connection::open(plan.address).await?, Connection::open(plan.address).await?];
    let mut laps = Laps::default();
    time::sleep(plan.pause.mul_f64(fastrand::f64())).await;
    while watch.elapsed() < plan.warm_up + plan.measured {
        let counts = watch.elapsed() >= plan.warm_up;
        let limit = Duration::from_secs(WAIT_SECONDS.into());
        let lap = time::timeout(limit, lap(&phone, &mut connections)).await;
        let (sent, answered) = lap.map_err(|_| LoadError::Slow(WAIT_SECONDS.into()))??;
        if counts {
            laps.sent.push(sent);
            laps.answered.push(answered);
        }
        // Spread, so that the phones do not come to go in step.
        time::sleep(plan.pause.mul_f64(0.5 + fastrand::f64())).await;
    }
    Ok(laps)
}

/// One sign-on. Gives the times from the acknowledgement and from its answer to that of the flow, in microseconds.
async fn lap(phone: &Asked, connections: &mut [Connection; 2]) -> Result<(u64, u64), LoadError> {
    let [app, waiting] = connections;
    let flow = phone.begin(app, Begun::OnThePhone).await?;
    let phone_does = async {
        // The waiting request is on its way before the pull is, and the pull takes a commit: it is there first.
        let pulled = phone.pull(app).await?;
        let answer = phone.acknowledgement(&pulled)?;
        let sent = Stopwatch::start();
        answer.send(app).await?;
        Ok::<_, LoadError>((sent, Stopwatch::start()))
    };
    let app_does = async {
        let answer = flow.wait(waiting, WAIT_SECONDS).await?;
        completed(&answer)?;
        Ok(Stopwatch::start())
    };
    let (released, (sent, answered)) = tokio::try_join!(app_does, phone_does)?;
    Ok((sent.micros_until(released), answered.micros_until(released)))
}
