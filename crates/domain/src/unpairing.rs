//! Automatic unpairing: what it means when a push service says that an address is nobody's.
//!
//! The service speaks of an address, not of an app: the app may be there with another address, and services have been wrong
//! about many at once. So only a statement about the present address counts, and guards hold what looks like an error.

use countersign_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{device::Device, invalid::Check};

/// When a phone that its push service no longer knows is unpaired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnpairingRules {
    /// Whether it is at all.
    pub enabled: bool,
    /// For how many seconds the device stays, in case the phone gets in touch; 0 to 7,776,000 (90 days).
    pub grace_seconds: u32,
    /// More answers of this kind in an hour than this, 1 to 100,000, ...
    pub breaker_count: u32,
    /// ... that are also more than this percentage of all, 1 to 100, stop automatic unpairing.
    pub breaker_percent: u8,
    /// The most devices of the application that are unpaired in a day, 1 to 1,000,000.
    pub daily_cap: u32,
}

impl Default for UnpairingRules {
    fn default() -> Self {
        Self {
            enabled: true,
            grace_seconds: 0,
            breaker_count: 20,
            breaker_percent: 5,
            daily_cap: 100,
        }
    }
}

impl UnpairingRules {
    /// Whether nothing was changed.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The bounds.
    pub fn validate(&self, check: &mut Check) {
        check.range(
            self.grace_seconds.into(),
            "mobile.unpairing.grace_seconds",
            0,
            90 * 24 * 60 * 60,
        );
        check.range(self.breaker_count.into(), "mobile.unpairing.breaker_count", 1, 100_000);
        check.range(self.breaker_percent.into(), "mobile.unpairing.breaker_percent", 1, 100);
        check.range(self.daily_cap.into(), "mobile.unpairing.daily_cap", 1, 1_000_000);
    }

    /// Whether so many answers of an hour look like an error of the service.
    #[must_use]
    pub fn trips(&self, hour: Answers) -> bool {
        let share = u128::from(hour.unregistered) * 100;
        hour.unregistered > u64::from(self.breaker_count)
            && share > u128::from(hour.sends) * u128::from(self.breaker_percent)
    }
}

/// How push services have answered for an application.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// All answers.
    pub sends: u64,
    /// Those that an address is nobody's.
    pub unregistered: u64,
}

/// A statement of a push service that an address is nobody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statement<'a> {
    /// The address.
    pub address: &'a str,
    /// Since when it is, at the latest; none: the service does not say (`timestamp` of APNs).
    pub as_of: Option<Timestamp>,
    /// When the message was made that it answers. What the phone has said after that, it cannot know.
    pub sent_at: Timestamp,
}

/// What is known of the application.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Its rules.
    pub rules: &'a UnpairingRules,
    /// Whether an earlier storm has stopped automatic unpairing.
    pub stopped: bool,
    /// The answers of the last hour, with this one.
    pub hour: Answers,
    /// How many of its devices were unpaired in the last day.
    pub unpaired: u64,
}

/// What comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The phone was heard of since, or has another address: nothing.
    Stale,
    /// The device is unpaired now.
    Unpair,
    /// The device is unpaired at this time, if the phone is not heard of.
    UnpairAt(Timestamp),
    /// The device stays, and is not asked by push.
    Hold(Hold),
}

/// Why a device stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// The application does not want it.
    Disabled,
    /// So many at once look like an error of the service. Automatic unpairing stops until an administrator decides.
    Storm,
    /// It was stopped before.
    Stopped,
    /// So many were unpaired today already.
    DailyCap,
}

impl Hold {
    /// Its name in audit records and warnings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Disabled => "unpairing_disabled",
            Self::Storm => "unpairing_storm",
            Self::Stopped => "unpairing_stopped",
            Self::DailyCap => "unpairing_daily_cap",
        }
    }
}

/// How far our own clock is trusted against that of a push service, in seconds.
const TOLERANCE_SECONDS: i64 = 60;

/// Whether a statement is about the address that the device has, and newer than what the phone has said of it.
#[must_use]
pub fn is_current(device: &Device, statement: Statement<'_>) -> bool {
    let same = device.installation.push.as_ref().is_some_and(|p| p.address == statement.address);
    let contact = device.contact_at.unwrap_or(device.created_at);
    let as_of = statement.as_of.unwrap_or(statement.sent_at);
    same && contact.minus_seconds(TOLERANCE_SECONDS) <= as_of && contact <= statement.sent_at
}

/// What comes of a statement about a device.
#[must_use]
pub fn judge(
    device: &Device,
    statement: Statement<'_>,
    facts: Facts<'_>,
    now: Timestamp,
) -> Verdict {
    if !is_current(device, statement) {
        return Verdict::Stale;
    }
    if !facts.rules.enabled {
        return Verdict::Hold(Hold::Disabled);
    }
    guards(facts).map_or_else(|| grace(facts.rules, now), Verdict::Hold)
}

/// What holds back a device that would go now.
#[must_use]
pub fn guards(facts: Facts<'_>) -> Option<Hold> {
    if facts.stopped {
        Some(Hold::Stopped)
    } else if facts.rules.trips(facts.hour) {
        Some(Hold::Storm)
    } else if facts.unpaired >= u64::from(facts.rules.daily_cap) {
        Some(Hold::DailyCap)
    } else {
        None
    }
}

fn grace(rules: &UnpairingRules, now: Timestamp) -> Verdict {
    match rules.grace_seconds {
        0 => Verdict::Unpair,
        seconds => Verdict::UnpairAt(now.plus_seconds(seconds.into())),
    }
}

#[cfg(test)]
mod tests;
