//! `[sms]`: the hook by which text messages and phone calls go out.

use std::{path::PathBuf, time::Duration};

use countersign_server::{HookSettings, Settings};
use serde::Deserialize;

use super::{Flaw, Surroundings, error::range, secret::from_file_or_variable};

const SECTION: &str = "sms";

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Sms {
    url: Option<String>,
    secret_file: Option<PathBuf>,
    secret_env: Option<String>,
    timeout_seconds: u64,
}

impl Default for Sms {
    fn default() -> Self {
        Self { url: None, secret_file: None, secret_env: None, timeout_seconds: 10 }
    }
}

impl Sms {
    pub fn apply(&self, settings: &mut Settings, around: &Surroundings<'_>) -> Result<(), Flaw> {
        let Some(url) = &self.url else { return Ok(()) };
        if !url.starts_with("https://") && !url.starts_with("http://") {
            return Err(Flaw::new(SECTION, "url", "must be an address of https or http"));
        }
        let keys = ["secret_file", "secret_env"];
        let sources = (self.secret_file.as_deref(), self.secret_env.as_deref());
        let text = from_file_or_variable((SECTION, keys), sources, around)?;
        let text = text.ok_or_else(|| {
            Flaw::new(SECTION, "url", "needs a secret_file or a secret_env, to sign calls with")
        })?;
        let key = if self.secret_file.is_some() { "secret_file" } else { "secret_env" };
        let rule = "must say whsec_ and 24 to 64 bytes in base64";
        let secret = HookSettings::secret(&text).ok_or_else(|| Flaw::new(SECTION, key, rule))?;
        let seconds = range((SECTION, "timeout_seconds"), self.timeout_seconds, 1, 25)?;
        let timeout = Duration::from_secs(seconds);
        settings.hook = Some(HookSettings { url: url.clone(), secret, timeout });
        Ok(())
    }
}
