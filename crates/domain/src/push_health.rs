//! How pushes to an application fare: warnings for its administrator, and whether automatic unpairing was stopped.

use countersign_protocol::{mobile_payload::PushService, time::Timestamp};
use serde::{Deserialize, Serialize};

use crate::{application::Application, environment::Environment, id::Id};

/// The most warnings that are kept of an application; the oldest go.
pub const MAX_WARNINGS: usize = 20;

/// How pushes to an application fare.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushHealth {
    /// The application.
    pub application: Id<Application>,
    /// The tenant.
    pub environment: Id<Environment>,
    /// Since when automatic unpairing is stopped; none: it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_at: Option<Timestamp>,
    /// When an administrator last let it go on. Answers of before do not count against it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumed_at: Option<Timestamp>,
    /// What is wrong, the latest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
}

/// Something that is wrong, and how often it has shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// At which service.
    pub service: PushService,
    /// What: the word of the service, or of the guard.
    pub reason: String,
    /// When it showed first.
    pub first_at: Timestamp,
    /// When it showed last.
    pub last_at: Timestamp,
    /// How often it has shown.
    pub count: u64,
}

impl PushHealth {
    /// Of an application of which nothing is known.
    #[must_use]
    pub const fn new(environment: Id<Environment>, application: Id<Application>) -> Self {
        Self { application, environment, stopped_at: None, resumed_at: None, warnings: Vec::new() }
    }

    /// With a warning more. One that is there already counts.
    #[must_use]
    pub fn warned(&self, service: PushService, reason: &str, now: Timestamp) -> Self {
        let mut health = self.clone();
        let is = |warning: &Warning| warning.service == service && warning.reason == reason;
        let known = health.warnings.iter().position(is).map(|place| health.warnings.remove(place));
        let (first_at, count) = known.map_or((now, 0), |warning| (warning.first_at, warning.count));
        let (reason, count) = (reason.to_owned(), count.saturating_add(1));
        health.warnings.push(Warning { service, reason, first_at, last_at: now, count });
        if health.warnings.len() > MAX_WARNINGS {
            health.warnings.remove(0);
        }
        health
    }

    /// With automatic unpairing stopped.
    #[must_use]
    pub fn stopped(&self, now: Timestamp) -> Self {
        Self { stopped_at: self.stopped_at.or(Some(now)), ..self.clone() }
    }

    /// With automatic unpairing going on, by the word of an administrator.
    #[must_use]
    pub fn resumed(&self, now: Timestamp) -> Self {
        Self { stopped_at: None, resumed_at: Some(now), ..self.clone() }
    }

    /// Without its warnings, by the word of an administrator.
    #[must_use]
    pub fn acknowledged(&self) -> Self {
        Self { warnings: Vec::new(), ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{NOW, id};

    #[test]
    fn the_same_warning_counts_and_others_are_kept_up_to_a_bound() {
        let mut health = PushHealth::new(id(1), id(1));
        for second in 0..3 {
            health = health.warned(PushService::Apns, "BadDeviceToken", NOW.plus_seconds(second));
        }
        let [warning] = health.warnings.as_slice() else { panic!("not one") };
        assert_eq!((warning.count, warning.first_at), (3, NOW));
        assert_eq!(warning.last_at, NOW.plus_seconds(2));
        for n in 0..30 {
            health = health.warned(PushService::Fcm, &n.to_string(), NOW);
        }
        assert_eq!(health.warnings.len(), MAX_WARNINGS);
        assert_eq!(health.warnings.last().map(|w| w.reason.as_str()), Some("29"));
    }

    #[test]
    fn a_stop_lasts_until_somebody_ends_it() {
        let stopped = PushHealth::new(id(1), id(1)).stopped(NOW).stopped(NOW.plus_seconds(9));
        assert_eq!(stopped.stopped_at, Some(NOW));
        let resumed = stopped.resumed(NOW.plus_seconds(10));
        assert_eq!((resumed.stopped_at, resumed.resumed_at), (None, Some(NOW.plus_seconds(10))));
    }
}
