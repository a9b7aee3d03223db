//! Limits: who may ask how often. Each node counts for itself, in memory that never grows.

mod settings;
mod table;
#[cfg(test)]
mod tests;

use std::{
    hash::{Hash, Hasher},
    net::IpAddr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use countersign_domain::{
    environment::Environment,
    id::Id,
    rate::{Bucket, Rate},
};
use countersign_protocol::{entropy::Entropy, entropy::random, jwk::Thumbprint, time::Timestamp};
use ipnet::IpNet;
use siphasher::sip::SipHasher24;

pub use settings::{Budget, Limit, Settings};
use table::Table;

/// Requests that are counted together, because they cost or give away the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    /// Names, passwords and passcodes: what a guesser sends.
    SignOn,
    /// Authorization requests, and looking at a flow.
    Flow,
    /// The token endpoint and userinfo, and what worker applications do with their tokens.
    Token,
    /// The device API.
    Device,
    /// Authentication codes that phones read: what a guesser sends.
    Code,
    /// What is the same for everybody and costs nearly nothing.
    Read,
}

/// A request was one too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many requests; try again in {seconds} seconds")]
pub struct Limited {
    /// When to come back, in whole seconds from now: at least 1.
    pub seconds: u32,
}

/// The limits of one node, and what was counted against them.
pub struct Limits {
    hash_keys: [u64; 2],
    trusted: Vec<IpNet>,
    sign_on: Counters,
    flow: Counters,
    token: Counters,
    device: Counters,
    code: Counters,
    read: Counters,
    user: Option<Counter>,
    installation: Option<Counter>,
}

/// The limits of one group.
struct Counters {
    address: Option<Counter>,
    share: Option<Counter>,
    application: Option<Counter>,
    environment: Option<Counter>,
}

/// One limit.
struct Counter {
    group: &'static str,
    by: &'static str,
    table: Table,
    refused: AtomicU64,
    told: Mutex<Bucket>,
}

impl Limits {
    /// Limits with nothing counted yet.
    #[must_use]
    pub fn new(settings: &Settings, entropy: &dyn Entropy) -> Self {
        let [k0, k1] = [random::<8>(entropy), random::<8>(entropy)].map(u64::from_le_bytes);
        let of = |group, budget| Counters::new(group, budget, settings);
        Self {
            hash_keys: [k0, k1],
            trusted: settings.trusted_addresses.clone(),
            sign_on: of("sign_on", settings.sign_on),
            flow: of("flow", settings.flow),
            token: of("token", settings.token),
            device: of("device", settings.device),
            code: of("code", settings.code),
            read: of("read", settings.read),
            user: Counter::new("sign_on", "user", settings.user.rate(), settings.keys),
            installation: Counter::new(
                "code",
                "installation",
                settings.installation.rate(),
                settings.keys,
            ),
        }
    }

    /// Counts a request by where it comes from and what it is for. The narrow limit comes first, so that who is over it
    /// takes nothing from others.
    pub(crate) fn request(
        &self,
        group: Group,
        address: Option<IpAddr>,
        environment: Option<Id<Environment>>,
        now: Timestamp,
    ) -> Result<(), Limited> {
        let counted = self.count_request(group, address, environment, now);
        counted.inspect_err(|limited| {
            let seconds = limited.seconds;
            tracing::debug!(?group, ?address, ?environment, seconds, "one request too many");
        })
    }

    fn count_request(
        &self,
        group: Group,
        address: Option<IpAddr>,
        environment: Option<Id<Environment>>,
        now: Timestamp,
    ) -> Result<(), Limited> {
        let counters = self.of(group);
        let environment = environment.as_ref().map(Id::as_bytes);
        if !address.is_some_and(|address| self.is_trusted(address)) {
            let network = address.map(network);
            self.count(counters.address.as_ref(), network, now)?;
            if environment.is_some() {
                self.count(counters.share.as_ref(), (environment, network), now)?;
            }
        }
        if environment.is_some() {
            self.count(counters.environment.as_ref(), environment, now)?;
        }
        Ok(())
    }

    /// Counts a request by the application that it is for, which need not exist.
    pub(crate) fn application(
        &self,
        group: Group,
        environment: Id<Environment>,
        client_id: &str,
        now: Timestamp,
    ) -> Result<(), Limited> {
        self.count(self.of(group).application.as_ref(), (environment.as_bytes(), client_id), now)
    }

    /// Counts an attempt to sign in by whose it is: a hash that is made alike for users who exist and names that nobody has.
    pub(crate) fn user(&self, attempts_of: &[u8], now: Timestamp) -> Result<(), Limited> {
        self.count(self.user.as_ref(), attempts_of, now)
    }

    /// Counts an authentication code by the installation that has read it, right or wrong.
    pub(crate) fn installation(
        &self,
        environment: Id<Environment>,
        installation: Thumbprint,
        now: Timestamp,
    ) -> Result<(), Limited> {
        let who = (environment.as_bytes(), installation.as_bytes());
        self.count(self.installation.as_ref(), who, now)
    }

    /// How many requests each limit has refused since the start: its group, what it counts by, and the number.
    pub fn refused(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let groups = [&self.sign_on, &self.flow, &self.token, &self.device, &self.code, &self.read];
        let counters = groups.into_iter().flat_map(Counters::all);
        let counters = counters.chain(&self.user).chain(&self.installation);
        counters.map(|counter| (counter.group, counter.by, counter.refused.load(Ordering::Relaxed)))
    }

    const fn of(&self, group: Group) -> &Counters {
        match group {
            Group::SignOn => &self.sign_on,
            Group::Flow => &self.flow,
            Group::Token => &self.token,
            Group::Device => &self.device,
            Group::Code => &self.code,
            Group::Read => &self.read,
        }
    }

    fn is_trusted(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(&address.to_canonical()))
    }

    fn count(
        &self,
        counter: Option<&Counter>,
        who: impl Hash,
        now: Timestamp,
    ) -> Result<(), Limited> {
        let Some(counter) = counter else { return Ok(()) };
        let [k0, k1] = self.hash_keys;
        let mut hasher = SipHasher24::new_with_keys(k0, k1);
        who.hash(&mut hasher);
        counter.count(hasher.finish(), now)
    }
}

/// Who is counted as one: an IPv4 address, or an IPv6 network of 64 bits, of which a customer has at least one whole.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
    }
}

impl Counters {
    fn new(group: &'static str, budget: Budget, settings: &Settings) -> Self {
        let counter = |by, rate, keys| Counter::new(group, by, rate, keys);
        let share = budget.environment.share(settings.address_share);
        Self {
            address: counter("address", budget.address.rate(), settings.keys),
            share: counter("share", share, settings.keys),
            application: counter("application", budget.application.rate(), settings.tenant_keys),
            environment: counter("environment", budget.environment.rate(), settings.tenant_keys),
        }
    }

    fn all(&self) -> impl Iterator<Item = &Counter> {
        let Self { address, share, application, environment } = self;
        [address, share, application, environment].into_iter().flatten()
    }
}

/// A limit that refuses says so in the log once a minute at most: whoever floods the server does not flood the log.
const TOLD_PER_SECOND: f64 = 1.0 / 60.0;

impl Counter {
    fn new(group: &'static str, by: &'static str, rate: Option<Rate>, keys: usize) -> Option<Self> {
        let (refused, told) = (AtomicU64::new(0), Mutex::default());
        rate.map(|rate| Self { group, by, table: Table::new(rate, keys), refused, told })
    }

    fn count(&self, key: u64, now: Timestamp) -> Result<(), Limited> {
        self.table.take(key, now).map_err(|empty| {
            let refused = self.refused.fetch_add(1, Ordering::Relaxed) + 1;
            self.tell(refused, now);
            Limited { seconds: empty.seconds }
        })
    }

    fn tell(&self, refused: u64, now: Timestamp) {
        let Some(rate) = Rate::new(TOLD_PER_SECOND, 1) else { return };
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(taken) = told.take(rate, now) {
            *told = taken;
            let (group, by) = (self.group, self.by);
            tracing::warn!(group, by, refused, "a limit refuses requests");
        }
    }
}
