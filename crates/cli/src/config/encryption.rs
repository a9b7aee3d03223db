//! `[encryption]`: the key under which secrets rest in the database.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Flaw, Surroundings};

const SECTION: &str = "encryption";

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Encryption {
    key_file: Option<PathBuf>,
    key_env: Option<String>,
}

/// Where the key-encryption key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A file, which is made if it is missing and the database is new.
    File(PathBuf),
    /// An environment variable, by its name.
    Variable(String),
}

impl Encryption {
    pub fn resolve(&self, data: &Path, around: &Surroundings<'_>) -> Result<KeySource, Flaw> {
        match (&self.key_file, &self.key_env) {
            (None, None) => Ok(KeySource::File(data.join("key-encryption.key"))),
            (Some(file), None) => Ok(KeySource::File(around.folder.join(file))),
            (None, Some(name)) => Ok(KeySource::Variable(name.clone())),
            (Some(_), Some(_)) => {
                Err(Flaw::new(SECTION, "key_env", "may not be given beside key_file"))
            }
        }
    }
}
