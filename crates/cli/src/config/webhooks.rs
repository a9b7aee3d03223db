//! `[webhooks]`: how webhooks are told of the audit log.

use std::time::Duration;

use countersign_server::{Settings, SubscriptionSettings};
use serde::Deserialize;

use super::{Flaw, error::range};

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Webhooks {
    interval_seconds: u64,
    timeout_seconds: u64,
    concurrency: usize,
}

impl Default for Webhooks {
    fn default() -> Self {
        let SubscriptionSettings { interval, timeout, concurrency } =
            SubscriptionSettings::default();
        Self {
            interval_seconds: interval.as_secs(),
            timeout_seconds: timeout.as_secs(),
            concurrency,
        }
    }
}

impl Webhooks {
    pub fn apply(&self, settings: &mut Settings) -> Result<(), Flaw> {
        let seconds =
            |key, value, most| range(("webhooks", key), value, 1, most).map(Duration::from_secs);
        settings.subscriptions = SubscriptionSettings {
            interval: seconds("interval_seconds", self.interval_seconds, 60)?,
            timeout: seconds("timeout_seconds", self.timeout_seconds, 25)?,
            concurrency: range(("webhooks", "concurrency"), self.concurrency, 1, 1_000)?,
        };
        Ok(())
    }
}
