//! How far a subscription has been told of the log, who tells it, and what happens when that fails.

use countersign_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::Subscription;
use crate::{audit::Record, environment::Environment, id::Id, outbox::Rules};

/// How far a subscription has been told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The subscription.
    pub subscription: Id<Subscription>,
    /// The tenant.
    pub environment: Id<Environment>,
    /// Of every record up to here it was told, or it does not want it.
    pub position: Id<Record>,
    /// How often it was asked to begin again from a time. What a node remembers of another round does not count.
    pub round: u32,
    /// The node that tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Lease>,
    /// Failures since it was last told something.
    pub failures: u32,
    /// When it is tried again after a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Timestamp>,
    /// When it was last told something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub succeeded_at: Option<Timestamp>,
    /// The last failure, whatever came after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// When records were last dropped because they were older than [`KEPT_SECONDS`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped_at: Option<Timestamp>,
}

/// A node that tells a subscription, and until when no other one does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// What the process that holds it has drawn when it began.
    pub holder: Id<Lease>,
    /// When others may take it.
    pub until: Timestamp,
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// When.
    pub at: Timestamp,
    /// Why, in words of ours: nothing that the receiver has said.
    pub message: String,
}

/// How long records wait for a receiver that is not there, or for a subscription that is not enabled: two weeks.
pub const KEPT_SECONDS: i64 = 14 * 86_400;

/// How long a node has a subscription for itself. It is longer than a call may take.
pub const LEASE_SECONDS: i64 = 60;

/// Pauses between attempts, of which there are as many as it takes.
const PAUSES: Rules =
    Rules { attempts: u32::MAX, pause_seconds: 5, longest_pause_seconds: 600, lease_seconds: 60 };

impl Delivery {
    /// The beginning: a subscription is told of what happens from when it was made.
    #[must_use]
    pub fn of(subscription: &Subscription) -> Self {
        Self {
            subscription: subscription.id,
            environment: subscription.environment,
            position: Id::before(subscription.created_at),
            round: 0,
            lease: None,
            failures: 0,
            retry_at: None,
            succeeded_at: None,
            failure: None,
            dropped_at: None,
        }
    }

    /// Whether another node tells it.
    #[must_use]
    pub fn is_anothers(&self, holder: Id<Lease>, now: Timestamp) -> bool {
        self.lease.is_some_and(|lease| lease.holder != holder && now < lease.until)
    }

    /// Whether it waits after a failure.
    #[must_use]
    pub fn is_paused(&self, now: Timestamp) -> bool {
        self.retry_at.is_some_and(|at| now < at)
    }

    /// Whether a node has it for so long that a call can end in time.
    #[must_use]
    pub fn is_held(&self, holder: Id<Lease>, now: Timestamp) -> bool {
        let enough = now.plus_seconds(LEASE_SECONDS / 2);
        self.lease.is_some_and(|lease| lease.holder == holder && enough <= lease.until)
    }

    /// A node takes it, or goes on to have it.
    #[must_use]
    pub fn leased(self, holder: Id<Lease>, now: Timestamp) -> Self {
        let until = now.plus_seconds(LEASE_SECONDS);
        Self { lease: Some(Lease { holder, until }), ..self }
    }

    /// It was told something.
    #[must_use]
    pub fn succeeded(self, now: Timestamp) -> Self {
        Self { failures: 0, retry_at: None, succeeded_at: Some(now), ..self }
    }

    /// It could not be told. `random` spreads those that failed together over the second half of the pause.
    #[must_use]
    pub fn failed(self, now: Timestamp, message: String, random: u64) -> Self {
        let failures = self.failures.saturating_add(1);
        let at = PAUSES.next_attempt(failures, now, random);
        let failure = Some(Failure { at: now, message });
        Self { failures, retry_at: Some(at), failure, ..self }
    }

    /// Everything up to a record is done.
    #[must_use]
    pub fn moved(self, to: Id<Record>) -> Self {
        Self { position: self.position.max(to), ..self }
    }

    /// What has waited too long is dropped. Nothing, if nothing has.
    #[must_use]
    pub fn without_old(&self, now: Timestamp) -> Option<Self> {
        let oldest = Id::before(now.minus_seconds(KEPT_SECONDS));
        let is_old = self.position < oldest;
        is_old.then(|| Self { position: oldest, dropped_at: Some(now), ..self.clone() })
    }

    /// It is told once more of everything since a time, at once.
    #[must_use]
    pub fn again_from(self, from: Timestamp) -> Self {
        let round = self.round.wrapping_add(1);
        Self { position: Id::before(from), round, failures: 0, retry_at: None, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{NOW, delivery, id};

    #[test]
    fn a_lease_keeps_others_away_until_it_ends_and_is_renewed_at_half_time() {
        let leased = delivery().leased(id(1), NOW);
        assert!(!leased.is_anothers(id(1), NOW) && leased.is_anothers(id(2), NOW));
        assert!(leased.is_held(id(1), NOW.plus_seconds(30)));
        assert!(!leased.is_held(id(1), NOW.plus_seconds(31)));
        assert!(!leased.is_held(id(2), NOW));
        assert!(leased.is_anothers(id(2), NOW.plus_seconds(59)));
        assert!(!leased.is_anothers(id(2), NOW.plus_seconds(60)));
        assert!(!delivery().is_anothers(id(2), NOW));
    }

    #[test]
    fn pauses_double_up_to_ten_minutes_and_end_with_a_success() {
        let mut failing = delivery();
        let mut pauses = Vec::new();
        for _ in 0..12 {
            failing = failing.failed(NOW, "it is down".to_owned(), 0);
            let at = failing.retry_at.unwrap();
            assert!(failing.is_paused(NOW) && !failing.is_paused(at));
            pauses.push(at.seconds_since(NOW));
        }
        assert!(pauses.is_sorted() && pauses.starts_with(&[2, 5, 10]), "{pauses:?}");
        assert_eq!(pauses.last(), Some(&300));
        let longest = delivery().failed(NOW, String::new(), 2_500_000);
        assert_eq!(longest.retry_at, Some(NOW.plus_seconds(5)));
        let told = failing.succeeded(NOW);
        assert_eq!((told.failures, told.retry_at, told.succeeded_at), (0, None, Some(NOW)));
        assert_eq!(told.failure.unwrap().message, "it is down");
    }

    #[test]
    fn what_is_older_than_two_weeks_is_dropped() {
        let fresh = delivery().moved(Id::before(NOW));
        let late = NOW.plus_seconds(KEPT_SECONDS);
        assert_eq!(fresh.without_old(late), None);
        let dropped = fresh.without_old(late.plus_seconds(1)).unwrap();
        assert_eq!(dropped.position, Id::before(NOW.plus_seconds(1)));
        assert!(dropped.dropped_at.is_some());
    }

    #[test]
    fn it_moves_forward_only_but_for_a_replay() {
        let here = delivery().moved(Id::before(NOW));
        assert_eq!(here.clone().moved(Id::before(NOW.minus_seconds(1))), here);
        let again = here.clone().failed(NOW, String::new(), 0).again_from(NOW.minus_seconds(60));
        assert_eq!(again.position, Id::before(NOW.minus_seconds(60)));
        assert_eq!((again.round, again.retry_at), (here.round + 1, None));
    }
}
