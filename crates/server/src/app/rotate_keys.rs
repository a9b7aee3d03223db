//! Lets signing keys follow each other: when it is time, when an administrator says so, and when one may be known to others.

use std::sync::Arc;

use countersign_domain::{
    audit,
    environment::Environment,
    id::Id,
    invalid::{Invalid, Rule},
    signing_key::{
        Change, Effect, Event, MAX_KEYS, Occasion, Rules, SigningKey, State, apply, needs_key, turn,
    },
};
use countersign_protocol::jose::Algorithm;
use countersign_store::{StoreError, Tx, Versioned, Work, signing_key};

use super::{AdministerError, App, Call, Fault, realms::PRIVATE};
use crate::keys::{Place, Signer};

/// How keys are replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// New keys are published now and sign once everybody knows them; the old ones stay published until what they signed has
    /// expired. Nobody notices.
    InOrder,
    /// New keys sign now, and all others of their algorithm are withdrawn after so many seconds; 0: now. What those signed no
    /// longer verifies then, whoever signed it. For keys that others may know.
    AtOnce {
        /// 0 to the `keys.retired_seconds` of the settings.
        withdraw_after_seconds: i64,
    },
}

/// The algorithms that every environment has a key of.
const ALGORITHMS: [Algorithm; 2] = [Algorithm::Rs256, Algorithm::Es256];

/// Environments that the worker reads at a time.
const PAGE: u32 = 100;

impl App {
    /// Replaces the keys of an environment, of one algorithm or of all. Returns the keys that have changed, as they are now: none
    /// when successors are published already and wait for their time.
    pub async fn rotate_keys(
        &self,
        environment: Id<Environment>,
        algorithm: Option<Algorithm>,
        rotation: Rotation,
    ) -> Result<Vec<SigningKey>, AdministerError> {
        let occasion = match rotation {
            Rotation::InOrder => Occasion::Rotate,
            Rotation::AtOnce { withdraw_after_seconds } => {
                let max = self.settings.keys.retired_seconds;
                if !(0..=max).contains(&withdraw_after_seconds) {
                    let rule = Rule::Range { min: 0, max };
                    return Err(Invalid::new("withdraw_after_seconds", rule).into());
                }
                Occasion::Replace { withdraw_after_seconds }
            }
        };
        let algorithms = algorithm.map_or(ALGORITHMS.to_vec(), |algorithm| vec![algorithm]);
        self.turn_keys(environment, algorithms, occasion).await
    }

    /// Withdraws a key that does not sign. What it has signed no longer verifies.
    pub async fn withdraw_key(
        &self,
        environment: Id<Environment>,
        id: Id<SigningKey>,
    ) -> Result<(), AdministerError> {
        let (call, rules) = (self.call(environment, ""), self.settings.keys);
        self.store.write(Withdraw { call, id, rules }).await?;
        self.renew_realm(environment).await;
        Ok(())
    }

    /// The keys of an environment, oldest first.
    pub async fn list_keys(
        &self,
        environment: Id<Environment>,
    ) -> Result<Vec<SigningKey>, AdministerError> {
        let keys = self.store.read(List { environment }).await?;
        keys.map(Versioned::into_value).ok_or(AdministerError::NotFound)
    }

    /// Does what is due for the keys of all environments, one after another: at most one key is made at a time. Returns how many
    /// keys have changed. An environment that fails is told and tried again at the next call.
    pub async fn tend_keys(&self) -> Result<usize, Fault> {
        let (mut changed, mut after) = (0, None);
        loop {
            let rules = self.settings.keys;
            let due = self.store.read(ListDue { after, now: self.now(), rules }).await?;
            let Some(last) = due.last() else { return Ok(changed) };
            after = Some(*last);
            for environment in due {
                match self.turn_keys(environment, ALGORITHMS.to_vec(), Occasion::Tick).await {
                    Ok(keys) => changed += keys.len(),
                    Err(error) => {
                        tracing::warn!(%environment, %error, "cannot rotate the signing keys");
                    }
                }
            }
        }
    }

    async fn turn_keys(
        &self,
        environment: Id<Environment>,
        algorithms: Vec<Algorithm>,
        occasion: Occasion,
    ) -> Result<Vec<SigningKey>, AdministerError> {
        let keys = self.list_keys(environment).await?;
        check_room(&keys, occasion)?;
        let rules = self.settings.keys;
        let mut turns = Vec::new();
        for algorithm in algorithms {
            let needed = needs_key(&keys, algorithm, occasion, (self.now(), &rules));
            let fresh =
                if needed { Some(self.new_key(environment, algorithm).await?) } else { None };
            turns.push((algorithm, fresh));
        }
        let call = self.call(environment, "");
        let work = Turn { call, turns, occasion, rules };
        if work.changes(&keys).is_empty() {
            return Ok(Vec::new());
        }
        let changed = self.store.write(work).await?;
        self.renew_realm(environment).await;
        Ok(changed)
    }

    /// The keys of a new environment, which sign from the beginning. Nothing of them is stored.
    pub(super) async fn first_keys(
        &self,
        environment: Id<Environment>,
    ) -> Result<Vec<SigningKey>, Fault> {
        let mut keys = Vec::new();
        for algorithm in ALGORITHMS {
            let fresh = Some(self.new_key(environment, algorithm).await?);
            let now = (self.now(), &self.settings.keys);
            let changes = turn(&[], algorithm, fresh, Occasion::Tick, now);
            keys.extend(changes.into_iter().map(|change| change.key));
        }
        Ok(keys)
    }

    /// A new key, which is not used yet. Nothing of it is stored.
    async fn new_key(
        &self,
        environment: Id<Environment>,
        algorithm: Algorithm,
    ) -> Result<SigningKey, Fault> {
        let entropy = Arc::clone(&self.entropy);
        let (private, public) = tokio::task::spawn_blocking(move || {
            let private = Signer::generate(algorithm, entropy.as_ref())?;
            let public = Signer::open(algorithm, &private)?.public().clone();
            Ok::<_, crate::keys::KeyError>((private, public))
        })
        .await
        .map_err(|_| Fault::broken("key generation panicked"))??;
        let (id, now) = (self.new_id::<SigningKey>(), self.now());
        let place = Place { column: PRIVATE, row: id.as_bytes() };
        let private = self.vault.seal(place, private.expose(), self.entropy.as_ref())?;
        let state = State::Next { private, at: now };
        Ok(SigningKey { id, environment, public, created_at: now, state })
    }
}

/// A rotation that leaves old keys in the set is refused while it is full. One that is due by itself comes too rarely to fill it.
fn check_room(keys: &[SigningKey], occasion: Occasion) -> Result<(), Invalid> {
    let leaves_old_keys = match occasion {
        Occasion::Rotate => true,
        Occasion::Replace { withdraw_after_seconds } => withdraw_after_seconds > 0,
        Occasion::Tick => false,
    };
    if leaves_old_keys && keys.len() >= MAX_KEYS {
        let form = "at most 32: wait until one has expired, or withdraw the others at once";
        return Err(Invalid::new("keys", Rule::Form { form }));
    }
    Ok(())
}

struct Turn {
    call: Call,
    /// For each algorithm the new key, if it seemed to be needed.
    turns: Vec<(Algorithm, Option<SigningKey>)>,
    occasion: Occasion,
    rules: Rules,
}

impl Work for Turn {
    type Output = Vec<SigningKey>;
    type Error = AdministerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<SigningKey>, AdministerError> {
        let environment = self.call.environment;
        let old = signing_key::list(tx, environment).await?.ok_or(AdministerError::NotFound)?;
        let changes = self.changes(&old);
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        let new: Vec<_> = changes.iter().map(|change| change.key.clone()).collect();
        signing_key::swap(tx, environment, &old, &new).await?;
        if changes.iter().all(|change| change.effects.is_empty()) {
            tx.needs_no_audit(
                "only a time has moved, because a clock was set or a rule was changed",
            );
        }
        for Change { key, effects } in &changes {
            tell(tx, &self.call, key, effects).await?;
        }
        Ok(new)
    }
}

async fn tell(
    tx: &mut Tx<'_>,
    call: &Call,
    key: &SigningKey,
    effects: &[Effect],
) -> Result<(), StoreError> {
    for effect in effects {
        let Effect::Audit { action, reason } = *effect else { continue };
        let event = audit::Event::of(action, reason).of_key(&key.public.kid);
        call.audit(tx, event).await?;
    }
    Ok(())
}

struct Withdraw {
    call: Call,
    id: Id<SigningKey>,
    rules: Rules,
}

impl Work for Withdraw {
    type Output = ();
    type Error = AdministerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), AdministerError> {
        let environment = self.call.environment;
        let keys = signing_key::list(tx, environment).await?.ok_or(AdministerError::NotFound)?;
        let found = keys.iter().find(|key| key.id == self.id).ok_or(AdministerError::NotFound)?;
        if found.is_current() {
            return Err(AdministerError::InUse { by: "the environment, which signs with it" });
        }
        let step = apply(&found.state, Event::Withdraw, self.call.now, &self.rules);
        let step = step.map_err(|refusal| Fault::broken(refusal.to_string()))?;
        let removed = SigningKey { state: step.state, ..found.clone() };
        signing_key::swap(tx, environment, &keys, std::slice::from_ref(&removed)).await?;
        Ok(tell(tx, &self.call, &removed, &step.effects).await?)
    }
}

impl Turn {
    fn changes(&self, keys: &[SigningKey]) -> Vec<Change> {
        let turn = |(algorithm, fresh): &(Algorithm, Option<SigningKey>)| {
            turn(keys, *algorithm, fresh.clone(), self.occasion, (self.call.now, &self.rules))
        };
        self.turns.iter().flat_map(turn).collect()
    }
}

struct List {
    environment: Id<Environment>,
}

impl Work for List {
    type Output = Option<Versioned<Vec<SigningKey>>>;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Self::Output, StoreError> {
        signing_key::list(tx, self.environment).await
    }
}

struct ListDue {
    after: Option<Id<Environment>>,
    now: countersign_protocol::time::Timestamp,
    rules: Rules,
}

impl Work for ListDue {
    type Output = Vec<Id<Environment>>;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Self::Output, StoreError> {
        signing_key::list_due(tx, self.after, (self.now, &self.rules), PAGE).await
    }
}
