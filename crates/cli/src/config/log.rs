//! `[log]`: what is told on standard error, and in which form.

use countersign_server::telemetry::{LogFormat, Settings};
use serde::Deserialize;
use tracing_subscriber::EnvFilter;

use super::Flaw;

/// What was written is what it means.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Log {
    /// A level, or levels by crate: `info,countersign_store=debug`.
    level: String,
    /// The form.
    format: Format,
}

/// The form of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: Format::Text }
    }
}

impl Log {
    pub fn resolve(&self) -> Result<Settings, Flaw> {
        let rule =
            |error| Flaw::new("log", "level", format!("must be a level, as in info: {error}"));
        EnvFilter::try_new(&self.level).map(drop).map_err(rule)?;
        let log_format = match self.format {
            Format::Text => LogFormat::Text,
            Format::Json => LogFormat::Json,
        };
        Ok(Settings { log_format, log_filter: self.level.clone(), ..Settings::default() })
    }
}
