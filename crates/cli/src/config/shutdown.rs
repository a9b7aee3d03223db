//! `[shutdown]`: how the server takes leave of its clients.

use std::time::Duration;

use countersign_server::Settings;
use serde::Deserialize;

use super::{Flaw, error::range};

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Shutdown {
    linger_ms: u64,
    drain_seconds: u64,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { linger_ms: 500, drain_seconds: 10 }
    }
}

impl Shutdown {
    pub fn apply(&self, settings: &mut Settings) -> Result<(), Flaw> {
        let linger = range(("shutdown", "linger_ms"), self.linger_ms, 0, 600_000)?;
        let drain = range(("shutdown", "drain_seconds"), self.drain_seconds, 0, 3_600)?;
        settings.linger = Duration::from_millis(linger);
        settings.drain_timeout = Duration::from_secs(drain);
        Ok(())
    }
}
