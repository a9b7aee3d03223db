//! The realms that this node knows. A request finds its realm in memory; that it is the realm of the present is asked of the
//! store at times, by one request for all.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicI64, Ordering},
    },
};

use countersign_domain::{
    environment::Environment,
    id::Id,
    sealed::Sealed,
    signing_key::{NODE_SECONDS, SigningKey},
};
use countersign_protocol::{
    platform_token::{self, TokenError},
    time::Timestamp,
};
use countersign_store::{StoreError, Tx, Versioned, Work, environment, signing_key};
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;

use super::{App, Fault, Realm};
use crate::keys::{EnvironmentKeys, Place};

/// How long the keys of a realm are taken for the present ones. Then the next request asks, and others go on with what is known
/// until [`NODE_SECONDS`], after which they wait for the answer.
const FRESH_SECONDS: i64 = NODE_SECONDS / 2;

/// Tokens with invented key ids cannot make a node ask more often than this.
const MIN_INTERVAL_SECONDS: i64 = 5;

/// Where a private key of an environment rests.
pub(super) const PRIVATE: &str = "signing_keys.private";
/// Where the key of keyed hashes rests.
pub(crate) const MAC: &str = "environment_keys.mac";

/// The realms that requests have asked for.
#[derive(Default)]
pub(super) struct Realms(RwLock<BTreeMap<Id<Environment>, Arc<Known>>>);

struct Known {
    realm: RwLock<Arc<Realm>>,
    /// When the store last confirmed it.
    checked_at: AtomicI64,
    /// Held by the one who asks the store.
    asking: Mutex<()>,
}

impl Realms {
    fn get(&self, id: Id<Environment>) -> Option<Arc<Known>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    fn remove(&self, id: Id<Environment>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    fn insert(&self, realm: Realm, now: Timestamp) -> Arc<Realm> {
        let id = realm.environment;
        let known = Known {
            realm: RwLock::new(Arc::new(realm)),
            checked_at: AtomicI64::new(now.micros()),
            asking: Mutex::default(),
        };
        let mut realms = self.0.write().unwrap_or_else(PoisonError::into_inner);
        realms.entry(id).or_insert_with(|| Arc::new(known)).realm()
    }
}

impl Known {
    fn realm(&self) -> Arc<Realm> {
        Arc::clone(&self.realm.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn replace(&self, realm: Realm) {
        *self.realm.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(realm);
    }

    /// A clock that was set back makes the age negative, and the realm old.
    fn is_younger(&self, seconds: i64, now: Timestamp) -> bool {
        let checked_at = Timestamp::from_micros(self.checked_at.load(Ordering::Acquire));
        (0..seconds).contains(&now.seconds_since(checked_at))
    }

    fn checked(&self, at: Timestamp) {
        self.checked_at.store(at.micros(), Ordering::Release);
    }
}

impl App {
    /// The realm of an environment, or nothing if there is no such environment.
    ///
    /// What another node does to its keys is known here after [`NODE_SECONDS`] at most, as long as the store answers.
    pub async fn realm(&self, id: Id<Environment>) -> Result<Option<Arc<Realm>>, Fault> {
        let now = self.now();
        let Some(known) = self.realms.get(id) else {
            let realm = self.load_realm(id).await?;
            return Ok(realm.map(|realm| self.realms.insert(realm, now)));
        };
        if !known.is_younger(FRESH_SECONDS, now) {
            if let Ok(_asking) = known.asking.try_lock() {
                self.ask(id, &known).await;
            } else if !known.is_younger(NODE_SECONDS, now) {
                self.ask_unless_younger(id, &known, FRESH_SECONDS).await;
            }
        }
        // Nothing, if it was found to be deleted.
        Ok(self.realms.get(id).map(|known| known.realm()))
    }

    /// The claims of a token of the platform's own, or nothing if it is none. A key that this node has not met makes it ask for
    /// those of the present.
    pub(super) async fn verify_own<T: DeserializeOwned>(
        &self,
        realm: &Realm,
        jws: &str,
        typ: &'static str,
    ) -> Option<T> {
        match platform_token::verify(jws, realm.keys.public(), typ) {
            Ok(claims) => Some(claims),
            Err(TokenError::UnknownKey(_)) => {
                let known = self.realms.get(realm.environment)?;
                self.ask_unless_younger(realm.environment, &known, MIN_INTERVAL_SECONDS).await;
                platform_token::verify(jws, known.realm().keys.public(), typ).ok()
            }
            Err(_) => None,
        }
    }

    /// Lets this node know the keys as they are, after it has changed them.
    pub(super) async fn renew_realm(&self, id: Id<Environment>) {
        if let Some(known) = self.realms.get(id) {
            let _asking = known.asking.lock().await;
            self.ask(id, &known).await;
        }
    }

    /// Waits for whoever asks already, who most likely asks for all.
    async fn ask_unless_younger(&self, id: Id<Environment>, known: &Known, seconds: i64) {
        let _asking = known.asking.lock().await;
        if !known.is_younger(seconds, self.now()) {
            self.ask(id, known).await;
        }
    }

    /// Asks whether the keys are still those, and loads the new ones if not. Without an answer what is known goes on to serve,
    /// and the store is left alone for a while.
    async fn ask(&self, id: Id<Environment>, known: &Known) {
        let now = self.now();
        let renewed = async {
            let version = self.store.read(Version { id }).await?;
            let unchanged = version.is_none_or(|version| version == known.realm().keys_version);
            if unchanged { Ok(None) } else { self.load_realm(id).await.map(Some) }
        };
        match renewed.await {
            Ok(None) => {}
            Ok(Some(None)) => {
                tracing::info!(environment = %id, "the environment was deleted");
                self.realms.remove(id);
            }
            Ok(Some(Some(realm))) => {
                tracing::info!(environment = %id, version = realm.keys_version, "the signing keys have changed");
                known.replace(realm);
            }
            Err(error) => {
                let error: Fault = error;
                tracing::warn!(environment = %id, %error, "cannot ask for the signing keys");
            }
        }
        known.checked(now);
    }

    async fn load_realm(&self, id: Id<Environment>) -> Result<Option<Realm>, Fault> {
        let Some((mac, keys)) = self.store.read(Load { id }).await? else { return Ok(None) };
        let mac = self.vault.open(Place { column: MAC, row: id.as_bytes() }, &mac)?;
        let open = |key: &SigningKey, sealed: &Sealed| {
            self.vault.open(Place { column: PRIVATE, row: key.id.as_bytes() }, sealed)
        };
        let keys_version = keys.version();
        let keys = EnvironmentKeys::open(&mac, &keys, open)?;
        let base = format!("{}/{id}", self.settings.base_url);
        Ok(Some(Realm {
            environment: id,
            issuer: format!("{base}/as"),
            device_base: format!("{base}/device/v1"),
            device_page: format!("{base}/device"),
            account_page: format!("{base}/account"),
            platform_base: format!("{}/v1", self.settings.base_url),
            keys,
            keys_version,
        }))
    }
}

struct Load {
    id: Id<Environment>,
}

impl Work for Load {
    type Output = Option<(Sealed, Versioned<Vec<SigningKey>>)>;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Self::Output, StoreError> {
        let there = environment::load(tx, self.id).await?.filter(|found| found.is_there());
        if there.is_none() {
            return Ok(None);
        }
        let Some(mac) = environment::load_mac(tx, self.id).await? else { return Ok(None) };
        Ok(signing_key::list(tx, self.id).await?.map(|keys| (mac, keys)))
    }
}

struct Version {
    id: Id<Environment>,
}

impl Work for Version {
    type Output = Option<i64>;
    type Error = StoreError;
    const IS_BRIEF: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<i64>, StoreError> {
        signing_key::version(tx, self.id).await
    }
}
