//! `[requests]`: what a request may cost.

use std::time::Duration;

use countersign_server::Settings;
use serde::Deserialize;

use super::{Flaw, error::range};

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Requests {
    target_bytes: usize,
    header_bytes: usize,
    body_bytes: usize,
    timeout_seconds: u64,
}

impl Default for Requests {
    fn default() -> Self {
        let Settings { target_bytes, header_bytes, body_bytes, request_timeout, .. } =
            Settings::new("");
        let timeout_seconds = request_timeout.as_secs();
        Self { target_bytes, header_bytes, body_bytes, timeout_seconds }
    }
}

impl Requests {
    pub fn apply(&self, settings: &mut Settings) -> Result<(), Flaw> {
        let at = |key| ("requests", key);
        settings.target_bytes = range(at("target_bytes"), self.target_bytes, 4_096, 1_048_576)?;
        settings.header_bytes = range(at("header_bytes"), self.header_bytes, 8_192, 1_048_576)?;
        settings.body_bytes = range(at("body_bytes"), self.body_bytes, 16_384, 16_777_216)?;
        let timeout = range(at("timeout_seconds"), self.timeout_seconds, 1, 3_600)?;
        settings.request_timeout = Duration::from_secs(timeout);
        Ok(())
    }
}
