//! An outage below the server: its disk is full, or its database is gone. Meanwhile it must say no to what it cannot keep, and
//! afterwards go on by itself, with all that it has said yes to.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    path::PathBuf,
    process::Command,
    time::Duration,
};

use fastrand::Rng;
use serde::Serialize;
use tokio::{task::JoinSet, time};

use super::{Plan, Progress, Site, Verdict, customer::Customer, customers, session::Session};
use crate::{LoadError, stopwatch::Stopwatch};

/// How long a server may take to go on after an outage.
const RECOVERY_LIMIT: Duration = Duration::from_secs(10);

/// Sign-ons that are tried during an outage.
const TRIES: usize = 20;

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum Outage {
    /// The file system of this folder, which must be a small one, is full.
    FullDisk(PathBuf),
    /// The first of these shell commands takes the database away, the second brings it back.
    NoDatabase { begin: String, end: String },
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct OutageVerdict {
    /// What was acknowledged before, between and after the outages.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// How many outages there were.
    pub outages: u32,
    /// Sign-ons that were refused during them.
    pub refused: u64,
    /// The longest time from the end of an outage until a sign-on succeeded, in milliseconds.
    pub slowest_recovery_ms: u64,
}

/// Plays so many outages against one server, then kills it and looks at the next.
pub async fn outages(
    plan: &Plan,
    site: &Site,
    outage: &Outage,
) -> Result<OutageVerdict, LoadError> {
    let mut rng = Rng::with_seed(plan.seed);
    let verdict = Verdict { seed: plan.seed, ..Verdict::default() };
    let mut all = OutageVerdict { verdict, outages: 0, refused: 0, slowest_recovery_ms: 0 };
    let progress = Progress::default();
    let mut customers = customers(plan, site, &mut rng, &progress).await?;
    let server = plan.program.start().await?;
    for _ in 0..plan.kills {
        let mut tasks = JoinSet::new();
        for customer in customers.drain(..) {
            tasks.spawn(customer.run());
        }
        progress.wait(&mut rng).await?;
        outage.begin()?;
        customers = tasks.join_all().await;
        all.refused += refusals(&mut customers).await?;
        outage.end()?;
        all.outages += 1;
        let recovered = recovery(&mut customers).await?;
        all.slowest_recovery_ms = all.slowest_recovery_ms.max(recovered);
        for customer in &mut customers {
            customer.verify(&mut all.verdict).await?;
        }
    }
    server.kill()?;
    let server = plan.program.start().await?;
    all.verdict.started_in(server.started_in);
    for customer in &mut customers {
        customer.verify(&mut all.verdict).await?;
    }
    server.kill()?;
    Ok(all)
}

/// Customers try to sign on. Whoever gets a flow has it kept for the check afterwards: it must have counted.
async fn refusals(customers: &mut [Customer]) -> Result<u64, LoadError> {
    let mut refused = 0;
    for index in 0..TRIES {
        let count = customers.len().max(1);
        let Some(customer) = customers.get_mut(index % count) else { break };
        if begins(customer).await? {
            continue;
        }
        refused += 1;
    }
    Ok(refused)
}

/// Waits until a customer can sign on again. Gives the time it took, in milliseconds.
async fn recovery(customers: &mut [Customer]) -> Result<u64, LoadError> {
    let watch = Stopwatch::start();
    let customer = customers.first_mut().ok_or_else(|| LoadError::other("there is no customer"))?;
    while !begins(customer).await? {
        if watch.elapsed() > RECOVERY_LIMIT {
            return Err(LoadError::other("the server does not go on after the outage"));
        }
        time::sleep(Duration::from_millis(20)).await;
    }
    Ok(watch.micros() / 1_000)
}

/// Begins a flow with a payload, and keeps in the ledger whether it did.
async fn begins(customer: &mut Customer) -> Result<bool, LoadError> {
    let payload = customer.phone.sdk().generate_mobile_payload().await;
    let payload = payload.map_err(|error| LoadError::other(error.to_string()))?;
    let session = Session::new(&customer.browser, &customer.site, true);
    if session.begin(Some(&payload)).await.is_ok() {
        customer.ledger.payloads.push(payload);
        return Ok(true);
    }
    customer.ledger.unanswered_payloads.push(payload);
    Ok(false)
}

impl Outage {
    fn begin(&self) -> Result<(), LoadError> {
        match self {
            Self::FullDisk(folder) => fill(&filler(folder)),
            Self::NoDatabase { begin, .. } => shell(begin),
        }
    }

    fn end(&self) -> Result<(), LoadError> {
        match self {
            Self::FullDisk(folder) => Ok(fs::remove_file(filler(folder))?),
            Self::NoDatabase { end, .. } => shell(end),
        }
    }
}

fn filler(folder: &std::path::Path) -> PathBuf {
    folder.join("filler")
}

/// Writes until nothing fits any more.
fn fill(path: &std::path::Path) -> Result<(), LoadError> {
    let mut file = OpenOptions::new().create_new(true).write(true).open(path)?;
    let mut chunk = vec![0; 1 << 20];
    while !chunk.is_empty() {
        match file.write_all(&chunk) {
            Ok(()) => {}
            // Smaller and smaller, down to the last byte.
            Err(error) if error.kind() == ErrorKind::StorageFull => chunk.truncate(chunk.len() / 2),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn shell(command: &str) -> Result<(), LoadError> {
    let status = Command::new("sh").args(["-c", command]).status()?;
    if status.success() {
        return Ok(());
    }
    Err(LoadError::other(format!("`{command}` ended with {status}")))
}
