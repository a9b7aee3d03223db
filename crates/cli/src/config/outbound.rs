//! `[outbound]`: calls to addresses that clients have registered.

use std::{fs, path::PathBuf, time::Duration};

use countersign_server::{OutboundSettings, Settings};
use serde::Deserialize;

use super::{Flaw, Surroundings, error::range};

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Outbound {
    private_addresses: bool,
    authorities_file: Option<PathBuf>,
    timeout_seconds: u64,
}

impl Default for Outbound {
    fn default() -> Self {
        let OutboundSettings { private_addresses, timeout, .. } = OutboundSettings::default();
        Self { private_addresses, authorities_file: None, timeout_seconds: timeout.as_secs() }
    }
}

impl Outbound {
    pub fn apply(&self, settings: &mut Settings, around: &Surroundings<'_>) -> Result<(), Flaw> {
        let timeout = range(("outbound", "timeout_seconds"), self.timeout_seconds, 1, 30)?;
        let authorities = match &self.authorities_file {
            None => Vec::new(),
            Some(file) => fs::read(around.folder.join(file)).map_err(|error| {
                let rule = format!("names a file that cannot be read: {error}");
                Flaw::new("outbound", "authorities_file", rule)
            })?,
        };
        settings.outbound = OutboundSettings {
            private_addresses: self.private_addresses,
            authorities,
            timeout: Duration::from_secs(timeout),
        };
        Ok(())
    }
}
