//! Wrong codes of each environment in the minute that runs: where too many come, somebody guesses.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use countersign_domain::{environment::Environment, id::Id};
use countersign_protocol::time::Timestamp;

/// Kept by each node for itself, since it need not be exact: it makes guessing hopeless. Bounded by the number of environments.
pub(super) struct Guesses {
    per_minute: u32,
    counted: Mutex<BTreeMap<Id<Environment>, (i64, u32)>>,
}

impl Guesses {
    pub(super) fn new(per_minute: u32) -> Self {
        Self { per_minute, counted: Mutex::default() }
    }

    pub(super) fn are_spent(&self, environment: Id<Environment>, now: Timestamp) -> bool {
        let counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let spent =
            |(minute, wrong): &(i64, u32)| *minute == minute_of(now) && *wrong >= self.per_minute;
        counted.get(&environment).is_some_and(spent)
    }

    pub(super) fn count(&self, environment: Id<Environment>, now: Timestamp) {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let (minute, wrong) = counted.entry(environment).or_default();
        if *minute != minute_of(now) {
            (*minute, *wrong) = (minute_of(now), 0);
        }
        *wrong = wrong.saturating_add(1);
    }
}

const fn minute_of(now: Timestamp) -> i64 {
    now.unix_seconds() / 60
}
