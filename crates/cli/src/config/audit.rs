//! `[audit]`: how long records are kept, and how often they are sealed.

use std::time::Duration;

use countersign_server::Settings;
use serde::Deserialize;

use super::{Flaw, error::range};

const SECTION: &str = "audit";

const DAY_SECONDS: u64 = 86_400;

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Audit {
    retention_days: u64,
    seal_interval_seconds: u64,
}

impl Default for Audit {
    fn default() -> Self {
        let settings = Settings::new("");
        Self {
            retention_days: settings.audit_retention.as_secs() / DAY_SECONDS,
            seal_interval_seconds: settings.audit_seal_interval.as_secs(),
        }
    }
}

impl Audit {
    pub fn apply(&self, settings: &mut Settings) -> Result<(), Flaw> {
        let days = range((SECTION, "retention_days"), self.retention_days, 1, 36_500)?;
        let seconds =
            range((SECTION, "seal_interval_seconds"), self.seal_interval_seconds, 1, 3_600)?;
        settings.audit_retention = Duration::from_secs(days * DAY_SECONDS);
        settings.audit_seal_interval = Duration::from_secs(seconds);
        Ok(())
    }
}
