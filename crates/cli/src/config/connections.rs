//! `[connections]`: what a client may ask of a connection.

use std::time::Duration;

use countersign_server::Connections as Settings;
use serde::Deserialize;

use super::{Flaw, error::range};

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Connections {
    most: usize,
    most_per_address: usize,
    header_timeout_seconds: u64,
    handshake_timeout_seconds: u64,
    idle_timeout_seconds: u64,
    body_bytes_per_second: u32,
    streams: u32,
    resets: usize,
}

impl Default for Connections {
    fn default() -> Self {
        let settings = Settings::default();
        Self {
            most: settings.most,
            most_per_address: settings.most_per_address,
            header_timeout_seconds: settings.header_timeout.as_secs(),
            handshake_timeout_seconds: settings.handshake_timeout.as_secs(),
            idle_timeout_seconds: settings.idle_timeout.as_secs(),
            body_bytes_per_second: settings.body_bytes_per_second,
            streams: settings.streams,
            resets: settings.resets,
        }
    }
}

impl Connections {
    pub fn resolve(&self) -> Result<Settings, Flaw> {
        let at = |key| ("connections", key);
        let seconds = |key, value| range(at(key), value, 1, 3_600).map(Duration::from_secs);
        Ok(Settings {
            most: range(at("most"), self.most, 1, 1_000_000)?,
            most_per_address: range(at("most_per_address"), self.most_per_address, 1, 1_000_000)?,
            header_timeout: seconds("header_timeout_seconds", self.header_timeout_seconds)?,
            handshake_timeout: seconds(
                "handshake_timeout_seconds",
                self.handshake_timeout_seconds,
            )?,
            idle_timeout: seconds("idle_timeout_seconds", self.idle_timeout_seconds)?,
            body_bytes_per_second: self.body_bytes_per_second,
            streams: range(at("streams"), self.streams, 1, 10_000)?,
            resets: range(at("resets"), self.resets, 1, 10_000)?,
        })
    }
}
