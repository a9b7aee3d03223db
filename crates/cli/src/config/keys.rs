//! `[keys]`: how signing keys follow each other.

use std::time::Duration;

use countersign_server::Settings;
use serde::Deserialize;

use super::{Flaw, error::range};

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Keys {
    rotate_after_days: u32,
    publish_seconds: i64,
    retired_seconds: i64,
    interval_seconds: u64,
}

impl Default for Keys {
    fn default() -> Self {
        let settings = Settings::new("");
        Self {
            rotate_after_days: settings.keys.rotate_after_days,
            publish_seconds: settings.keys.publish_seconds,
            retired_seconds: settings.keys.retired_seconds,
            interval_seconds: settings.keys_interval.as_secs(),
        }
    }
}

impl Keys {
    pub fn apply(&self, settings: &mut Settings) -> Result<(), Flaw> {
        let rules = &mut settings.keys;
        rules.rotate_after_days = self.rotate_after_days;
        rules.publish_seconds = self.publish_seconds;
        rules.retired_seconds = self.retired_seconds;
        rules.validate().map_err(|invalid| {
            let target = invalid.violations().first().map(|violation| violation.target.as_ref());
            let key = target.and_then(|target| target.rsplit('.').next()).unwrap_or_default();
            Flaw::new("keys", key, invalid.to_string())
        })?;
        let interval = range(("keys", "interval_seconds"), self.interval_seconds, 1, 3_600)?;
        settings.keys_interval = Duration::from_secs(interval);
        Ok(())
    }
}
