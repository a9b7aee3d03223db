//! Key sets that clients publish at an address of their own: fetched when needed, kept for a while, and never fetched more
//! often than the client can bear.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use countersign_domain::client_key::{ClientKeySet, KeySetError, MAX_SET_BYTES};
use countersign_protocol::time::Timestamp;
use tokio::sync::Mutex as AsyncMutex;

use crate::outbound::{Outbound, OutboundError};

/// The most sets that are kept.
const MAX_ENTRIES: usize = 1_000;

/// How long a set stays fresh at least, at most, and where the client does not say, in seconds.
const MIN_AGE_SECONDS: i64 = 60;
const MAX_AGE_SECONDS: i64 = 3_600;
const DEFAULT_AGE_SECONDS: i64 = 300;

/// Seconds between two calls to the same address, whether they succeed or not.
const PAUSE_SECONDS: i64 = 10;

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    #[error(transparent)]
    Set(#[from] KeySetError),
}

/// The keys of a client cannot be had now. Why is in the log, since it could tell a stranger about our network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the keys of the client cannot be fetched from its address")]
pub struct KeysUnavailable;

/// The sets of all clients.
pub(crate) struct ClientKeys {
    outbound: Arc<Outbound>,
    entries: Mutex<BTreeMap<String, Arc<AsyncMutex<Entry>>>>,
}

/// What is known of one address. Whoever fetches holds its lock, so that others wait for the same answer.
#[derive(Default)]
struct Entry {
    tried_at: Option<Timestamp>,
    kept: Option<Kept>,
}

struct Kept {
    set: Arc<ClientKeySet>,
    fresh_until: Timestamp,
    /// Until then a set counts where no newer one can be had.
    usable_until: Timestamp,
}

impl ClientKeys {
    pub fn new(outbound: Arc<Outbound>) -> Self {
        Self { outbound, entries: Mutex::default() }
    }

    /// The set at an address, fetched anew if it is no longer fresh.
    pub async fn current(
        &self,
        address: &str,
        now: Timestamp,
    ) -> Result<Arc<ClientKeySet>, KeysUnavailable> {
        let entry = self.entry(address)?;
        let mut entry = entry.lock().await;
        match &entry.kept {
            Some(kept) if now < kept.fresh_until => Ok(Arc::clone(&kept.set)),
            Some(_) | None => self.fetch(address, &mut entry, now).await,
        }
    }

    /// The set at an address after a key was not found in the one that is kept: fetched anew, unless that was done just now.
    pub async fn newer(
        &self,
        address: &str,
        now: Timestamp,
    ) -> Result<Arc<ClientKeySet>, KeysUnavailable> {
        let entry = self.entry(address)?;
        let mut entry = entry.lock().await;
        self.fetch(address, &mut entry, now).await
    }

    async fn fetch(
        &self,
        address: &str,
        entry: &mut Entry,
        now: Timestamp,
    ) -> Result<Arc<ClientKeySet>, KeysUnavailable> {
        let may_try = entry.tried_at.is_none_or(|at| now >= at.plus_seconds(PAUSE_SECONDS));
        if may_try {
            entry.tried_at = Some(now);
            match self.call(address).await {
                Ok((set, age)) => {
                    let fresh_until = now.plus_seconds(age);
                    let usable_until = now.plus_seconds(MAX_AGE_SECONDS);
                    entry.kept = Some(Kept { set: Arc::new(set), fresh_until, usable_until });
                }
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(address, %error, cause, "the keys of a client cannot be fetched");
                }
            }
        }
        let kept = entry.kept.as_ref().filter(|kept| now < kept.usable_until);
        kept.map(|kept| Arc::clone(&kept.set)).ok_or(KeysUnavailable)
    }

    async fn call(&self, address: &str) -> Result<(ClientKeySet, i64), FetchError> {
        let answer = self.outbound.get(address, MAX_SET_BYTES).await?;
        let set = ClientKeySet::parse(&answer.body)?;
        let age = answer.max_age.unwrap_or(DEFAULT_AGE_SECONDS);
        Ok((set, age.clamp(MIN_AGE_SECONDS, MAX_AGE_SECONDS)))
    }

    /// What is known of an address. Where there are as many as may be, one that nobody uses at the moment makes room: which
    /// one does not matter, since it can be fetched again.
    fn entry(&self, address: &str) -> Result<Arc<AsyncMutex<Entry>>, KeysUnavailable> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.get(address) {
            return Ok(Arc::clone(entry));
        }
        if entries.len() >= MAX_ENTRIES {
            let idle = entries.iter().find(|(_, entry)| Arc::strong_count(entry) == 1);
            let idle = idle.map(|(address, _)| address.clone()).ok_or(KeysUnavailable)?;
            entries.remove(&idle);
        }
        Ok(Arc::clone(entries.entry(address.to_owned()).or_default()))
    }
}
