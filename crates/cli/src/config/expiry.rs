//! `[expiry]`: how what has ended is swept away.

use std::time::Duration;

use countersign_server::Settings;
use serde::Deserialize;

use super::{Flaw, error::range};

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Expiry {
    batch: u32,
    interval_seconds: u64,
}

impl Default for Expiry {
    fn default() -> Self {
        let settings = Settings::new("");
        let interval_seconds = settings.expiry_interval.as_secs();
        Self { batch: settings.expiry_batch, interval_seconds }
    }
}

impl Expiry {
    pub fn apply(&self, settings: &mut Settings) -> Result<(), Flaw> {
        settings.expiry_batch = range(("expiry", "batch"), self.batch, 1, 100_000)?;
        let interval = range(("expiry", "interval_seconds"), self.interval_seconds, 1, 86_400)?;
        settings.expiry_interval = Duration::from_secs(interval);
        Ok(())
    }
}
