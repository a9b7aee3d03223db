//! `[sockets]`: phones that listen by a WebSocket.

use std::time::Duration;

use countersign_server::{Settings, SocketSettings};
use serde::Deserialize;

use super::{Flaw, error::range};

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Sockets {
    most: usize,
    proof_timeout_seconds: u64,
    ping_interval_seconds: u64,
    pong_timeout_seconds: u64,
    close_timeout_seconds: u64,
    look_interval_seconds: u64,
}

impl Default for Sockets {
    fn default() -> Self {
        let settings = SocketSettings::default();
        Self {
            most: settings.most,
            proof_timeout_seconds: settings.proof_timeout.as_secs(),
            ping_interval_seconds: settings.ping_interval.as_secs(),
            pong_timeout_seconds: settings.pong_timeout.as_secs(),
            close_timeout_seconds: settings.close_timeout.as_secs(),
            look_interval_seconds: settings.look_interval.as_secs(),
        }
    }
}

impl Sockets {
    pub fn apply(&self, settings: &mut Settings) -> Result<(), Flaw> {
        let seconds =
            |key, value, most| range(("sockets", key), value, 1, most).map(Duration::from_secs);
        settings.sockets = SocketSettings {
            most: range(("sockets", "most"), self.most, 0, 1_000_000)?,
            proof_timeout: seconds("proof_timeout_seconds", self.proof_timeout_seconds, 60)?,
            // Phones take a platform for gone that is silent for a minute.
            ping_interval: seconds("ping_interval_seconds", self.ping_interval_seconds, 50)?,
            pong_timeout: seconds("pong_timeout_seconds", self.pong_timeout_seconds, 60)?,
            close_timeout: seconds("close_timeout_seconds", self.close_timeout_seconds, 10)?,
            look_interval: seconds("look_interval_seconds", self.look_interval_seconds, 3_600)?,
        };
        Ok(())
    }
}
