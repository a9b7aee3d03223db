//! `[tokens]`: what clients must show to get them.

use countersign_server::Settings;
use serde::Deserialize;

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Tokens {
    dpop_nonce_required: bool,
}

impl Default for Tokens {
    fn default() -> Self {
        Self { dpop_nonce_required: Settings::new("").dpop_nonce_required }
    }
}

impl Tokens {
    pub fn apply(&self, settings: &mut Settings) {
        settings.dpop_nonce_required = self.dpop_nonce_required;
    }
}
