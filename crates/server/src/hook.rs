//! The hook by which text messages and phone calls go out: an address of the operator's, which is told what to say to whom.
//!
//! Calls are signed as Standard Webhooks has it, like those of webhooks.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign_protocol::{secret::Secret, time::Timestamp};

use crate::outbound::{Call, Outbound, OutboundError};

/// Settings of the hook.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it is. The rules for outbound calls hold for it.
    pub url: String,
    /// What calls are signed with: 24 to 64 bytes.
    pub secret: Secret<Vec<u8>>,
    /// How long one call may take.
    pub timeout: Duration,
}

impl Settings {
    /// A secret as Standard Webhooks writes it: `whsec_` and base64.
    #[must_use]
    pub fn secret(text: &Secret<String>) -> Option<Secret<Vec<u8>>> {
        let bytes = STANDARD.decode(text.expose().strip_prefix("whsec_")?).ok()?;
        (24..=64).contains(&bytes.len()).then(|| Secret::new(bytes))
    }
}

/// Why the hook was not called.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// There is none.
    #[error("no hook for text messages and calls is configured")]
    Off,
    /// It could not be called.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
}

impl HookError {
    /// Whether its address must not be called.
    pub fn is_forbidden(&self) -> bool {
        match self {
            Self::Off => false,
            Self::Outbound(error) => error.is_forbidden(),
        }
    }
}

/// One call. The same message has the same id, however often it is tried.
pub(crate) struct Hook<'a> {
    pub id: &'a str,
    pub body: String,
    pub now: Timestamp,
}

/// Calls the hook.
pub(crate) struct Hooks {
    settings: Option<Settings>,
}

impl Hooks {
    pub const fn new(settings: Option<Settings>) -> Self {
        Self { settings }
    }

    /// Whether there is one.
    pub const fn is_on(&self) -> bool {
        self.settings.is_some()
    }

    /// Calls it, and tells the status of the answer.
    pub async fn call(&self, outbound: &Outbound, hook: Hook<'_>) -> Result<u16, HookError> {
        let Some(Settings { url, secret, timeout }) = &self.settings else {
            return Err(HookError::Off);
        };
        let Hook { id, body, now } = hook;
        let timestamp = now.unix_seconds().to_string();
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose());
        let signature = hmac::sign(&key, format!("{id}.{timestamp}.{body}").as_bytes());
        let signature = format!("v1,{}", STANDARD.encode(signature));
        let headers = vec![
            ("content-type", "application/json"),
            ("webhook-id", id),
            ("webhook-timestamp", &timestamp),
            ("webhook-signature", &signature),
        ];
        let (timeout, verifies_certificate) = (*timeout, true);
        let call = Call { address: url, headers, body, timeout, verifies_certificate };
        Ok(outbound.post(call).await?)
    }
}
