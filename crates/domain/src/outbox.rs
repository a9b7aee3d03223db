//! The outbox: what must be sent after a commit. A message is written in the transaction of its cause, and sent at least once.
//!
//! A worker leases a message by moving its due time ahead. A worker that is killed lets its leases run out, and another sends
//! the message again: receivers must bear it. A message is given up when it has been tried often enough, when it is too old to
//! be of use, or when its receiver says that it will never take it.

use countersign_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    application::Application,
    authenticator::Sending,
    challenge::Challenge,
    device::Device,
    environment::Environment,
    id::Id,
    invalid::{Check, Invalid},
    session::Session,
    user::User,
};

/// What must be sent, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its id; time-ordered.
    pub id: Id<Message>,
    /// The tenant.
    pub environment: Id<Environment>,
    /// The correlation id of the request that caused it.
    pub correlation: String,
    /// When it was written.
    pub created_at: Timestamp,
    /// What it says, and to whom.
    pub content: Content,
}

/// What a message says, and to whom. Nothing that is secret or that changes: it is made into what is sent when it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Content {
    /// A session has ended (OIDC Back-Channel Logout, section 2.4).
    LogoutToken {
        /// The application that is told.
        application: Id<Application>,
        /// Who was signed in: `sub`.
        user: Id<User>,
        /// The session: `sid`.
        session: Id<Session>,
    },
    /// A device is asked something.
    Challenge {
        /// The question.
        challenge: Id<Challenge>,
        /// From when on an answer is too late, and so is the message.
        until: Timestamp,
    },
    /// A device that was asked something need not answer any more.
    Cancellation {
        /// The question.
        challenge: Id<Challenge>,
    },
    /// A passcode is sent to a mail address or a phone number.
    Passcode {
        /// The device that has the address.
        device: Id<Device>,
        /// Which passcode.
        sending: Id<Sending>,
        /// From when on it counts no more, and so the message is too late.
        until: Timestamp,
    },
    /// A device whose push address is nobody's is to be unpaired, if the phone is not heard of until then.
    Unpairing {
        /// The device.
        device: Id<Device>,
        /// Since when the address is suspect, which tells whether it still is the same suspicion.
        since: Timestamp,
        /// When the grace period is over.
        at: Timestamp,
    },
    /// An application is no more, and its phones are to be unpaired.
    Unpairings {
        /// The application.
        application: Id<Application>,
    },
}

impl Content {
    /// Its name, in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LogoutToken { .. } => "logout_token",
            Self::Challenge { .. } => "challenge",
            Self::Cancellation { .. } => "cancellation",
            Self::Passcode { .. } => "passcode",
            Self::Unpairing { .. } => "unpairing",
            Self::Unpairings { .. } => "unpairings",
        }
    }
}

/// An application whose own sessions outlive an hour without news should ask for tokens in between.
const LOGOUT_TOKEN_SECONDS: i64 = 3_600;

/// A question that was withdrawn is over by itself soon.
const CANCELLATION_SECONDS: i64 = 60;

/// After a day without a worker the phone may be asked once more, and the push service says it again.
const UNPAIRING_SECONDS: i64 = 86_400;

/// The phones of an application that is no more can do nothing. They go when there is a worker again.
const UNPAIRINGS_SECONDS: i64 = 90 * 86_400;

/// How often and how long it is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The most attempts, 1 to 100.
    pub attempts: u32,
    /// Seconds between the first attempt and the second, 1 to 3,600. Each further pause is twice as long.
    pub pause_seconds: u32,
    /// The longest pause in seconds, from `pause_seconds` to 86,400.
    pub longest_pause_seconds: u32,
    /// Seconds after which a worker that has not told what became of an attempt is taken for dead, 10 to 3,600.
    pub lease_seconds: u32,
}

impl Default for Rules {
    /// Ten attempts in three quarters of an hour.
    fn default() -> Self {
        Self { attempts: 10, pause_seconds: 5, longest_pause_seconds: 600, lease_seconds: 30 }
    }
}

impl Rules {
    /// The bounds.
    pub fn validate(&self) -> Result<(), Invalid> {
        let pause = i64::from(self.pause_seconds);
        let longest = i64::from(self.longest_pause_seconds);
        let mut check = Check::default();
        check.range(self.attempts.into(), "outbox.attempts", 1, 100);
        check.range(pause, "outbox.pause_seconds", 1, 3_600);
        check.range(longest, "outbox.longest_pause_seconds", pause, 86_400);
        check.range(self.lease_seconds.into(), "outbox.lease_seconds", 10, 3_600);
        check.finish()
    }

    /// Until when a message that is leased now belongs to its worker.
    #[must_use]
    pub fn leased_until(&self, now: Timestamp) -> Timestamp {
        now.plus_seconds(self.lease_seconds.into())
    }

    /// When the attempt after this one is due: between half of the pause and all of it, so that messages which failed
    /// together do not come back together.
    pub(crate) fn next_attempt(&self, attempt: u32, now: Timestamp, random: u64) -> Timestamp {
        let doublings = attempt.saturating_sub(1).min(31);
        let pause = (u64::from(self.pause_seconds) << doublings)
            .min(self.longest_pause_seconds.into())
            .saturating_mul(1_000_000);
        let jittered = pause / 2 + random % (pause / 2 + 1);
        Timestamp::from_micros(now.micros().saturating_add_unsigned(jittered))
    }
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver has it.
    Delivered,
    /// Nobody wants it any more.
    Unwanted,
    /// The receiver will never take it.
    Refused,
    /// The address must not be called.
    Forbidden,
    /// The receiver could not be reached, or had trouble.
    Failed,
    /// The receiver asks for patience.
    Later { seconds: u32 },
}

/// What is done with a message after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is forgotten.
    Forget,
    /// It is tried again.
    Retry { at: Timestamp },
    /// It is given up, which is told.
    GiveUp(GivenUp),
}

/// Why a message was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivenUp {
    /// The receiver will never take it.
    Refused,
    /// The address must not be called.
    Forbidden,
    /// It was tried as often as may be.
    Exhausted,
    /// It is too old.
    Expired,
}

impl GivenUp {
    /// Its name in audit records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused_by_application",
            Self::Forbidden => "address_forbidden",
            Self::Exhausted => "attempts_exhausted",
            Self::Expired => "expired",
        }
    }
}

impl Message {
    /// When it is too old to be of use.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        match self.content {
            Content::LogoutToken { .. } => self.created_at.plus_seconds(LOGOUT_TOKEN_SECONDS),
            Content::Challenge { until, .. } | Content::Passcode { until, .. } => until,
            Content::Cancellation { .. } => self.created_at.plus_seconds(CANCELLATION_SECONDS),
            Content::Unpairing { at, .. } => at.plus_seconds(UNPAIRING_SECONDS),
            Content::Unpairings { .. } => self.created_at.plus_seconds(UNPAIRINGS_SECONDS),
        }
    }

    /// When it is to be sent first.
    #[must_use]
    pub const fn due_at(&self) -> Timestamp {
        match self.content {
            Content::LogoutToken { .. }
            | Content::Challenge { .. }
            | Content::Cancellation { .. }
            | Content::Passcode { .. }
            | Content::Unpairings { .. } => self.created_at,
            Content::Unpairing { at, .. } => at,
        }
    }

    /// Whether an attempt may be made, of which this is the number, from 1. Attempts of workers that were killed count, so
    /// that a message which kills them ends too.
    pub fn may_be_tried(&self, attempt: u32, rules: &Rules, now: Timestamp) -> Result<(), GivenUp> {
        if now >= self.expires_at() {
            Err(GivenUp::Expired)
        } else if attempt > rules.attempts {
            Err(GivenUp::Exhausted)
        } else {
            Ok(())
        }
    }

    /// What is done after this attempt. `random` spreads those that failed together.
    #[must_use]
    pub fn after(
        &self,
        (attempt, outcome): (u32, Outcome),
        rules: &Rules,
        now: Timestamp,
        random: u64,
    ) -> Next {
        match outcome {
            Outcome::Delivered | Outcome::Unwanted => Next::Forget,
            Outcome::Refused => Next::GiveUp(GivenUp::Refused),
            Outcome::Forbidden => Next::GiveUp(GivenUp::Forbidden),
            Outcome::Failed => self.again(attempt, rules, rules.next_attempt(attempt, now, random)),
            Outcome::Later { seconds } => {
                let asked = now.plus_seconds(seconds.into());
                let at = rules.next_attempt(attempt, now, random).max(asked);
                self.again(attempt, rules, at)
            }
        }
    }

    /// What would come too late is given up at once.
    fn again(&self, attempt: u32, rules: &Rules, at: Timestamp) -> Next {
        match self.may_be_tried(attempt.saturating_add(1), rules, at) {
            Ok(()) => Next::Retry { at },
            Err(given_up) => Next::GiveUp(given_up),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixture::{NOW, assert_told, message};

    const RULES: Rules =
        Rules { attempts: 4, pause_seconds: 5, longest_pause_seconds: 15, lease_seconds: 30 };

    fn after(attempt: u32, outcome: Outcome, random: u64) -> Next {
        message().after((attempt, outcome), &RULES, NOW, random)
    }

    fn in_micros(micros: i64) -> Next {
        Next::Retry { at: Timestamp::from_micros(NOW.micros() + micros) }
    }

    #[test]
    fn only_what_may_still_succeed_is_tried_again() {
        assert_eq!(after(1, Outcome::Delivered, 0), Next::Forget);
        assert_eq!(after(1, Outcome::Unwanted, 0), Next::Forget);
        assert_eq!(after(1, Outcome::Refused, 0), Next::GiveUp(GivenUp::Refused));
        assert_eq!(after(1, Outcome::Forbidden, 0), Next::GiveUp(GivenUp::Forbidden));
        assert_eq!(after(4, Outcome::Failed, 0), Next::GiveUp(GivenUp::Exhausted));
        assert_eq!(after(1, Outcome::Later { seconds: 60 }, 0), in_micros(60_000_000));
        assert_eq!(after(1, Outcome::Later { seconds: 1 }, 0), in_micros(2_500_000));
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_are_spread_over_their_second_half() {
        assert_eq!(after(1, Outcome::Failed, 0), in_micros(2_500_000));
        assert_eq!(after(1, Outcome::Failed, 2_500_000), in_micros(5_000_000));
        assert_eq!(after(2, Outcome::Failed, 0), in_micros(5_000_000));
        assert_eq!(after(3, Outcome::Failed, 0), in_micros(7_500_000));
        assert_eq!(after(3, Outcome::Failed, 7_500_000), in_micros(15_000_000));
    }

    #[test]
    fn what_is_too_old_is_neither_tried_nor_kept_for_later() {
        let end = message().expires_at();
        assert_eq!(message().may_be_tried(1, &RULES, end.minus_seconds(1)), Ok(()));
        assert_eq!(message().may_be_tried(1, &RULES, end), Err(GivenUp::Expired));
        assert_eq!(message().may_be_tried(5, &RULES, NOW), Err(GivenUp::Exhausted));
        let late = message().after((1, Outcome::Failed), &RULES, end.minus_seconds(2), 0);
        assert_eq!(late, Next::GiveUp(GivenUp::Expired));
    }

    #[test]
    fn rules_out_of_their_bounds_are_refused() {
        assert_told(
            Rules::default,
            Rules::validate,
            &[
                (|rules| rules.attempts = 0, "outbox.attempts must be from 1 to 100"),
                (|rules| rules.pause_seconds = 0, "outbox.pause_seconds must be from 1 to 3600"),
                (
                    |rules| rules.longest_pause_seconds = 4,
                    "outbox.longest_pause_seconds must be from 5 to 86400",
                ),
                (|rules| rules.lease_seconds = 9, "outbox.lease_seconds must be from 10 to 3600"),
            ],
        );
    }

    proptest! {
        #[test]
        fn every_message_comes_to_an_end_in_time(random in any::<u64>(), attempts in 1_u32..100) {
            let rules = Rules { attempts, ..Rules::default() };
            let (mut now, mut tried) = (NOW, 0);
            loop {
                tried += 1;
                prop_assert!(message().may_be_tried(tried, &rules, now).is_ok());
                match message().after((tried, Outcome::Failed), &rules, now, random) {
                    Next::Retry { at } => {
                        prop_assert!(at > now);
                        now = at;
                    }
                    Next::GiveUp(_) => break,
                    Next::Forget => prop_assert!(false, "it has failed"),
                }
            }
            prop_assert!(tried <= attempts);
            prop_assert!(now < message().expires_at());
        }
    }
}
