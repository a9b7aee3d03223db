//! A server that is killed under load, again and again: what it has said yes to is there at its next start, and nothing that
//! counts once counts twice.
//!
//! Customers enrol phones, sign on with them, use passcodes, refresh their tokens and unpair, all at once, until the server is
//! killed at a moment that the seed decides. With a push service they also sign on in ways that ask their phones, and remove the
//! app without a word. Each customer keeps a ledger of what was acknowledged and of what was asked and
//! never answered. The next server is held against it.

mod asking;
mod check;
mod customer;
mod outage;
mod program;
mod push_service;
mod session;
mod site;

use std::{path::PathBuf, sync::Arc, time::Duration};

use countersign_emulator::{Phone, PhoneConfig};
use countersign_protocol::mobile_payload::PushService as PushServiceName;
use countersign_sdk::{Transport, transport::ReqwestTransport};
use fastrand::Rng;
use serde::Serialize;
use tokio::{sync::watch, task::JoinSet, time};

use self::customer::Customer;
pub use self::{
    outage::{Outage, OutageVerdict, outages},
    program::Program,
    push_service::PushService,
    site::Site,
};
use crate::{LoadError, stopwatch::Stopwatch};

/// After how many acknowledgements a server dies at the latest, and how many milliseconds later, so that it dies in the midst
/// of something.
const MOST_ACKNOWLEDGED: u64 = 60;
const LONGEST_GRACE_MS: u64 = 20;

/// How long a server may take to acknowledge so much.
const PROGRESS_LIMIT: Duration = Duration::from_mins(1);

/// What a start may take until the server answers, in milliseconds.
pub const READY_LIMIT_MS: u64 = 3_000;

/// After how many kills the database is looked at from outside, and an administrator blocks a phone.
const INSPECTION_INTERVAL: u32 = 5;

/// How often to kill, and what.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The server.
    pub program: Program,
    /// How often it dies.
    pub kills: u32,
    /// Decides on moments and steps.
    pub seed: u64,
    /// How many customers there are.
    pub customers: usize,
    /// Where their phones keep their keys.
    pub phones: PathBuf,
}

/// What came of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Verdict {
    /// Repeats the run, as far as the machine does.
    pub seed: u64,
    /// How often the server died.
    pub kills: u32,
    /// Payloads that began a flow, and were refused afterwards.
    pub payloads: u64,
    /// Codes that gave tokens, and were refused afterwards.
    pub codes: u64,
    /// Passcodes that counted, and were refused afterwards.
    pub passcodes: u64,
    /// Refresh tokens that were used for the next, and refused afterwards.
    pub refreshes: u64,
    /// Phones that were paired, and known afterwards.
    pub pairings: u64,
    /// Phones that were unpaired, and unknown afterwards.
    pub unpairings: u64,
    /// Phones that an administrator blocked, and that did not pass afterwards.
    pub blocked: u64,
    /// Answers of phones to pushes that were acknowledged, and let their flow go on.
    pub push_answers: u64,
    /// Flows that waited for a phone that did not answer, or whose answer the kill took away, and that ended in time.
    pub push_timeouts: u64,
    /// Those among them whose message came to no phone before its time was over.
    pub pushes_expired: u64,
    /// Phones that were unpaired because their address was dead.
    pub push_unpairings: u64,
    /// Requests whose answer the kill took away, and that were asked again.
    pub in_doubt: u64,
    /// The longest start, in milliseconds.
    pub slowest_start_ms: u64,
    /// What should not have been.
    pub violations: Vec<String>,
}

impl Verdict {
    /// Whether nothing was lost and nothing counted twice.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.violations.is_empty()
    }

    fn started_in(&mut self, took: Duration) {
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.slowest_start_ms = self.slowest_start_ms.max(took_ms);
        if took_ms > READY_LIMIT_MS {
            self.violations.push(format!("a start took {took_ms} ms"));
        }
    }
}

/// Kills the server of a site so often, and holds each next one against what was acknowledged.
pub async fn crash(plan: &Plan, site: &Site) -> Result<Verdict, LoadError> {
    let mut rng = Rng::with_seed(plan.seed);
    let mut verdict = Verdict { seed: plan.seed, ..Verdict::default() };
    let progress = Progress::default();
    let mut customers = customers(plan, site, &mut rng, &progress).await?;
    for kill in 1..=plan.kills {
        let server = plan.program.start().await?;
        verdict.started_in(server.started_in);
        for customer in &mut customers {
            customer.verify(&mut verdict).await?;
        }
        let mut tasks = JoinSet::new();
        for customer in customers.drain(..) {
            tasks.spawn(customer.run());
        }
        progress.wait(&mut rng).await?;
        server.kill()?;
        customers = tasks.join_all().await;
        verdict.kills = kill;
        if kill % INSPECTION_INTERVAL == 0 || kill == plan.kills {
            inspect(site, &mut customers, &mut verdict, &mut rng).await?;
        }
    }
    // What the last one has acknowledged counts too.
    let server = plan.program.start().await?;
    let last = Stopwatch::start();
    verdict.started_in(server.started_in);
    for customer in &mut customers {
        customer.verify(&mut verdict).await?;
    }
    for customer in &mut customers {
        customer.verify_waiting(&mut verdict, Some(last)).await?;
    }
    server.kill()?;
    Ok(verdict)
}

/// Counts what is acknowledged, over all customers.
#[derive(Clone, Default)]
struct Progress(Arc<watch::Sender<u64>>);

impl Progress {
    fn advance(&self) {
        self.0.send_modify(|count| *count += 1);
    }

    /// Waits for a moment that `rng` decides.
    async fn wait(&self, rng: &mut Rng) -> Result<(), LoadError> {
        let target = *self.0.borrow() + rng.u64(0..=MOST_ACKNOWLEDGED);
        let grace = Duration::from_millis(rng.u64(0..=LONGEST_GRACE_MS));
        let mut count = self.0.subscribe();
        let reached = count.wait_for(|count| *count >= target);
        let stuck = |_| LoadError::other("the server acknowledges nothing");
        let _ = time::timeout(PROGRESS_LIMIT, reached).await.map_err(stuck)?;
        time::sleep(grace).await;
        Ok(())
    }
}

async fn customers(
    plan: &Plan,
    site: &Site,
    rng: &mut Rng,
    progress: &Progress,
) -> Result<Vec<Customer>, LoadError> {
    let transport =
        ReqwestTransport::new(b"").map_err(|error| LoadError::other(error.to_string()))?;
    let transport: Arc<dyn Transport> = Arc::new(transport);
    let mut customers = Vec::new();
    for number in 0..plan.customers {
        let username = site::username(number);
        let folder = plan.phones.join(&username);
        let config = PhoneConfig::new(&username, &folder, &site.issuer, &site.native, b"");
        let config = config.map_err(|error| LoadError::other(error.to_string()))?;
        let config = PhoneConfig { transport: Arc::clone(&transport), ..config };
        let phone =
            Phone::new(config).await.map_err(|error| LoadError::other(error.to_string()))?;
        let chance = (rng.fork(), progress.clone());
        let token = match &site.push {
            None => String::new(),
            Some(push) => {
                let token = push.install()?;
                let set = phone.sdk().set_device_token(PushServiceName::Fcm, &token, None).await;
                set.map_err(|error| LoadError::other(error.to_string()))?;
                token
            }
        };
        customers.push(Customer::new(site, username, (phone, token), chance)?);
    }
    Ok(customers)
}

/// While nobody serves: is the database whole, and does a block hold from now on?
async fn inspect(
    site: &Site,
    customers: &mut [Customer],
    verdict: &mut Verdict,
    rng: &mut Rng,
) -> Result<(), LoadError> {
    let app = site.open().await?;
    if let Some(damage) = app.store().find_damage().await? {
        verdict.violations.push(format!("the database is damaged: {damage}"));
    }
    rng.shuffle(customers);
    for customer in customers.iter_mut() {
        if customer.change_block(&app).await? {
            break;
        }
    }
    app.store().close().await;
    Ok(())
}
