//! `[outbox]`: what must be sent after a commit, such as the news of a logout.

use std::time::Duration;

use countersign_server::Settings;
use serde::Deserialize;

use super::{Flaw, error::range};

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Outbox {
    attempts: u32,
    pause_seconds: u32,
    longest_pause_seconds: u32,
    lease_seconds: u32,
    concurrency: u32,
    interval_seconds: u64,
}

impl Default for Outbox {
    fn default() -> Self {
        let settings = Settings::new("");
        Self {
            attempts: settings.outbox.attempts,
            pause_seconds: settings.outbox.pause_seconds,
            longest_pause_seconds: settings.outbox.longest_pause_seconds,
            lease_seconds: settings.outbox.lease_seconds,
            concurrency: settings.outbox_concurrency,
            interval_seconds: settings.outbox_interval.as_secs(),
        }
    }
}

impl Outbox {
    /// After the limits of one call and one push are known, which a lease must outlast.
    pub fn apply(&self, settings: &mut Settings) -> Result<(), Flaw> {
        let at = |key| ("outbox", key);
        settings.outbox.attempts = self.attempts;
        settings.outbox.pause_seconds = self.pause_seconds;
        settings.outbox.longest_pause_seconds = self.longest_pause_seconds;
        settings.outbox.lease_seconds = self.lease_seconds;
        settings.outbox_concurrency = range(at("concurrency"), self.concurrency, 1, 1_000)?;
        let interval = range(at("interval_seconds"), self.interval_seconds, 1, 3_600)?;
        settings.outbox_interval = Duration::from_secs(interval);
        settings.validate_outbox().map_err(|invalid| {
            let target = invalid.violations().first().map(|violation| violation.target.as_ref());
            let key = target.and_then(|target| target.rsplit('.').next()).unwrap_or_default();
            Flaw::new("outbox", key, invalid.to_string())
        })
    }
}
