//! What came of a push: what it means, and what the service said.

use std::fmt;
use std::time::Duration;

use countersign_protocol::time::Timestamp;

/// The most characters of a service's words that are kept.
pub const MAX_REASON_CHARACTERS: usize = 200;

/// What came of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What it means.
    pub outcome: Outcome,
    /// What the service said, for the audit log.
    pub raw: Raw,
}

/// What the answer of a push service means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The service took the push. That does not say that it is delivered, nor that the app is still there.
    Accepted,
    /// Not now: the same push may be sent again.
    Retry {
        /// Not before this time has passed; `None`: the service leaves it to us.
        after: Option<Duration>,
    },
    /// The address is dead.
    Unregistered {
        /// When the service last saw that it was. An address that the app has confirmed later is alive all the same.
        as_of: Option<Timestamp>,
    },
    /// Something that an administrator must put right. It says nothing about whether the app is still there.
    Misconfigured(Trouble),
    /// A mistake of ours: sending it again is of no use.
    Rejected(Trouble),
    /// No answer. The push may have arrived.
    Unreachable,
    /// There was no time left to send it.
    Expired,
}

/// What is wrong when a push service refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The address is not one of this service, or belongs to another app, project or environment.
    Address,
    /// The service does not accept the credentials.
    Credentials,
    /// The service knows the credentials, but they may not be used for this.
    Permission,
    /// The message is larger than the service takes.
    TooLarge,
    /// The service does not understand the request.
    Request,
}

impl fmt::Display for Trouble {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Address => "the push address belongs to another app, project or environment",
            Self::Credentials => "the push service does not accept the credentials",
            Self::Permission => "the credentials may not be used for this app",
            Self::TooLarge => "the message is too large for the push service",
            Self::Request => "the push service does not understand the request",
        })
    }
}

/// What a service said, as it said it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raw {
    /// The HTTP status; `None`: there was no answer.
    pub status: Option<u16>,
    /// The service's code or reason, else why there was no answer. At most [`MAX_REASON_CHARACTERS`], none of them a control
    /// character.
    pub reason: String,
}

impl Raw {
    /// Keeps what may be kept of `reason`.
    #[must_use]
    pub fn new(status: Option<u16>, reason: &str) -> Self {
        let shown = reason.chars().filter(|character| !character.is_control());
        Self { status, reason: shown.take(MAX_REASON_CHARACTERS).collect() }
    }
}

impl Answer {
    /// Without a word of the service.
    pub(crate) fn of_our_own(outcome: Outcome, reason: &str) -> Self {
        Self { outcome, raw: Raw::new(None, reason) }
    }

    pub(crate) fn rejected(trouble: Trouble, reason: &str) -> Self {
        Self::of_our_own(Outcome::Rejected(trouble), reason)
    }

    pub(crate) fn foreign_address(reason: &str) -> Self {
        Self::of_our_own(Outcome::Misconfigured(Trouble::Address), reason)
    }

    pub(crate) fn unreachable(reason: &str) -> Self {
        Self::of_our_own(Outcome::Unreachable, reason)
    }

    pub(crate) fn expired() -> Self {
        Self::of_our_own(Outcome::Expired, "the time was over before it was sent")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_service_are_cut_and_cannot_forge_lines() {
        let long = format!("a\nb\r\u{1b}[31m{}", "ä".repeat(300));
        let raw = Raw::new(Some(400), &long);
        assert_eq!(raw.reason.chars().count(), MAX_REASON_CHARACTERS);
        assert!(raw.reason.starts_with("ab[31mä"));
    }
}
