//! `[passwords]`: what people may choose, and how passwords are hashed.

use countersign_domain::password::Requirements;
use countersign_server::PasswordSettings;
use serde::Deserialize;

use super::{Flaw, error::range};

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Passwords {
    min_characters: u8,
    memory_kib: u32,
    passes: u32,
    workers: usize,
    queue: usize,
}

impl Default for Passwords {
    fn default() -> Self {
        let PasswordSettings { memory_kib, passes, workers, queue } = PasswordSettings::default();
        let Requirements { min_characters } = Requirements::default();
        Self { min_characters, memory_kib, passes, workers, queue }
    }
}

impl Passwords {
    pub fn requirements(&self) -> Result<Requirements, Flaw> {
        let min_characters = range(("passwords", "min_characters"), self.min_characters, 8, 64)?;
        Ok(Requirements { min_characters })
    }

    pub fn resolve(&self) -> Result<PasswordSettings, Flaw> {
        let at = |key| ("passwords", key);
        Ok(PasswordSettings {
            memory_kib: range(at("memory_kib"), self.memory_kib, 64, 4_194_304)?,
            passes: range(at("passes"), self.passes, 1, 100)?,
            workers: range(at("workers"), self.workers, 1, 1_024)?,
            queue: range(at("queue"), self.queue, 1, 100_000)?,
        })
    }
}
