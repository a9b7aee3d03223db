//! The limit of pushes: how many questions a user may leave without a yes before the app is not asked for a while.
//!
//! Against push bombing: who has a password could otherwise ask until somebody gives in.

use countersign_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::invalid::Check;

/// When pushes to an app are stopped, and for how long (`pushLimit` on the wire).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushLimitRules {
    /// Questions without a yes that stop pushes, 1 to 50.
    pub count: u8,
    /// Within how many seconds they count, 60 to 7,200.
    pub period_seconds: u32,
    /// For how many seconds pushes are stopped, 60 to 7,200.
    pub lock_seconds: u32,
}

impl Default for PushLimitRules {
    fn default() -> Self {
        Self { count: 5, period_seconds: 600, lock_seconds: 1_800 }
    }
}

impl PushLimitRules {
    /// The bounds.
    pub fn validate(&self, check: &mut Check) {
        let (period, lock) = (self.period_seconds.into(), self.lock_seconds.into());
        check.range(self.count.into(), "mobile.applications.push_limit.count", 1, 50);
        check.range(period, "mobile.applications.push_limit.period_seconds", 60, 7_200);
        check.range(lock, "mobile.applications.push_limit.lock_seconds", 60, 7_200);
    }
}

/// The count of one user and one application.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushLimit {
    /// When questions ended without a yes, the oldest first; as many as still can count.
    failed_at: Vec<Timestamp>,
    /// Until when pushes are stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    locked_until: Option<Timestamp>,
}

impl PushLimit {
    /// Until when pushes are stopped, if they are.
    #[must_use]
    pub fn locked_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.locked_until.filter(|until| *until > now)
    }

    /// After one more question without a yes.
    #[must_use]
    pub fn failed(&self, rules: &PushLimitRules, now: Timestamp) -> Self {
        let since = now.minus_seconds(rules.period_seconds.into());
        let mut failed_at: Vec<_> =
            self.failed_at.iter().copied().filter(|at| *at > since).collect();
        failed_at.push(now);
        if failed_at.len() >= usize::from(rules.count) {
            // After the lock a new count begins.
            let locked_until = Some(now.plus_seconds(rules.lock_seconds.into()));
            return Self { failed_at: Vec::new(), locked_until };
        }
        Self { failed_at, locked_until: self.locked_until(now) }
    }

    /// From when on it says nothing.
    #[must_use]
    pub fn expires_at(&self, rules: &PushLimitRules, now: Timestamp) -> Timestamp {
        let counted = now.plus_seconds(rules.period_seconds.into());
        self.locked_until(now).map_or(counted, |until| until.max(counted))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixture::NOW;

    const RULES: PushLimitRules =
        PushLimitRules { count: 3, period_seconds: 600, lock_seconds: 1_800 };

    fn after(seconds: &[i64]) -> PushLimit {
        let fail = |limit: PushLimit, s: &i64| limit.failed(&RULES, NOW.plus_seconds(*s));
        seconds.iter().fold(PushLimit::default(), fail)
    }

    #[test]
    fn as_many_as_allowed_within_the_period_stop_pushes_for_the_time_of_the_lock() {
        let locked = after(&[0, 1, 2]);
        let at = |s| locked.locked_until(NOW.plus_seconds(s));
        assert_eq!(at(2), Some(NOW.plus_seconds(1_802)));
        assert_eq!(at(1_802), None);
        assert_eq!(after(&[0, 1]).locked_until(NOW.plus_seconds(1)), None);
    }

    #[test]
    fn what_lies_before_the_period_does_not_count() {
        assert_eq!(after(&[0, 1, 601]).locked_until(NOW.plus_seconds(601)), None);
        assert!(after(&[2, 3, 601]).locked_until(NOW.plus_seconds(601)).is_some());
    }

    proptest! {
        #[test]
        fn in_no_period_are_more_left_without_a_yes_than_the_count(
            gaps in prop::collection::vec(0_i64..400, 1..80), count in 1_u8..6
        ) {
            let rules = PushLimitRules { count, ..RULES };
            let (mut limit, mut now, mut sent) = (PushLimit::default(), NOW, Vec::new());
            for gap in gaps {
                now = now.plus_seconds(gap);
                if limit.locked_until(now).is_none() {
                    sent.push(now);
                    limit = limit.failed(&rules, now);
                }
            }
            for start in &sent {
                let end = start.plus_seconds(600);
                let within = sent.iter().filter(|at| *at >= start && **at < end).count();
                prop_assert!(within <= usize::from(count));
            }
        }
    }
}
