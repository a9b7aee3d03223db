//! `[sessions]`: how long browsers stay signed in.

use countersign_server::Settings;
use serde::Deserialize;

use super::{Flaw, error::range};

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Sessions {
    idle_seconds: u32,
    life_seconds: u32,
}

impl Default for Sessions {
    fn default() -> Self {
        let lifetimes = Settings::new("").sessions;
        Self { idle_seconds: lifetimes.idle_seconds, life_seconds: lifetimes.life_seconds }
    }
}

impl Sessions {
    pub fn apply(&self, settings: &mut Settings) -> Result<(), Flaw> {
        let at = |key| ("sessions", key);
        let life = range(at("life_seconds"), self.life_seconds, 60, 31_536_000)?;
        settings.sessions.life_seconds = life;
        settings.sessions.idle_seconds = range(at("idle_seconds"), self.idle_seconds, 60, life)?;
        Ok(())
    }
}
