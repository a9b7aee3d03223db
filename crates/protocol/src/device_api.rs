//! The device API around the proofs: addresses, bodies, errors and the server's time.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::jwk::{JwkSet, Thumbprint};
use crate::pairing::{
    DenialResponse, Name, PairingDenial, PairingRequest, PairingResponse, Reference,
};
use crate::platform_token::{self, TokenError};
use crate::proof::{Jti, Proof};
use crate::time::{Timestamp, unix_seconds};

/// Path of the nonce under the device API.
pub const NONCE_PATH: &str = "/nonce";

/// Path of the server's time under the device API.
pub const TIME_PATH: &str = "/time";

/// How long a nonce is good for.
pub const NONCE_LIFE_SECONDS: i64 = 300;

/// The header that repeats the `id` of an error.
pub const CORRELATION_HEADER: &str = "Correlation-Id";

/// The address `D` of the device API that belongs to `issuer`:
/// `https://HOST/{environment}/device/v1`. `None` when the issuer does not end in `/as`.
#[must_use]
pub fn device_base(issuer: &str) -> Option<String> {
    issuer.strip_suffix("/as").map(|environment| format!("{environment}/device/v1"))
}

/// A proof that is posted to the device API, and what comes back.
pub trait DeviceRequest: Proof {
    /// Path under the device API. The whole address is also the audience.
    const PATH: &'static str;
    /// Body of a 2xx answer.
    type Response: Serialize + DeserializeOwned;

    /// Address and audience of this request in the environment of `device_base`.
    #[must_use]
    fn address(device_base: &str) -> String {
        format!("{device_base}{}", Self::PATH)
    }
}

impl DeviceRequest for PairingRequest {
    const PATH: &'static str = "/pairings";
    type Response = PairingResponse;
}

impl DeviceRequest for PairingDenial {
    const PATH: &'static str = "/pairings/denials";
    type Response = DenialResponse;
}

/// Asks which users this installation is paired to. Has no claims of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InfoRequest {}

impl Proof for InfoRequest {
    const TYP: &'static str = "countersign-info+jwt";
    const LIFE_SECONDS: i64 = 60;
}

impl DeviceRequest for InfoRequest {
    const PATH: &'static str = "/info";
    type Response = InfoResponse;
}

/// The statement that this installation shall no longer vouch for a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnpairingRequest {
    /// From `GET D/nonce`, at most 300 s old.
    pub nonce: String,
    /// Id of the user; absent means every user of this installation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

impl Proof for UnpairingRequest {
    const TYP: &'static str = "countersign-unpairing+jwt";
    const LIFE_SECONDS: i64 = 60;
}

impl DeviceRequest for UnpairingRequest {
    const PATH: &'static str = "/unpairings";
    type Response = UnpairingResponse;
}

/// The body of every request: one proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(expecting = "an object")]
pub struct ProofBody {
    /// The compact JWS.
    pub proof: String,
}

/// What `GET D/nonce` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NonceResponse {
    /// To be put into a proof, once.
    pub nonce: String,
    /// Seconds for which it is good.
    pub expires_in: i64,
}

/// What `GET D/time` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TimeResponse {
    /// A [`ServerTime`] as compact JWS.
    pub server_time: String,
}

/// What the platform answers to an [`InfoRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InfoResponse {
    /// The users that this installation vouches for.
    pub users: Vec<PairedUser>,
}

/// A user, with the device that this installation is for that user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairedUser {
    /// Id of the user.
    pub id: String,
    /// Name for signing in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Name for people.
    #[serde(default, skip_serializing_if = "Name::is_empty")]
    pub name: Name,
    /// Where the user lives.
    pub environment: Reference,
    /// The device.
    pub device: PairedDevice,
}

/// A device as its own installation sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PairedDevice {
    /// Id of the device.
    pub id: String,
    /// What the user calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nickname: Option<String>,
    /// Whether pairing was finished.
    pub status: DeviceStatus,
    /// Whether an admin blocked it.
    pub block: BlockStatus,
    /// Whether too many wrong answers locked it for a while.
    pub lock: LockStatus,
    /// When it was paired (RFC 3339).
    pub created_at: String,
    /// Whether an admin asks for the log of the app.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub logs_requested: bool,
}

/// Whether pairing was finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DeviceStatus {
    /// It was.
    Active,
    /// Something this version does not know.
    #[serde(other)]
    Unknown,
}

/// Whether an admin blocked a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BlockStatus {
    /// Usable.
    Unblocked,
    /// Not usable until an admin unblocks it.
    Blocked,
    /// Something this version does not know.
    #[serde(other)]
    Unknown,
}

/// Whether a device is locked for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LockStatus {
    /// Usable.
    Unlocked,
    /// Not usable until the lock ends.
    Locked,
    /// Something this version does not know.
    #[serde(other)]
    Unknown,
}

/// What the platform answers to an [`UnpairingRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnpairingResponse {
    /// The devices that are gone.
    pub removed: Vec<Reference>,
}

/// The body of every error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// Names this error in the platform's log; also the header [`CORRELATION_HEADER`].
    pub id: String,
    /// What happened.
    pub code: ErrorCode,
    /// The same for developers.
    pub message: String,
    /// What exactly; often one, sometimes none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<ErrorDetail>,
}

/// What happened to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ErrorCode {
    /// 400, 405, 413, 415: the request breaks a rule of the protocol.
    InvalidRequest,
    /// 400: the proof is good, what it asks for is not possible.
    RequestFailed,
    /// 401: no device with this key.
    DeviceNotPaired,
    /// 404: no such address.
    NotFound,
    /// 409: the same number over other claims.
    Conflict,
    /// 500: the platform's fault.
    UnexpectedError,
    /// 503: come back after `Retry-After`.
    Unavailable,
    /// Something this version does not know.
    #[serde(other)]
    Unknown,
}

/// One thing that is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorDetail {
    /// Which kind of wrong.
    pub code: DetailCode,
    /// The member at fault: `proof.aud`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The same for developers.
    pub message: String,
    /// What a program may need to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inner_error: Option<InnerError>,
}

/// Which kind of wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DetailCode {
    /// A member breaks a rule.
    InvalidValue,
    /// A member is missing.
    RequiredValue,
    /// The proof is outside its time; [`InnerError::server_time`] says what time it is.
    ClockSkew,
    /// The number was used before.
    Replayed,
    /// No such ticket, or not for this installation.
    TicketInvalid,
    /// The ticket is older than ten minutes.
    TicketExpired,
    /// The ticket was used.
    TicketSpent,
    /// The user has as many devices as allowed.
    LimitExceeded,
    /// Pairing is switched off.
    PairingDisabled,
    /// No such challenge, or not for this installation.
    ChallengeInvalid,
    /// The answer comes too late.
    ChallengeExpired,
    /// The question was withdrawn.
    ChallengeCancelled,
    /// Another answer has counted.
    ChallengeAnswered,
    /// No such authentication code, or not one that this installation has claimed.
    CodeInvalid,
    /// The code is for the phones of another application.
    CodeOtherApplication,
    /// The code is too old.
    CodeExpired,
    /// A phone has claimed the code already.
    CodeClaimed,
    /// The code has come to its end.
    CodeEnded,
    /// The installation is blocked or locked.
    DeviceBarred,
    /// The installation is paired to this user already.
    AlreadyPaired,
    /// The phone does not meet the integrity requirements of the application.
    DeviceCompromised,
    /// No such pairing key.
    PairingKeyInvalid,
    /// The pairing key is for the phones of another application.
    PairingKeyOtherApplication,
    /// The pairing key is too old.
    PairingKeyExpired,
    /// Another phone has claimed the pairing key.
    PairingKeyClaimed,
    /// Something this version does not know.
    #[serde(other)]
    Unknown,
}

/// What a program may need to go on after an error.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InnerError {
    /// A [`ServerTime`] as compact JWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_time: Option<String>,
}

/// The claims by which the platform says what time it is, signed with the environment's ES256 key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerTime {
    /// The issuer `I`.
    pub iss: String,
    /// The time, whole seconds.
    #[serde(with = "unix_seconds")]
    pub iat: Timestamp,
    /// Who is answered: the `kid` of a proof outside its time, or of a question at
    /// [`Self::address`].
    pub aud: Thumbprint,
    /// The `jti` of that proof or question, so that an old answer is of no use.
    pub jti: Jti,
}

/// Why a server time is not believed.
#[derive(Debug, thiserror::Error)]
pub enum ServerTimeError {
    /// It is not a good token of the platform.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Another environment says it.
    #[error("iss must be {expected}")]
    WrongIssuer {
        /// The only accepted value.
        expected: String,
    },
    /// It answers another request.
    #[error("aud and jti must be those of the request that it answers")]
    OtherRequest,
}

impl ServerTime {
    /// `typ` of the header.
    pub const TYP: &'static str = "countersign-time+jwt";

    /// Where anybody may ask for the time under `device_base`, with the name `kid` and a fresh
    /// `jti`.
    #[must_use]
    pub fn address(device_base: &str, (kid, jti): (Thumbprint, Jti)) -> String {
        // base64url means itself in a query (RFC 3986 section 2.3).
        format!("{device_base}{TIME_PATH}?kid={kid}&jti={jti}")
    }

    /// The server's time, when `jws` is `issuer`'s answer to the request `jti` of the installation
    /// `aud`.
    pub fn verify(
        jws: &str,
        keys: &JwkSet,
        issuer: &str,
        (aud, jti): (Thumbprint, Jti),
    ) -> Result<Timestamp, ServerTimeError> {
        let claims: Self = platform_token::verify(jws, keys, Self::TYP)?;
        if claims.iss != issuer {
            return Err(ServerTimeError::WrongIssuer { expected: issuer.to_owned() });
        }
        if (claims.aud, claims.jti) != (aud, jti) {
            return Err(ServerTimeError::OtherRequest);
        }
        Ok(claims.iat)
    }
}

#[cfg(test)]
mod tests;
