//! Challenges: what the platform asks a phone, and what the phone answers.
//!
//! A push message is a hint ([`crate::push`]); the question itself is fetched, signed by the platform, and an approval repeats
//! the hash of what was fetched, so that nobody approves what was not shown.

use serde::{Deserialize, Serialize};

use crate::device_api::DeviceRequest;
use crate::encoding;
use crate::jose::{self, CompactError};
use crate::jwk::{EcPublicKey, JwkSet, Thumbprint};
use crate::mobile_payload::{
    Confirmation, MAX_ADDRESS_CHARACTERS, PushAddress, TextRule, Unfit, check_text,
};
use crate::pairing::{Reference, UserFacts};
use crate::platform_token::{self, TokenError};
use crate::proof::{self, Proof, ProofError, Verified};
use crate::push::{PushMessage, PushNonce};
use crate::time::{Timestamp, unix_seconds};

/// The longest that the platform may be asked to wait for a challenge, in seconds.
pub const MAX_WAIT_SECONDS: u8 = 25;

/// The most challenges that a phone can say to know.
pub const MAX_KNOWN: usize = 32;

/// The most characters of the name of an authentication method.
pub const MAX_METHOD_CHARACTERS: usize = 32;

/// Asks for the challenges that wait for this installation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChallengesRequest {
    /// Seconds to wait, if all that there is is known; at most [`MAX_WAIT_SECONDS`].
    #[serde(default)]
    pub wait: u8,
    /// Ids of challenges that the phone has already; at most [`MAX_KNOWN`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub known: Vec<String>,
}

impl Proof for ChallengesRequest {
    const TYP: &'static str = "countersign-challenges+jwt";
    const LIFE_SECONDS: i64 = 60;
}

impl DeviceRequest for ChallengesRequest {
    const PATH: &'static str = "/challenges";
    type Response = ChallengesResponse;
}

/// The subprotocol of the socket by which an installation is told what waits for it (RFC 6455, section 1.9).
pub const SOCKET_PROTOCOL: &str = "countersign-push.v1";

/// Close codes of the socket (RFC 6455, section 7.4).
pub mod close_code {
    /// The proof does not count, or the installation is not paired any more; or the phone has said what is not expected.
    pub const POLICY: u16 = 1008;
    /// A frame was too long.
    pub const TOO_LONG: u16 = 1009;
    /// The platform has failed.
    pub const ERROR: u16 = 1011;
    /// The node is restarted; another one may be there already.
    pub const RESTART: u16 = 1012;
    /// There are too many sockets.
    pub const TRY_LATER: u16 = 1013;
    /// A newer socket of the same installation has taken the place of this one.
    pub const SUPERSEDED: u16 = 4_001;
}

/// The first frame of an installation on a socket: who it is. Each frame of the platform is a [`ChallengesResponse`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketRequest {
    /// From `GET D/nonce`, at most 300 s old.
    pub nonce: String,
}

impl Proof for SocketRequest {
    const TYP: &'static str = "countersign-socket+jwt";
    const LIFE_SECONDS: i64 = 60;
}

impl DeviceRequest for SocketRequest {
    const PATH: &'static str = "/socket";
    type Response = ChallengesResponse;
}

/// What the platform answers to a [`ChallengesRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChallengesResponse {
    /// All visible challenges that wait for an answer: of those that the phone knew and that are not here, none waits.
    pub challenges: Vec<PendingChallenge>,
    /// What a push service would have brought; for installations whose push address is the platform itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<PushMessage>,
}

/// A visible challenge that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingChallenge {
    /// Its id.
    pub id: String,
    /// A [`Statement`] as compact JWS.
    pub statement: String,
}

/// What the person is asked, as the platform signs it. Equal for every time that it is fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The issuer `I`.
    pub iss: String,
    /// The installation that is asked.
    pub aud: Thumbprint,
    /// Id of the challenge.
    pub jti: String,
    /// When it was asked, whole seconds.
    #[serde(with = "unix_seconds")]
    pub iat: Timestamp,
    /// From when on an answer is too late, whole seconds.
    #[serde(with = "unix_seconds")]
    pub exp: Timestamp,
    /// Whose sign-on it is.
    pub user: UserFacts,
    /// The user's device that is asked.
    pub device: Reference,
    /// Name of the application that the person signs on to.
    pub application: String,
    /// Title, in the language of the phone.
    pub title: String,
    /// Text, in the language of the phone.
    pub message: String,
    /// What the application wants shown: the text of a JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_context: Option<String>,
    /// The number that must be matched, if one must.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number_matching: Option<NumberMatching>,
    /// From where it is asked.
    #[serde(default, skip_serializing_if = "Origin::is_empty")]
    pub origin: Origin,
}

/// From where a sign-on is begun.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The network address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// What the browser calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub browser: Option<String>,
}

impl Origin {
    /// Whether nothing is known of it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.address.is_none() && self.browser.is_none()
    }
}

/// How the number that the sign-on page shows comes into the phone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum NumberMatching {
    /// The person picks it out of these.
    SelectNumber {
        /// Three, one of which is right.
        options: Vec<u32>,
    },
    /// The person types it. It never travels to the phone.
    EnterManually {
        /// How many digits it has, with leading zeros.
        digits: u8,
    },
}

/// Why a statement is not believed.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// It is not a good token of the platform.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// It is not three parts, or too long.
    #[error("the statement {0}")]
    Compact(#[from] CompactError),
    /// Another environment says it, or it is for another installation, or about another challenge.
    #[error("iss, aud and jti must be those of the platform, this installation and the challenge")]
    NotOurs,
}

impl Statement {
    /// `typ` of the header.
    pub const TYP: &'static str = "countersign-challenge+jwt";

    /// The statement, and the hash by which an answer names it, when `pending` is `issuer`'s to the installation `aud`.
    /// Whether it has expired is left to the caller.
    pub fn verify(
        pending: &PendingChallenge,
        keys: &JwkSet,
        (issuer, aud): (&str, Thumbprint),
    ) -> Result<(Self, ShownHash), StatementError> {
        let statement: Self = platform_token::verify(&pending.statement, keys, Self::TYP)?;
        if (statement.iss.as_str(), statement.aud, &statement.jti) != (issuer, aud, &pending.id) {
            return Err(StatementError::NotOurs);
        }
        let claims = jose::split(&pending.statement)?.claims;
        Ok((statement, ShownHash::of(&claims)))
    }
}

/// SHA-256 of the claims of a [`Statement`], as their bytes are signed. Signatures differ from time to time; claims do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ShownHash([u8; 32]);

impl ShownHash {
    /// Of claims as JSON.
    #[must_use]
    pub fn of(claims: &[u8]) -> Self {
        Self(jose::sha256(claims))
    }
}

impl TryFrom<String> for ShownHash {
    type Error = encoding::EncodingError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        encoding::decode_array(&text).map(Self)
    }
}

impl From<ShownHash> for String {
    fn from(hash: ShownHash) -> Self {
        encoding::encode(hash.0)
    }
}

/// An answer to one challenge.
pub trait ChallengeRequest: Proof {
    /// Last part of the path.
    const ACTION: &'static str;

    /// Address and audience of this answer in the environment of `device_base`.
    #[must_use]
    fn address(device_base: &str, challenge: &str) -> String {
        format!("{device_base}/challenges/{challenge}/{}", Self::ACTION)
    }
}

/// Shows that a silent push has arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// The nonce of the push message.
    pub nonce: PushNonce,
}

impl Proof for Acknowledgement {
    const TYP: &'static str = "countersign-ack+jwt";
    const LIFE_SECONDS: i64 = 30;
}

impl ChallengeRequest for Acknowledgement {
    const ACTION: &'static str = "acknowledge";
}

/// The person agrees. Signed by the user-verification key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// What was shown.
    pub shown: ShownHash,
    /// How the person was verified, as the app says: `fpt`, `face`, `pin`, `user`, ... (RFC 8176).
    pub method: String,
    /// The number that was picked or typed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u32>,
}

impl Proof for Approval {
    const TYP: &'static str = "countersign-approval+jwt";
    const LIFE_SECONDS: i64 = 60;

    fn check(&self) -> Result<(), Unfit> {
        let rule = if self.method.is_empty() {
            Err(TextRule::Empty)
        } else {
            check_text(&self.method, MAX_METHOD_CHARACTERS)
        };
        rule.map_err(|rule| Unfit::new("proof.method", rule))
    }
}

impl ChallengeRequest for Approval {
    const ACTION: &'static str = "approve";
}

/// The person does not agree. Signed by the possession key, so that a no never needs a finger.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Why.
    pub reason: RefusalReason,
}

impl Proof for Refusal {
    const TYP: &'static str = "countersign-refusal+jwt";
    const LIFE_SECONDS: i64 = 60;
}

impl ChallengeRequest for Refusal {
    const ACTION: &'static str = "deny";
}

/// Why a person does not agree.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RefusalReason {
    /// Not said.
    #[default]
    None,
    /// The person has not asked for this: somebody else has.
    ReportFraud,
    /// The phone could not verify the person.
    BiometricsRejected,
}

/// What the platform answers to an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChallengeResponse {
    /// What has become of the challenge.
    pub status: ChallengeStatus,
}

/// What has become of a challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ChallengeStatus {
    /// The silent push has arrived.
    Acknowledged,
    /// The person has agreed.
    Approved,
    /// The person has not agreed.
    Denied,
    /// The number was wrong, which is as good as a no.
    WrongNumber,
    /// Something this version does not know.
    #[serde(other)]
    Unknown,
}

/// Tells the platform where the app can be woken from now on: for all devices of this installation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushAddressRequest {
    /// From `GET D/nonce`, at most 300 s old.
    pub nonce: String,
    /// The address; absent: nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push: Option<PushAddress>,
}

impl Proof for PushAddressRequest {
    const TYP: &'static str = "countersign-push-address+jwt";
    const LIFE_SECONDS: i64 = 60;

    fn check(&self) -> Result<(), Unfit> {
        let Some(push) = &self.push else { return Ok(()) };
        let rule = if push.address.is_empty() {
            Err(TextRule::Empty)
        } else {
            check_text(&push.address, MAX_ADDRESS_CHARACTERS)
        };
        rule.map_err(|rule| Unfit::new("proof.push.address", rule))
    }
}

impl DeviceRequest for PushAddressRequest {
    const PATH: &'static str = "/push-address";
    type Response = PushAddressResponse;
}

/// What the platform answers to a [`PushAddressRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushAddressResponse {
    /// The devices that can be reached there now.
    pub devices: Vec<Reference>,
}

/// Asks the platform to send a test message to this installation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushTestRequest {
    /// From `GET D/nonce`, at most 300 s old.
    pub nonce: String,
}

impl Proof for PushTestRequest {
    const TYP: &'static str = "countersign-push-test+jwt";
    const LIFE_SECONDS: i64 = 60;
}

impl DeviceRequest for PushTestRequest {
    const PATH: &'static str = "/push-tests";
    type Response = PushTestResponse;
}

/// What the platform answers to a [`PushTestRequest`], once the push service has answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PushTestResponse {
    /// Id of the test, which the message carries.
    pub id: String,
    /// Whether the push service has taken the message. That it arrives, the app sees itself.
    pub accepted: bool,
    /// Why not: `MissingPushCredentials`, `MissingDeviceToken`, `PushDisabled`, or what the push service said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
}

/// The user-verification key of an installation, shown at pairing. Signed by that key itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerificationKey {
    /// The user-verification key.
    pub cnf: Confirmation,
    /// The installation that it belongs to.
    pub installation: Thumbprint,
    /// The nonce of the pairing request that carries this.
    pub nonce: String,
}

impl Proof for VerificationKey {
    const TYP: &'static str = "countersign-verification-key+jwt";
    const LIFE_SECONDS: i64 = 300;
}

impl VerificationKey {
    /// Verifies one with the key that it brings, for the pairing request that it came in.
    pub fn verify(
        jws: &str,
        (installation, nonce): (Thumbprint, &str),
        audience: &str,
        now: Timestamp,
    ) -> Result<EcPublicKey, VerificationKeyError> {
        let verified: Verified<Self> = proof::verify_confirmed(jws, audience, now)?;
        let body = verified.body();
        if body.installation != installation || body.nonce != nonce {
            return Err(VerificationKeyError::OtherPairing);
        }
        if body.cnf.jwk.thumbprint() == installation {
            return Err(VerificationKeyError::SameKey);
        }
        Ok(body.cnf.jwk)
    }
}

/// Why a user-verification key is not taken.
#[derive(Debug, thiserror::Error)]
pub enum VerificationKeyError {
    /// It breaks a rule of proofs.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// It was made for another installation or another pairing.
    #[error("installation and nonce must be those of the pairing request")]
    OtherPairing,
    /// A key that asks nobody cannot show that somebody was asked.
    #[error("must be another key than the possession key")]
    SameKey,
}

#[cfg(test)]
mod tests;
