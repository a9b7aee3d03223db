//! Counting wrong attempts: one rule for passwords, for the passcodes of a device and for the MFA of a user.

use countersign_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

/// How many wrong attempts in a row lock, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// Wrong attempts in a row that lock.
    pub failures: u8,
    /// How long the lock lasts, in seconds.
    pub lock_seconds: u32,
}

/// The count of wrong attempts in a row, and the lock that follows from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lockout {
    failures: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    locked_until: Option<Timestamp>,
}

impl Lockout {
    /// When the lock ends, if it has not yet.
    #[must_use]
    pub fn locked_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.locked_until.filter(|until| *until > now)
    }

    /// After one more wrong attempt. While locked nothing is counted, so that an attacker cannot prolong the lock.
    #[must_use]
    pub fn failed(&self, limit: Limit, now: Timestamp) -> Self {
        if self.locked_until(now).is_some() {
            return *self;
        }
        // A lock that has run out starts a new count.
        let before = if self.locked_until.is_some() { 0 } else { self.failures };
        let failures = before.saturating_add(1);
        let locked = failures >= limit.failures;
        let locked_until = locked.then(|| now.plus_seconds(i64::from(limit.lock_seconds)));
        Self { failures, locked_until }
    }

    /// After a right attempt, or an administrator's unlock.
    #[must_use]
    pub const fn cleared() -> Self {
        Self { failures: 0, locked_until: None }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: Limit = Limit { failures: 3, lock_seconds: 60 };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    #[test]
    fn the_last_allowed_failure_locks_and_the_lock_ends_by_itself() {
        let twice = Lockout::default().failed(LIMIT, at(0)).failed(LIMIT, at(1));
        assert_eq!(twice.locked_until(at(1)), None);
        let locked = twice.failed(LIMIT, at(2));
        assert_eq!(locked.locked_until(at(2)), Some(at(62)));
        assert_eq!(locked.locked_until(at(62)), None);
    }

    #[test]
    fn attempts_during_the_lock_do_not_prolong_it() {
        let limit = Limit { failures: 1, ..LIMIT };
        let locked = Lockout::default().failed(limit, at(0));
        assert_eq!(locked.failed(limit, at(30)), locked);
    }

    #[test]
    fn a_lock_that_ran_out_starts_a_new_count() {
        let locked = (0..3).fold(Lockout::default(), |l, s| l.failed(LIMIT, at(s)));
        assert_eq!(locked.failed(LIMIT, at(100)).locked_until(at(100)), None);
    }

    proptest! {
        #[test]
        fn never_more_than_the_limit_of_failures_between_locks(
            gaps in prop::collection::vec(0_i64..40, 1..60), failures in 1_u8..8
        ) {
            let limit = Limit { failures, lock_seconds: 60 };
            let (mut lockout, mut now, mut counted) = (Lockout::default(), 0, 0_u32);
            for gap in gaps {
                now += gap;
                if lockout.locked_until(at(now)).is_none() {
                    lockout = lockout.failed(limit, at(now));
                    counted += 1;
                    if lockout.locked_until(at(now)).is_some() {
                        prop_assert_eq!(counted, u32::from(failures));
                        counted = 0;
                    }
                }
            }
        }
    }
}
