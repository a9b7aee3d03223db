//! `[requests]`: what a request may cost.

use std::time::Duration;

use countersign_server::Settings;
use serde::Deserialize;

use super::{Flaw, error::range};

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Requests {
    body_bytes: usize,
    timeout_seconds: u64,
}

impl Default for Requests {
    fn default() -> Self {
        let settings = Settings::new("");
        let timeout_seconds = settings.request_timeout.as_secs();
        Self { body_bytes: settings.body_bytes, timeout_seconds }
    }
}

impl Requests {
    pub fn apply(&self, settings: &mut Settings) -> Result<(), Flaw> {
        settings.body_bytes =
            range(("requests", "body_bytes"), self.body_bytes, 16_384, 16_777_216)?;
        let timeout = range(("requests", "timeout_seconds"), self.timeout_seconds, 1, 3_600)?;
        settings.request_timeout = Duration::from_secs(timeout);
        Ok(())
    }
}
