//! A one-time passcode as the app shows it.

use countersign_protocol::otp::Passcode;
use countersign_protocol::time::Timestamp;

/// A one-time passcode and the time in which it is good, by the phone's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneTimePasscode {
    /// Six digits.
    pub passcode: Passcode,
    /// From when on it is good.
    pub valid_from: Timestamp,
    /// From when on the next one is.
    pub valid_until: Timestamp,
    /// How long each passcode is good.
    pub step_seconds: i64,
    /// How much of that is left: 1 to `step_seconds`.
    pub seconds_remaining: i64,
}
