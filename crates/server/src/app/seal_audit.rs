//! Seals the audit log: links the records that nothing can come before any more into the hash chain of their environment.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use countersign_domain::{
    audit_seal::{Base, Head, Seal},
    environment::Environment,
    id::Id,
};
use countersign_protocol::time::Timestamp;
use countersign_store::{
    StoreError, Tx, Work,
    audit::{self, Stored},
    audit_seal, environment,
};

use super::{App, Fault, Realm};
use crate::keys::Purpose;

/// How much older than a request may take in all a record must be before it is sealed. It covers a statement that a database
/// finishes after its caller has gone (10 s), and clocks of nodes that differ (20 s).
const MARGIN: Duration = Duration::from_secs(30);

/// How far the clocks of two nodes may be apart.
const SKEW_SECONDS: i64 = 20;

/// The most seals of one environment in one run, so that it ends.
const MAX_SEALS: u32 = 1_000;

impl App {
    /// The time before which no record can be written any more.
    ///
    /// A record has the time at which its request began, and is committed before the request has run out of time or shortly after.
    pub(super) fn audit_horizon(&self) -> Timestamp {
        let span = self.settings.request_timeout.saturating_add(MARGIN);
        let seconds = i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
        self.now().minus_seconds(seconds)
    }

    /// Seals what can be sealed of an environment, in bounded portions, and returns how many records that were.
    ///
    /// A chain that ends before the last head that this process has seen was cut or rewritten outside the program. It is not
    /// continued, so that what is wrong stays visible.
    pub async fn seal_audit(&self, environment: Id<Environment>) -> Result<u64, Fault> {
        let _turn = self.audit_heads.turn.lock().await;
        let (horizon, limit) = (self.audit_horizon(), self.settings.audit_seal_batch);
        let mut sealed = 0;
        for _ in 0..MAX_SEALS {
            let Due { last, head, records } =
                self.store.read(FindDue { environment, horizon, limit }).await?;
            self.check_clock(last.as_ref());
            if !self.audit_heads.continues(environment, head) {
                tracing::error!(%environment, number = head.number, "the audit log was cut or rewritten: verify it");
                break;
            }
            if records.is_empty() {
                break;
            }
            let Some(realm) = self.realm(environment).await? else { break };
            let mut seal = Seal::over(environment, head, &records, self.now());
            seal.mac = realm.keys.mac(Purpose::AuditSeal, &seal.bytes());
            let head = seal.head;
            if !self.store.write(Append { seal }).await? {
                // Another node was first, and goes on.
                break;
            }
            self.audit_heads.continues(environment, head);
            sealed += u64::try_from(records.len()).unwrap_or(u64::MAX);
            if records.len() < limit as usize {
                break;
            }
        }
        Ok(sealed)
    }

    /// A seal from the future means that this node's clock is behind: its records could come after the seal that should cover them.
    fn check_clock(&self, last: Option<&Seal>) {
        let ahead = last.map_or(0, |seal| seal.sealed_at.seconds_since(self.now()));
        if ahead > SKEW_SECONDS {
            tracing::error!(
                seconds = ahead,
                "the clock is behind that of the node that sealed the audit log last"
            );
        }
    }

    /// A page of all environments, oldest first.
    pub async fn list_environments(
        &self,
        after: Option<Id<Environment>>,
    ) -> Result<Vec<Id<Environment>>, Fault> {
        Ok(self.store.read(ListEnvironments { after }).await?)
    }
}

impl Realm {
    /// Whether the platform made a seal.
    pub(super) fn owns_seal(&self, seal: &Seal) -> bool {
        self.keys.verify_mac(Purpose::AuditSeal, &seal.bytes(), &seal.mac)
    }

    /// Whether the platform has removed the records before this.
    pub(super) fn owns_base(&self, base: &Base) -> bool {
        self.keys.verify_mac(Purpose::AuditBase, &base.bytes(), &base.mac)
    }
}

/// The furthest head of each chain that this process has seen in the store.
#[derive(Default)]
pub(super) struct Heads {
    seen: Mutex<BTreeMap<Id<Environment>, Head>>,
    /// One run at a time, so that none takes for a cut what another has added since it read.
    turn: tokio::sync::Mutex<()>,
}

impl Heads {
    /// Whether a chain goes on from where it was, as far as can be told by its end alone; remembers where it is now.
    fn continues(&self, environment: Id<Environment>, head: Head) -> bool {
        let mut heads = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let goes_on =
            heads.get(&environment).is_none_or(|seen| *seen == head || seen.number < head.number);
        if goes_on {
            heads.insert(environment, head);
        }
        goes_on
    }

    /// The furthest head that was seen.
    pub(super) fn seen(&self, environment: Id<Environment>) -> Option<Head> {
        let heads = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        heads.get(&environment).copied()
    }
}

/// The end of a chain, and what is to be added to it.
struct Due {
    last: Option<Seal>,
    head: Head,
    records: Vec<Stored>,
}

struct FindDue {
    environment: Id<Environment>,
    horizon: Timestamp,
    limit: u32,
}

impl Work for FindDue {
    type Output = Due;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Due, StoreError> {
        let Self { environment, horizon, limit } = *self;
        let last = audit_seal::load_last(tx, environment).await?;
        let head = match &last {
            Some(seal) => seal.head,
            None => beginning(tx, environment).await?.0,
        };
        let range = (head.through, Id::before(horizon));
        let records = audit::list(tx, environment, range, limit).await?;
        Ok(Due { last, head, records })
    }
}

/// The head that the kept part of a chain follows, and what vouches for it if older records were removed.
pub(super) async fn beginning(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
) -> Result<(Head, Option<Base>), StoreError> {
    let base = audit_seal::load_base(tx, environment).await?;
    Ok((base.map_or_else(|| Head::first(environment), |base| base.head), base))
}

struct Append {
    seal: Seal,
}

impl Work for Append {
    type Output = bool;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        audit_seal::append(tx, &self.seal).await
    }
}

struct ListEnvironments {
    after: Option<Id<Environment>>,
}

/// Environments of one page.
const PAGE: u32 = 100;

impl Work for ListEnvironments {
    type Output = Vec<Id<Environment>>;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Self::Output, StoreError> {
        environment::list(tx, self.after, PAGE).await
    }
}
