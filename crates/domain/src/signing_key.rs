//! Signing keys: what an environment signs with, from the day a key is published to the day it is withdrawn.
//!
//! Of each algorithm one key signs. Its successor is published before it signs, so that whoever caches the key set knows it
//! by then; it stays published after it has signed, so that what it signed still verifies.

use countersign_protocol::{jose::Algorithm, jwk::PublicJwk, time::Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    audit,
    environment::Environment,
    grant::MAX_TOKEN_SECONDS,
    id::Id,
    invalid::{Check, Invalid},
    sealed::Sealed,
};

/// How long whoever reads the key set may keep it, in seconds: `max-age` of its answer.
pub const CACHE_SECONDS: i64 = 300;

/// How long a node may take to learn what another has done to the keys, in seconds.
pub const NODE_SECONDS: i64 = 60;

/// How far the clocks of nodes and applications may differ, in seconds.
pub const LEEWAY_SECONDS: i64 = 60;

const DAY_SECONDS: i64 = 86_400;

/// The most keys that the key set of an environment may have before another is asked for. Who reads it reads all of it.
pub const MAX_KEYS: usize = 32;

/// How long keys stay in each state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How long a key is published before it signs, in seconds; at least [`Rules::MIN_PUBLISH_SECONDS`].
    pub publish_seconds: i64,
    /// How long a key stays published after it has signed, in seconds; at least [`Rules::MIN_RETIRED_SECONDS`].
    pub retired_seconds: i64,
    /// Days after which a key is replaced by itself, at most 3,650; 0: never.
    pub rotate_after_days: u32,
}

impl Rules {
    /// What every cache and every node needs to learn of a key.
    pub const MIN_PUBLISH_SECONDS: i64 = CACHE_SECONDS + NODE_SECONDS;
    /// What the last token that a node signs with it needs to expire everywhere.
    pub const MIN_RETIRED_SECONDS: i64 = MAX_TOKEN_SECONDS + NODE_SECONDS + LEEWAY_SECONDS;

    const MAX_SECONDS: i64 = 30 * DAY_SECONDS;

    /// The bounds, which hold what the rest of the system assumes.
    pub fn validate(&self) -> Result<(), Invalid> {
        let (publish, retired) = (self.publish_seconds, self.retired_seconds);
        let mut check = Check::default();
        check.range(publish, "keys.publish_seconds", Self::MIN_PUBLISH_SECONDS, Self::MAX_SECONDS);
        check.range(retired, "keys.retired_seconds", Self::MIN_RETIRED_SECONDS, Self::MAX_SECONDS);
        check.range(self.rotate_after_days.into(), "keys.rotate_after_days", 0, 3_650);
        check.finish()
    }

    /// The latest beginning of a signing key that is to be replaced by now, if keys are replaced at all.
    #[must_use]
    pub fn outdated_before(&self, now: Timestamp) -> Option<Timestamp> {
        let days = i64::from(self.rotate_after_days);
        (days > 0).then(|| now.minus_seconds(days * DAY_SECONDS))
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            publish_seconds: 600,
            retired_seconds: MAX_TOKEN_SECONDS + 600,
            rotate_after_days: 90,
        }
    }
}

/// A key of an environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningKey {
    /// Its id; time-ordered. The private half is sealed to it.
    pub id: Id<SigningKey>,
    /// The tenant.
    pub environment: Id<Environment>,
    /// The public half. Its `kid` is its thumbprint (RFC 7638).
    pub public: PublicJwk,
    /// When it was made.
    pub created_at: Timestamp,
    /// How far it has come.
    pub state: State,
}

impl SigningKey {
    /// What it signs with.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.public.key.algorithm()
    }

    /// The sealed private half, as long as there is one.
    #[must_use]
    pub const fn private(&self) -> Option<&Sealed> {
        match &self.state {
            State::Next { private, .. } | State::Current { private, .. } => Some(private),
            State::Retired { .. } | State::Removed => None,
        }
    }

    /// Whether it is the one that signs.
    #[must_use]
    pub const fn is_current(&self) -> bool {
        matches!(self.state, State::Current { .. })
    }

    const fn is_next(&self) -> bool {
        matches!(self.state, State::Next { .. })
    }
}

/// How far a key has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Published since `at`, and not used yet.
    Next { private: Sealed, at: Timestamp },
    /// Signs since `at`.
    Current { private: Sealed, at: Timestamp },
    /// No longer signs, and published until then. Its private half is forgotten.
    Retired { until: Timestamp },
    /// No longer published.
    Removed,
}

impl State {
    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Next { .. } => "next",
            Self::Current { .. } => "current",
            Self::Retired { .. } => "retired",
            Self::Removed => "removed",
        }
    }
}

/// What can happen to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It begins to sign, published long enough or not.
    Activate,
    /// Another signs in its place; it stays published for so long, in seconds, and not longer.
    Retire { seconds: i64 },
    /// It is no longer trusted.
    Withdraw,
    /// Time passes.
    Tick,
}

/// The next state and what must be committed with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The next state.
    pub state: State,
    /// What must be committed with it.
    pub effects: Vec<Effect>,
}

/// What must be committed with a change of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The key is forgotten.
    Delete,
    /// A line in the audit log.
    Audit { action: audit::Action, reason: Option<&'static str> },
}

/// Why an event does not apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is nothing to retire.
    #[error("the key has not signed anything yet")]
    Unused,
    /// A key signs once in its life.
    #[error("the private half of the key is forgotten")]
    Forgotten,
}

/// The whole life of a key.
///
/// A clock that was set back makes a time of the key lie ahead. Its wait then begins again, so that a wrong clock delays no
/// rotation for longer than a right one.
pub fn apply(state: &State, event: Event, now: Timestamp, rules: &Rules) -> Result<Step, Refusal> {
    match state {
        State::Next { private, at } => match event {
            Event::Tick if *at > now => {
                Ok(Step::to(State::Next { private: private.clone(), at: now }))
            }
            Event::Tick if now < at.plus_seconds(rules.publish_seconds) => Ok(Step::stay(state)),
            Event::Tick | Event::Activate => {
                let next = State::Current { private: private.clone(), at: now };
                let effects = vec![Effect::audit(audit::Action::KeyRotated, None)];
                Ok(Step { state: next, effects })
            }
            Event::Retire { .. } => Err(Refusal::Unused),
            Event::Withdraw => Ok(Step::remove("withdrawn")),
        },
        State::Current { private, at } => match event {
            Event::Tick if *at > now => {
                Ok(Step::to(State::Current { private: private.clone(), at: now }))
            }
            Event::Tick | Event::Activate => Ok(Step::stay(state)),
            Event::Retire { seconds } => {
                Ok(Step::to(State::Retired { until: now.plus_seconds(seconds) }))
            }
            Event::Withdraw => Ok(Step::remove("withdrawn")),
        },
        State::Retired { until } => match event {
            Event::Tick if now >= *until => Ok(Step::remove("expired")),
            Event::Tick => Ok(Step::to(shortened(*until, rules.retired_seconds, now))),
            Event::Retire { seconds } => Ok(Step::to(shortened(*until, seconds, now))),
            Event::Activate => Err(Refusal::Forgotten),
            Event::Withdraw => Ok(Step::remove("withdrawn")),
        },
        State::Removed => match event {
            Event::Tick | Event::Withdraw => Ok(Step::stay(state)),
            Event::Activate | Event::Retire { .. } => Err(Refusal::Forgotten),
        },
    }
}

fn shortened(until: Timestamp, seconds: i64, now: Timestamp) -> State {
    State::Retired { until: until.min(now.plus_seconds(seconds)) }
}

impl Step {
    const fn to(state: State) -> Self {
        Self { state, effects: Vec::new() }
    }

    fn stay(state: &State) -> Self {
        Self::to(state.clone())
    }

    fn remove(reason: &'static str) -> Self {
        let audit = Effect::audit(audit::Action::KeyDeleted, Some(reason));
        Self { state: State::Removed, effects: vec![Effect::Delete, audit] }
    }
}

impl Effect {
    const fn audit(action: audit::Action, reason: Option<&'static str>) -> Self {
        Self::Audit { action, reason }
    }
}

/// Why the keys of an environment are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// Time passes: what is due happens.
    Tick,
    /// The keys are to be replaced in order: new ones are published, and sign once everybody knows them.
    Rotate,
    /// The keys may be known to others: new ones sign at once, and the others are withdrawn after so many seconds, 0 for now.
    Replace { withdraw_after_seconds: i64 },
}

/// Whether an algorithm needs a new key. Asked before one is made, which takes time, and again before it is kept.
#[must_use]
pub fn needs_key(
    keys: &[SigningKey],
    algorithm: Algorithm,
    occasion: Occasion,
    (now, rules): (Timestamp, &Rules),
) -> bool {
    let mut own = keys.iter().filter(|key| key.algorithm() == algorithm);
    let waits = own.clone().any(SigningKey::is_next);
    match occasion {
        Occasion::Replace { .. } => true,
        Occasion::Rotate => !waits,
        Occasion::Tick => match own.find_map(signs_since) {
            None => !waits,
            Some(at) => !waits && rules.outdated_before(now).is_some_and(|before| at <= before),
        },
    }
}

fn signs_since(key: &SigningKey) -> Option<Timestamp> {
    match key.state {
        State::Current { at, .. } => Some(at),
        State::Next { .. } | State::Retired { .. } | State::Removed => None,
    }
}

/// What has become of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key as it is now.
    pub key: SigningKey,
    /// What must be committed with it.
    pub effects: Vec<Effect>,
}

/// What an occasion makes of the keys of one algorithm: those that change, each once. `fresh` is kept if it is needed.
///
/// Whatever happens, one key of the algorithm signs afterwards if one did before, or if there is a fresh one.
#[must_use]
pub fn turn(
    keys: &[SigningKey],
    algorithm: Algorithm,
    fresh: Option<SigningKey>,
    occasion: Occasion,
    (now, rules): (Timestamp, &Rules),
) -> Vec<Change> {
    let needed = needs_key(keys, algorithm, occasion, (now, rules));
    let fresh = fresh.filter(|fresh| needed && fresh.algorithm() == algorithm);
    // Without a new key there is nothing to withdraw the others for.
    let replaces = matches!(occasion, Occasion::Replace { .. }) && fresh.is_some();
    let occasion = if replaces { occasion } else { Occasion::Tick };
    let own: Vec<_> = keys.iter().filter(|key| key.algorithm() == algorithm).collect();
    let change = |key: &&SigningKey| {
        let mut change = Change { key: (*key).clone(), effects: Vec::new() };
        change.apply(event(key, occasion), (now, rules));
        change
    };
    let mut changes: Vec<_> = own.iter().map(change).collect();
    if let Some(key) = fresh {
        let created = Effect::audit(audit::Action::KeyCreated, None);
        let mut change = Change { key, effects: vec![created] };
        if replaces || !own.iter().any(|key| key.is_current()) {
            change.apply(Event::Activate, (now, rules));
        }
        changes.push(change);
    }
    let signed = |key: &SigningKey| own.iter().any(|old| old.id == key.id && old.is_current());
    if changes.iter().any(|change| change.key.is_current() && !signed(&change.key)) {
        for change in changes.iter_mut().filter(|change| signed(&change.key)) {
            change.apply(Event::Retire { seconds: rules.retired_seconds }, (now, rules));
        }
    }
    changes.retain(|change| !own.contains(&&change.key));
    changes
}

/// What an occasion does to a key that is there.
const fn event(key: &SigningKey, occasion: Occasion) -> Event {
    let signed = matches!(key.state, State::Current { .. } | State::Retired { .. });
    match occasion {
        Occasion::Tick | Occasion::Rotate => Event::Tick,
        Occasion::Replace { withdraw_after_seconds: seconds } if signed && seconds > 0 => {
            Event::Retire { seconds }
        }
        Occasion::Replace { .. } => Event::Withdraw,
    }
}

impl Change {
    /// Applies an event that the key does not refuse; if it does, the key stays as it is.
    fn apply(&mut self, event: Event, (now, rules): (Timestamp, &Rules)) {
        if let Ok(step) = apply(&self.key.state, event, now, rules) {
            self.key.state = step.state;
            self.effects.extend(step.effects);
        }
    }
}

#[cfg(test)]
mod tests;
