//! Pairing: the offer inside the ID token, and what the phone answers to it.

use aws_lc_rs::hmac;
use serde::{Deserialize, Serialize};

use crate::device_api::DeviceRequest;
use crate::jwk::{EcPublicKey, Thumbprint};
use crate::mobile_payload::{AppFacts, DeviceFacts, PushAddress, Unfit, check_facts};
use crate::otp::{self, DEFAULT_STEP_SECONDS, Passcode};
use crate::proof::Proof;
use crate::secret::{self, Secret};
use crate::time::{Timestamp, unix_seconds};

/// How long after it was offered a pairing can be approved.
pub const TICKET_LIFE_SECONDS: i64 = 600;

/// The claim `countersign_pairing` of an ID token whose flow carried a mobile payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum PairingClaim {
    /// The installation may be paired to the user of the token.
    Offered {
        /// Proves the offer; opaque to the phone.
        #[serde(serialize_with = "secret::reveal")]
        ticket: Secret<String>,
        /// The installation that the offer is for.
        jkt: Thumbprint,
        /// From when on the ticket is refused.
        #[serde(with = "unix_seconds")]
        expires_at: Timestamp,
        /// The step of the application's passcodes.
        #[serde(default = "default_step_seconds")]
        step_seconds: i64,
    },
    /// The installation is paired to this user: nothing to do.
    AlreadyPaired,
    /// The user has as many devices as allowed.
    LimitReached,
    /// The application does not enrol automatically, or pairing is switched off.
    Disabled,
    /// The policy holds the phone to be compromised.
    Compromised,
}

const fn default_step_seconds() -> i64 {
    DEFAULT_STEP_SECONDS
}

/// The statement that the user wants this installation paired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairingRequest {
    /// From `GET D/nonce`, at most 300 s old.
    pub nonce: String,
    /// The ticket of the offer.
    #[serde(serialize_with = "secret::reveal")]
    pub ticket: Secret<String>,
    /// The key to which the seed is sealed.
    pub agreement: EcPublicKey,
    /// A [`crate::challenge::VerificationKey`] as compact JWS; absent when the phone has no way to verify its user. Then it
    /// approves nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<String>,
    /// Shows that both sides' clocks and algorithms agree: [`passcode_proof`].
    pub passcode: Passcode,
    /// The app.
    pub app: AppFacts,
    /// The phone.
    pub dev: DeviceFacts,
    /// Where the app can be woken; absent when it has no address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push: Option<PushAddress>,
}

impl Proof for PairingRequest {
    const TYP: &'static str = "countersign-pairing+jwt";
    const LIFE_SECONDS: i64 = 300;

    fn check(&self) -> Result<(), Unfit> {
        check_facts(&self.app, &self.dev, self.push.as_ref())
    }
}

/// A statement by which a phone is paired, whatever it rests on.
pub trait Pair: DeviceRequest<Response = PairingResponse> {
    /// What the platform makes a device of.
    fn facts(&self) -> PairingFacts<'_>;
}

/// What every statement says by which a phone is paired.
#[derive(Debug, Clone, Copy)]
pub struct PairingFacts<'a> {
    /// From `GET D/nonce`.
    pub nonce: &'a str,
    /// What the [`passcode_proof`] is made of: the ticket or the key that the statement rests on.
    pub secret: &'a str,
    /// The key to which the seed is sealed.
    pub agreement: &'a EcPublicKey,
    /// A [`crate::challenge::VerificationKey`] as compact JWS.
    pub verification: Option<&'a str>,
    /// The [`passcode_proof`].
    pub passcode: &'a Passcode,
    /// The step of that proof; none: the step of the application's passcodes, which an offer tells the phone.
    pub step_seconds: Option<i64>,
    /// The app.
    pub app: &'a AppFacts,
    /// The phone.
    pub dev: &'a DeviceFacts,
    /// Where the app can be woken.
    pub push: Option<&'a PushAddress>,
}

impl Pair for PairingRequest {
    fn facts(&self) -> PairingFacts<'_> {
        PairingFacts {
            nonce: &self.nonce,
            secret: self.ticket.expose(),
            agreement: &self.agreement,
            verification: self.verification.as_deref(),
            passcode: &self.passcode,
            step_seconds: None,
            app: &self.app,
            dev: &self.dev,
            push: self.push.as_ref(),
        }
    }
}

/// The statement that the user does not want this installation paired. Spends the ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairingDenial {
    /// From `GET D/nonce`, at most 300 s old.
    pub nonce: String,
    /// The ticket of the offer.
    #[serde(serialize_with = "secret::reveal")]
    pub ticket: Secret<String>,
}

impl Proof for PairingDenial {
    const TYP: &'static str = "countersign-denial+jwt";
    const LIFE_SECONDS: i64 = 300;
}

/// The passcode by which a phone shows, before anybody relies on it, that its passcodes will be
/// understood.
///
/// TOTP of the key `HMAC-SHA-256(ticket, "countersign passcode proof")`, at the phone's own clock,
/// uncorrected. `ticket` is its text as bytes.
#[must_use]
pub fn passcode_proof(ticket: &[u8], step_seconds: i64, now: Timestamp) -> Passcode {
    otp::generate(passcode_proof_key(ticket).as_ref(), step_seconds, now)
}

/// Whether `passcode` is the [`passcode_proof`] of `ticket` at `now`, or up to `windows` steps
/// before or after.
#[must_use]
pub fn passcode_proof_holds(
    ticket: &[u8],
    step_seconds: i64,
    windows: u8,
    passcode: &Passcode,
    now: Timestamp,
) -> bool {
    let key = passcode_proof_key(ticket);
    otp::matching_step(key.as_ref(), step_seconds, windows, passcode.expose(), now).is_some()
}

fn passcode_proof_key(ticket: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, ticket), b"countersign passcode proof")
}

/// What the platform answers to a [`PairingRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairingResponse {
    /// The new device.
    pub device: Reference,
    /// Where it lives.
    pub environment: Reference,
    /// Whose it is.
    pub user: UserFacts,
    /// What it can be used for, and what not and why.
    pub authenticators: Vec<Authenticator>,
    /// The passcode seed, sealed to the agreement key (see [`crate::seed`]); absent when the
    /// application has no passcodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<String>,
}

/// What the platform answers to a [`PairingDenial`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DenialResponse {
    /// Always denied.
    pub status: DenialStatus,
}

/// The end of a refused offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DenialStatus {
    /// The ticket is spent and no device was made.
    Denied,
}

/// Another object, by its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// The id.
    pub id: String,
}

/// A user, as far as a phone needs to name one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserFacts {
    /// Id of the user.
    pub id: String,
    /// Name for signing in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Name for people.
    #[serde(default, skip_serializing_if = "Name::is_empty")]
    pub name: Name,
}

/// A person's name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Name {
    /// First name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given: Option<String>,
    /// Last name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
}

impl Name {
    /// Whether nothing is known of it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.given.is_none() && self.family.is_none()
    }
}

/// One thing that a paired device can, or cannot, be used for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Authenticator {
    /// Which.
    #[serde(rename = "type")]
    pub kind: AuthenticatorKind,
    /// Whether it can be used.
    pub status: AuthenticatorStatus,
    /// Why not, for programs: `MissingDeviceToken`, `InvalidOneTimePasscode`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// Why not, for developers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
}

/// What a paired device can be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AuthenticatorKind {
    /// Answering push messages.
    Push,
    /// Showing one-time passcodes.
    OneTimePasscode,
    /// Something this version does not know.
    #[serde(other)]
    Unknown,
}

/// Whether an authenticator can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AuthenticatorStatus {
    /// It works.
    Completed,
    /// It does not.
    Failed,
    /// Something this version does not know.
    #[serde(other)]
    Unknown,
}

#[cfg(test)]
mod tests;
