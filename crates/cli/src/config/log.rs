//! `[log]`: what is told on standard error, and in which form.

use serde::Deserialize;
use tracing_subscriber::EnvFilter;

use super::Flaw;

/// What was written is what it means.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// A level, or levels by crate: `info,countersign_store=debug`.
    pub level: String,
    /// The form.
    pub format: Format,
}

/// The form of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
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
    /// For commands whose result is on standard output.
    pub fn quiet() -> Self {
        Self { level: "warn".to_owned(), ..Self::default() }
    }

    /// For commands that tell by themselves what is wrong.
    pub fn silent() -> Self {
        Self { level: "off".to_owned(), ..Self::default() }
    }

    pub(super) fn check(&self) -> Result<Self, Flaw> {
        let rule =
            |error| Flaw::new("log", "level", format!("must be a level, as in info: {error}"));
        EnvFilter::try_new(&self.level).map(drop).map_err(rule)?;
        Ok(self.clone())
    }
}
