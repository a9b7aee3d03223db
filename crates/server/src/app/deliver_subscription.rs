//! Tells subscriptions of the audit log, at least once, by one node at a time (docs/webhooks.md).
//!
//! Records can become visible out of their order, within about a minute. So there are two places. Behind the horizon nothing
//! comes any more: there the *sweep* goes on, record by record, and its place is kept in the store. What is younger is told at
//! once by the *front*, and remembered in memory until the sweep has passed it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, OnceLock, PoisonError},
};

use aws_lc_rs::{digest, hmac};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign_domain::{
    audit::Record,
    environment::Environment,
    id::Id,
    subscription::{Delivery, Lease, Populations, Subscription},
    user::User,
};
use countersign_protocol::{encoding::encode, entropy::random, time::Timestamp};
use countersign_store::{
    StoreError, Tx, Versioned, Work,
    audit::{self, ENDS},
    configured, subscription,
};

use super::{
    App, Fault, Headers, Realm,
    write_payload::{Body, bodies},
};
use crate::outbound::{Call, OutboundError};

/// Records that are read at a time.
const CHUNK: u32 = 500;
/// The most that is done for one subscription in a run, so that others get their turn.
const MAX_STEPS: u32 = 40;
/// How much of what it has seen the front reads again: most of what becomes visible late does so within this time.
const LOOK_BACK_SECONDS: i64 = 5;
/// Time between two sweeps, as long as they do not have to hurry.
const SWEEP_SECONDS: i64 = 5;
/// How long a sweep that has told nothing, and a success, may be known to this node alone.
const NOTE_SECONDS: i64 = 60;
/// The most records of the front that are remembered. With more of them it waits for the sweep.
const MAX_REMEMBERED: usize = 50_000;

/// What this node remembers of the subscriptions that it tells.
#[derive(Default)]
pub(super) struct Deliveries {
    /// What this process is known by: drawn when it first tells anybody.
    holder: OnceLock<Id<Lease>>,
    known: Mutex<BTreeMap<Id<Subscription>, Option<Memory>>>,
}

/// What is known of one subscription beside what is stored.
#[derive(Debug, Default)]
struct Memory {
    round: u32,
    /// What the sweep has seen, as far as it goes beyond what is stored.
    swept: Option<Id<Record>>,
    swept_at: Option<Timestamp>,
    noted_at: Option<Timestamp>,
    /// The last record that the front has seen.
    front: Option<Id<Record>>,
    /// Where the front is on its way through what it reads again.
    pass: Option<Id<Record>>,
    /// What was told of what the sweep has not passed.
    told: BTreeSet<Id<Record>>,
}

impl Deliveries {
    fn known(&self) -> std::sync::MutexGuard<'_, BTreeMap<Id<Subscription>, Option<Memory>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing, if another run is at it.
    fn begin(&self, id: Id<Subscription>) -> Option<Turn<'_>> {
        let memory = self.known().insert(id, None);
        let is_free = !matches!(memory, Some(None));
        is_free.then(|| Turn { of: self, id, memory: memory.flatten().unwrap_or_default() })
    }
}

/// One run for one subscription. What it remembers is kept when it ends, however it ends.
struct Turn<'a> {
    of: &'a Deliveries,
    id: Id<Subscription>,
    memory: Memory,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let memory = std::mem::take(&mut self.memory);
        let mut known = self.of.known();
        // Of a subscription that is gone there is nothing to remember.
        if memory.front.is_some() {
            known.insert(self.id, Some(memory));
        } else {
            known.remove(&self.id);
        }
    }
}

/// How a step ended.
struct Step {
    told: u64,
    /// Whether there may be more to be told at once.
    more: bool,
}

const NOTHING: Step = Step { told: 0, more: false };

/// How the calls of a step ended.
enum Told {
    All,
    /// Another node goes on, or this one stops.
    Stopped,
    Failed(String),
}

/// A subscription as this node finds it, with what it is to be told.
struct Sight {
    subscription: Subscription,
    stored: Option<Versioned<Delivery>>,
    delivery: Delivery,
    /// Behind the horizon, in order.
    swept: Vec<Record>,
    /// Younger.
    fresh: Vec<Record>,
    populations: Populations,
}

impl App {
    /// A page of the enabled subscriptions of all environments, after one of them.
    pub async fn list_enabled_subscriptions(
        &self,
        after: Option<Id<Subscription>>,
    ) -> Result<Vec<(Id<Subscription>, Id<Environment>)>, Fault> {
        Ok(self.store.read(ListEnabled { after }).await?)
    }

    /// Tells a subscription what it was not told yet, unless another node does. Returns how many records that were.
    pub async fn deliver_subscription(
        &self,
        id: Id<Subscription>,
        environment: Id<Environment>,
    ) -> Result<u64, Fault> {
        let Some(realm) = self.realm(environment).await? else { return Ok(0) };
        let Some(mut turn) = self.deliveries.begin(id) else { return Ok(0) };
        let mut told = 0;
        for _ in 0..MAX_STEPS {
            let step = self.step(&realm, &mut turn).await?;
            told += step.told;
            if !step.more || self.is_draining() {
                break;
            }
        }
        Ok(told)
    }

    fn holder(&self) -> Id<Lease> {
        *self.deliveries.holder.get_or_init(|| self.new_id())
    }

    async fn step(&self, realm: &Realm, turn: &mut Turn<'_>) -> Result<Step, Fault> {
        let Some(sight) = self.look(realm.environment, turn).await? else { return Ok(NOTHING) };
        let Sight { subscription, stored, delivery, swept, fresh, populations } = sight;
        let memory = &mut turn.memory;
        let wanted = |records: &[Record], memory: &Memory| -> Vec<Record> {
            let new = records.iter().filter(|record| !memory.told.contains(&record.id));
            new.filter(|record| subscription.wants(record, &populations)).cloned().collect()
        };
        let (late, young) = (wanted(&swept, memory), wanted(&fresh, memory));
        let is_full = |records: &[Record]| records.len() >= CHUNK as usize;
        let (last_swept, last_fresh) = (last(&swept), last(&fresh));
        let mut writing = Writing { app: self, stored, delivery };
        let count = late.len() + young.len();
        if count > 0 {
            let records = [late, young].concat();
            match self.tell(realm, (&subscription, &records), &mut writing, memory).await? {
                Told::All => {}
                Told::Stopped => return Ok(NOTHING),
                Told::Failed(message) => {
                    tracing::warn!(
                        subscription = %subscription.id, environment = %realm.environment, records = count,
                        failures = writing.delivery.failures + 1, why = message,
                        "a webhook could not be told of the audit log"
                    );
                    memory.swept_at = None;
                    writing.fail(message).await?;
                    return Ok(NOTHING);
                }
            }
        }
        memory.swept_at = if is_full(&swept) { None } else { memory.swept_at };
        memory.swept = last_swept.or(memory.swept);
        memory.front = last_fresh.max(memory.front);
        memory.pass = last_fresh.filter(|_| is_full(&fresh));
        let more = is_full(&swept) || (is_full(&fresh) && memory.told.len() < MAX_REMEMBERED);
        writing.note(memory, count > 0).await?;
        Ok(Step { told: u64::try_from(count).unwrap_or(u64::MAX), more })
    }

    /// Nothing, if there is no such subscription, or it is not this node's to tell, or it waits after a failure.
    async fn look(
        &self,
        environment: Id<Environment>,
        turn: &mut Turn<'_>,
    ) -> Result<Option<Sight>, Fault> {
        let (now, memory) = (self.now(), &mut turn.memory);
        let is_sweep_due =
            memory.swept_at.is_none_or(|at| !(0..SWEEP_SECONDS).contains(&now.seconds_since(at)));
        let look = Look {
            environment,
            id: turn.id,
            holder: self.holder(),
            now,
            horizon: Id::before(self.audit_horizon()),
            sweeps: is_sweep_due,
            seen: (memory.round, memory.swept, memory.pass.or(memory.front.map(back))),
            is_front_full: memory.told.len() >= MAX_REMEMBERED,
        };
        let horizon = look.horizon;
        let Some(sight) = self.store.read(look).await? else {
            *memory = Memory::default();
            return Ok(None);
        };
        if sight.delivery.is_anothers(self.holder(), now) {
            // What this node remembers is out of date when it is its turn again.
            *memory = Memory::default();
            return Ok(None);
        }
        let is_of_round = memory.round == sight.delivery.round;
        if !is_of_round {
            *memory = Memory { round: sight.delivery.round, ..Memory::default() };
        }
        memory.front.get_or_insert(horizon);
        if sight.delivery.is_paused(now) {
            return Ok(None);
        }
        if is_sweep_due || !is_of_round {
            memory.swept_at = Some(now);
        }
        if sight.delivery.dropped_at == Some(now) {
            tracing::warn!(
                subscription = %turn.id, %environment,
                "a webhook was not told of records that have become too old"
            );
        }
        Ok(Some(sight))
    }

    /// Sends records, and remembers what was sent.
    async fn tell(
        &self,
        realm: &Realm,
        (to, records): (&Subscription, &[Record]),
        writing: &mut Writing<'_>,
        memory: &mut Memory,
    ) -> Result<Told, Fault> {
        let headers = self.open_headers(to)?;
        for body in bodies(to, records, &self.settings.base_url) {
            if self.is_draining() || !writing.hold().await? {
                return Ok(Told::Stopped);
            }
            if let Err(message) = self.call_receiver(realm, (to, &headers), &body).await {
                return Ok(Told::Failed(message));
            }
            memory.told.extend(body.ids);
        }
        Ok(Told::All)
    }

    /// One call, signed as Standard Webhooks has it. The same records have the same `webhook-id`.
    async fn call_receiver(
        &self,
        realm: &Realm,
        (to, headers): (&Subscription, &Headers),
        body: &Body,
    ) -> Result<(), String> {
        let ids: Vec<_> = body.ids.iter().flat_map(|id| *id.as_bytes()).collect();
        let digest = digest::digest(&digest::SHA256, &ids);
        let id = format!("msg_{}", encode(digest.as_ref().get(..16).unwrap_or_default()));
        let timestamp = self.now().unix_seconds().to_string();
        let key = hmac::Key::new(hmac::HMAC_SHA256, realm.webhook_key(to.id).expose());
        let signed = format!("{id}.{timestamp}.{}", body.text);
        let signature = hmac::sign(&key, signed.as_bytes());
        let signature = format!("v1,{}", STANDARD.encode(signature));
        let own = [
            ("content-type", body.media_type),
            ("webhook-id", &id),
            ("webhook-timestamp", &timestamp),
            ("webhook-signature", &signature),
        ];
        let given = headers.iter().map(|(name, value)| (name.as_str(), value.expose().as_str()));
        let call = Call {
            address: &to.url,
            // What an administrator has set counts for the media type.
            headers: own.into_iter().chain(given).collect(),
            body: body.text.clone(),
            timeout: self.settings.subscriptions.timeout,
            verifies_certificate: to.verify_tls_certificates,
        };
        match self.outbound.post(call).await {
            Ok(200..=299) => Ok(()),
            Ok(status) => Err(format!("the answer has status {status}")),
            Err(error) => {
                let told = told_of(&error);
                tracing::info!(subscription = %to.id, %error, told, "cannot call the receiver of a webhook");
                Err(told.to_owned())
            }
        }
    }
}

/// What an administrator is told of an error: not what there is in the network of the platform.
fn told_of(error: &OutboundError) -> &'static str {
    if error.is_forbidden() {
        "the address must not be called: it is of a private network"
    } else {
        "there was no answer in time, or no connection that can be trusted"
    }
}

fn last(records: &[Record]) -> Option<Id<Record>> {
    records.last().map(|record| record.id)
}

/// How far a subscription was told, as it is written.
struct Writing<'a> {
    app: &'a App,
    stored: Option<Versioned<Delivery>>,
    delivery: Delivery,
}

impl Writing<'_> {
    /// Takes the lease, or goes on to have it, before a call. `false` if another node was first.
    async fn hold(&mut self) -> Result<bool, Fault> {
        let (holder, now) = (self.app.holder(), self.app.now());
        if self.delivery.is_held(holder, now) {
            return Ok(true);
        }
        let leased = self.delivery.clone().leased(holder, now);
        let write = WriteDelivery { old: self.stored.clone(), new: leased };
        let written = self.app.store.write(write).await?;
        let is_ours = written.is_some();
        if let Some(written) = written {
            self.delivery = (*written).clone();
            self.stored = Some(written);
        }
        Ok(is_ours)
    }

    async fn fail(self, message: String) -> Result<(), Fault> {
        let (now, random) = (self.app.now(), u64::from_be_bytes(random(self.app.entropy.as_ref())));
        let new = self.delivery.failed(now, message, random);
        self.app.store.write(WriteDelivery { old: self.stored, new }).await?;
        Ok(())
    }

    /// Writes down how far it came: at once where a restart would tell something twice, and else at times.
    async fn note(self, memory: &mut Memory, has_told: bool) -> Result<(), Fault> {
        let now = self.app.now();
        let is_old = |at: Option<Timestamp>| {
            at.is_none_or(|at| !(0..NOTE_SECONDS).contains(&now.seconds_since(at)))
        };
        let to = memory.swept.filter(|swept| *swept > self.delivery.position);
        let passes_told = to.is_some_and(|to| memory.told.first().is_some_and(|id| *id <= to));
        let is_moved = to.is_some() && (passes_told || is_old(memory.noted_at));
        let is_news =
            has_told && (self.delivery.failures > 0 || is_old(self.delivery.succeeded_at));
        let dropped_before = self.stored.as_ref().and_then(|stored| stored.dropped_at);
        let is_dropped = self.delivery.dropped_at != dropped_before;
        if !(is_moved || is_news || is_dropped) {
            return Ok(());
        }
        let mut new = to.map_or(self.delivery.clone(), |to| self.delivery.clone().moved(to));
        if has_told {
            new = new.succeeded(now);
        }
        let position = new.position;
        if self.app.store.write(WriteDelivery { old: self.stored, new }).await?.is_some() {
            memory.noted_at = Some(now);
            memory.told = memory.told.split_off(&position);
            memory.told.remove(&position);
        }
        Ok(())
    }
}

struct ListEnabled {
    after: Option<Id<Subscription>>,
}

/// Subscriptions of one page.
const PAGE: u32 = 100;

impl Work for ListEnabled {
    type Output = Vec<(Id<Subscription>, Id<Environment>)>;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Self::Output, StoreError> {
        subscription::list_enabled(tx, self.after, PAGE).await
    }
}

struct Look {
    environment: Id<Environment>,
    id: Id<Subscription>,
    holder: Id<Lease>,
    now: Timestamp,
    horizon: Id<Record>,
    sweeps: bool,
    /// Round and sweep of this node's memory, and where the front goes on.
    seen: (u32, Option<Id<Record>>, Option<Id<Record>>),
    is_front_full: bool,
}

impl Work for Look {
    type Output = Option<Sight>;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<Sight>, StoreError> {
        let found = subscription::load::<Subscription>(tx, self.environment, self.id).await?;
        let Some(subscription) = found.map(Versioned::into_value).filter(|it| it.enabled) else {
            return Ok(None);
        };
        let stored = subscription::load_delivery(tx, self.id).await?;
        let delivery =
            stored.as_ref().map_or_else(|| Delivery::of(&subscription), |it| (**it).clone());
        let delivery = delivery.without_old(self.now).unwrap_or(delivery);
        let (swept, fresh) = self.records(tx, &delivery).await?;
        let mut sight =
            Sight { subscription, stored, delivery, swept, fresh, populations: Populations::new() };
        if !sight.subscription.filter.populations.is_empty() {
            sight.populations = self.populations(tx, &sight).await?;
        }
        Ok(Some(sight))
    }
}

impl Look {
    /// What the sweep and the front read now.
    async fn records(
        &self,
        tx: &mut Tx<'_>,
        delivery: &Delivery,
    ) -> Result<(Vec<Record>, Vec<Record>), StoreError> {
        if delivery.is_anothers(self.holder, self.now) || delivery.is_paused(self.now) {
            return Ok((vec![], vec![]));
        }
        let (round, swept, front) = self.seen;
        let is_of_round = round == delivery.round;
        let sweep = swept.filter(|_| is_of_round).unwrap_or(delivery.position);
        let sweep = sweep.max(delivery.position);
        let front = front.filter(|_| is_of_round).unwrap_or(self.horizon);
        let front = front.max(self.horizon).max(delivery.position);
        let swept = if (self.sweeps || !is_of_round) && sweep < self.horizon {
            self.list(tx, (sweep, self.horizon)).await?
        } else {
            vec![]
        };
        // What is older comes first.
        let is_behind = swept.len() >= CHUNK as usize;
        let fresh = if is_behind || self.is_front_full {
            vec![]
        } else {
            self.list(tx, (front, ENDS.1)).await?
        };
        Ok((swept, fresh))
    }

    async fn list(
        &self,
        tx: &mut Tx<'_>,
        range: (Id<Record>, Id<Record>),
    ) -> Result<Vec<Record>, StoreError> {
        let found = audit::list(tx, self.environment, range, CHUNK).await?;
        found.iter().map(|stored| audit::read(self.environment, stored)).collect()
    }

    async fn populations(&self, tx: &mut Tx<'_>, sight: &Sight) -> Result<Populations, StoreError> {
        let mut known = Populations::new();
        let mut users = BTreeSet::new();
        for record in sight.swept.iter().chain(&sight.fresh) {
            let actor = record.actors().user.map(|user| user.id);
            users.extend(actor.into_iter().chain(record.event.user.as_ref().map(|user| user.id)));
        }
        for id in users {
            let user: Option<Versioned<User>> = configured::load(tx, self.environment, id).await?;
            known.extend(user.map(|user| (id, user.population)));
        }
        Ok(known)
    }
}

/// A place so much earlier that most of what was not visible yet lies behind it.
fn back(from: Id<Record>) -> Id<Record> {
    Id::before(from.time().minus_seconds(LOOK_BACK_SECONDS))
}

struct WriteDelivery {
    old: Option<Versioned<Delivery>>,
    new: Delivery,
}

/// What was written, unless another node has written since.
impl Work for WriteDelivery {
    type Output = Option<Versioned<Delivery>>;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Self::Output, StoreError> {
        let is_ours = subscription::swap_delivery(tx, self.old.as_ref(), &self.new).await?;
        if is_ours {
            subscription::load_delivery(tx, self.new.subscription).await
        } else {
            Ok(None)
        }
    }
}
