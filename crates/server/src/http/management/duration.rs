//! Lengths of time on the wire, in the unit in which they were told.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A length of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Duration {
    /// How many of the unit.
    pub duration: u32,
    /// The unit.
    pub time_unit: TimeUnit,
}

/// A unit of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum TimeUnit {
    Seconds,
    Minutes,
    Hours,
    Days,
}

impl TimeUnit {
    const fn seconds(self) -> u32 {
        match self {
            Self::Seconds => 1,
            Self::Minutes => 60,
            Self::Hours => 3_600,
            Self::Days => 86_400,
        }
    }
}

impl Duration {
    pub const fn minutes(duration: u32) -> Self {
        Self { duration, time_unit: TimeUnit::Minutes }
    }

    /// In seconds. What is longer than those can tell is as long as they can.
    pub const fn seconds(self) -> u32 {
        self.duration.saturating_mul(self.time_unit.seconds())
    }

    /// This many seconds in the words in which they were told, if they were, else in a unit that fits.
    pub fn of(seconds: u32, told: Option<Self>, usual: TimeUnit) -> Self {
        let told = told.filter(|told| told.seconds() == seconds);
        let in_unit = |time_unit: TimeUnit| {
            let fits = seconds.is_multiple_of(time_unit.seconds());
            fits.then_some(Self { duration: seconds / time_unit.seconds(), time_unit })
        };
        told.or_else(|| in_unit(usual))
            .unwrap_or(Self { duration: seconds, time_unit: TimeUnit::Seconds })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_keeps_the_unit_in_which_it_was_told() {
        let told = Duration::minutes(60);
        assert_eq!(Duration::of(3_600, Some(told), TimeUnit::Hours), told);
        let hour = Duration { duration: 1, time_unit: TimeUnit::Hours };
        assert_eq!(Duration::of(3_600, Some(Duration::minutes(59)), TimeUnit::Hours), hour);
        let seconds = Duration { duration: 61, time_unit: TimeUnit::Seconds };
        assert_eq!(Duration::of(61, None, TimeUnit::Minutes), seconds);
        assert_eq!(Duration { duration: u32::MAX, ..hour }.seconds(), u32::MAX);
    }
}
