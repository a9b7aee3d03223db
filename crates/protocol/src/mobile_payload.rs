//! The mobile payload: what an installation says of itself when its user signs in.

use serde::{Deserialize, Serialize};

use crate::jwk::EcPublicKey;
use crate::proof::{self, Proof, ProofError, Verified};
use crate::time::Timestamp;

/// The most characters of a text about app or device.
pub const MAX_TEXT_CHARACTERS: usize = 256;

/// The most characters of a push address.
pub const MAX_ADDRESS_CHARACTERS: usize = 4_096;

/// The claims of a mobile payload. Others carry it to authorize, so it is evidence and never a
/// request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MobilePayload {
    /// The key of the installation (RFC 7800 section 3.2).
    pub cnf: Confirmation,
    /// The app.
    pub app: AppFacts,
    /// The phone.
    pub dev: DeviceFacts,
    /// Where the app can be woken; absent when it has no address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push: Option<PushAddress>,
}

impl Proof for MobilePayload {
    const TYP: &'static str = "countersign-payload+jwt";
    const LIFE_SECONDS: i64 = 120;

    fn check(&self) -> Result<(), Unfit> {
        check_facts(&self.app, &self.dev, self.push.as_ref())
    }
}

/// Verifies a mobile payload with the key that it brings. Whether that key is known is the caller's
/// question.
pub fn verify(
    jws: &str,
    audience: &str,
    now: Timestamp,
) -> Result<Verified<MobilePayload>, ProofError> {
    proof::verify_confirmed(jws, audience, now)
}

/// `cnf`: the key whose possession the signature proves (RFC 7800 section 3.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// The possession key; its thumbprint is the `kid`.
    pub jwk: EcPublicKey,
}

/// What the app says of itself: input for policy, never proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppFacts {
    /// Id of the application (the OIDC client).
    pub id: String,
    /// Package name or bundle id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// Version of the app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What it runs on.
    pub platform: Platform,
}

/// What an app runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Platform {
    /// Android, and the systems that run its apps.
    Android,
    /// iOS and iPadOS.
    Ios,
    /// A desktop system.
    Desktop,
}

/// What the app says of the phone: input for policy, never proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceFacts {
    /// Maker of the phone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manufacturer: Option<String>,
    /// Model of the phone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Version of the operating system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Language tag (BCP 47).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// Version of the SDK.
    pub sdk_version: String,
    /// Whether a screen lock is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub screen_lock: Option<bool>,
    /// Whether the phone looks rooted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rooted: Option<bool>,
}

/// Where and how an app can be woken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushAddress {
    /// Who delivers.
    pub service: PushService,
    /// The token or URL at that service.
    pub address: String,
    /// Which of the service's environments the address belongs to; matters for APNs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<PushEnvironment>,
    /// Whether the user lets the app be woken.
    pub enabled: bool,
}

/// A push service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PushService {
    /// Apple Push Notification service.
    Apns,
    /// Firebase Cloud Messaging.
    Fcm,
    /// Huawei Push Kit.
    Hms,
    /// Web Push (RFC 8030), also `UnifiedPush`.
    WebPush,
    /// The platform itself.
    Direct,
}

/// Which of a push service's environments an address belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PushEnvironment {
    /// Released apps.
    Production,
    /// Development builds.
    Sandbox,
}

/// A text that breaks a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field} {rule}", field = .target.trim_start_matches("proof."))]
pub struct Unfit {
    target: &'static str,
    rule: TextRule,
}

impl Unfit {
    pub(crate) const fn new(target: &'static str, rule: TextRule) -> Self {
        Self { target, rule }
    }

    /// The member at fault, as the error envelope's `target` names it: `proof.app.version`.
    #[must_use]
    pub const fn target(&self) -> &'static str {
        self.target
    }

    /// The rule it breaks.
    #[must_use]
    pub const fn rule(&self) -> TextRule {
        self.rule
    }
}

/// What texts that people will read in consoles and audit records must obey.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextRule {
    /// Required, and empty.
    #[error("must not be empty")]
    Empty,
    /// More characters than allowed.
    #[error("must have at most {0} characters")]
    TooLong(usize),
    /// Control characters forge log lines; bidirectional overrides make text read as something else
    /// (UAX 9).
    #[error("must not have control or bidirectional-override characters")]
    ForbiddenCharacter,
}

/// Checks all texts of `app`, `dev` and `push`.
pub fn check_facts(
    app: &AppFacts,
    dev: &DeviceFacts,
    push: Option<&PushAddress>,
) -> Result<(), Unfit> {
    required("proof.app.id", &app.id, MAX_TEXT_CHARACTERS)?;
    optional("proof.app.package", app.package.as_deref())?;
    optional("proof.app.version", app.version.as_deref())?;
    optional("proof.dev.manufacturer", dev.manufacturer.as_deref())?;
    optional("proof.dev.model", dev.model.as_deref())?;
    optional("proof.dev.os_version", dev.os_version.as_deref())?;
    optional("proof.dev.locale", dev.locale.as_deref())?;
    required("proof.dev.sdk_version", &dev.sdk_version, MAX_TEXT_CHARACTERS)?;
    push.map_or(Ok(()), |push| {
        required("proof.push.address", &push.address, MAX_ADDRESS_CHARACTERS)
    })
}

fn required(target: &'static str, text: &str, most: usize) -> Result<(), Unfit> {
    if text.is_empty() {
        return Err(Unfit { target, rule: TextRule::Empty });
    }
    check_text(text, most).map_err(|rule| Unfit { target, rule })
}

fn optional(target: &'static str, text: Option<&str>) -> Result<(), Unfit> {
    let text = text.unwrap_or_default();
    check_text(text, MAX_TEXT_CHARACTERS).map_err(|rule| Unfit { target, rule })
}

pub(crate) fn check_text(text: &str, most: usize) -> Result<(), TextRule> {
    if text.chars().nth(most).is_some() {
        return Err(TextRule::TooLong(most));
    }
    let reorders = |c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if text.chars().any(|c| c.is_control() || reorders(c)) {
        return Err(TextRule::ForbiddenCharacter);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
