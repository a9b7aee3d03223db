//! `[tls]`: the certificate by which the server is known, when no proxy in front of it does that.

use std::{path::PathBuf, time::Duration};

use countersign_server::TlsFiles;
use serde::Deserialize;

use super::{Flaw, Surroundings, error::range};

const SECTION: &str = "tls";

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Tls {
    certificate_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
    reload_seconds: u64,
}

impl Default for Tls {
    fn default() -> Self {
        Self { certificate_file: None, key_file: None, reload_seconds: 5 }
    }
}

impl Tls {
    pub fn resolve(&self, around: &Surroundings<'_>) -> Result<Option<TlsFiles>, Flaw> {
        let reload = range((SECTION, "reload_seconds"), self.reload_seconds, 1, 86_400)?;
        let missing = |key| Flaw::new(SECTION, key, "must be given, because the other file is");
        match (&self.certificate_file, &self.key_file) {
            (None, None) => Ok(None),
            (Some(_), None) => Err(missing("key_file")),
            (None, Some(_)) => Err(missing("certificate_file")),
            (Some(certificate), Some(key)) => Ok(Some(TlsFiles {
                certificate: around.folder.join(certificate),
                key: around.folder.join(key),
                reload: Duration::from_secs(reload),
            })),
        }
    }
}
