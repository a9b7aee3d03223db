//! What can go wrong, and what the app can do about it.

use countersign_protocol::authentication_code::NoCode;
use countersign_protocol::challenge::StatementError;
use countersign_protocol::device_api::ServerTimeError;
use countersign_protocol::id_token::IdTokenError;
use countersign_protocol::mobile_payload::Unfit;
use countersign_protocol::pairing_key::NoKey;

use crate::config::ConfigError;
use crate::device_token::DeviceTokenError;
use crate::platform::{KeyStoreError, StorageError, TransportError};

/// Why a call of the SDK did not do what it says.
///
/// Match on a variant to treat one case; for all others [`Self::category`], [`Self::is_retriable`]
/// and [`Self::message_key`] are enough.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration breaks a rule.
    #[error("the configuration is wrong: {0}")]
    Config(#[from] ConfigError),
    /// The stored state belongs to another issuer or application. Delete the blob
    /// [`crate::STATE_BLOB`] to start anew.
    #[error("the stored state belongs to another issuer or application")]
    OtherEnvironment,
    /// The platform cannot be reached, or did not answer.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The platform has too much to do, or is being maintained.
    #[error("the platform is not available (HTTP {status})")]
    Unavailable {
        /// 429 or 503.
        status: u16,
        /// When to come back.
        retry_after_seconds: Option<u64>,
        /// Names the answer in the platform's log.
        correlation_id: Option<String>,
    },
    /// The platform has failed.
    #[error("the platform has failed (HTTP {status})")]
    Server {
        /// 500 and above.
        status: u16,
        /// Names the answer in the platform's log.
        correlation_id: Option<String>,
    },
    /// The platform does not accept what the SDK sent: one of the two is at fault, not the user.
    #[error("the platform refused the request (HTTP {status}): {message}")]
    Rejected {
        /// 400 to 499.
        status: u16,
        /// What the platform says, with the member at fault.
        message: String,
        /// Names the answer in the platform's log.
        correlation_id: Option<String>,
    },
    /// The answer is not one of the platform.
    #[error("the answer is not what the protocol says: {0}")]
    Answer(String),
    /// No user is paired to this installation, or not this one.
    #[error("this installation is not paired")]
    NotPaired {
        /// Names the answer in the platform's log, when the platform said so.
        correlation_id: Option<String>,
    },
    /// What was given is no pairing key.
    #[error("key {0}")]
    NoPairingKey(#[from] NoKey),
    /// The platform does not pair.
    #[error("the platform does not pair: {reason}")]
    PairingRefused {
        /// Why not.
        reason: PairingRefusal,
        /// Names the answer in the platform's log.
        correlation_id: Option<String>,
    },
    /// Another pairing of this installation is under way.
    #[error("another pairing is running")]
    PairingAlreadyRunning,
    /// The offer was approved or denied before.
    #[error("the offer was answered before")]
    OfferUsed,
    /// The ID token is not one of the configured platform for this application and this moment.
    #[error("the ID token is not trusted: {0}")]
    IdToken(#[from] IdTokenError),
    /// The offer in the ID token is for another installation.
    #[error("the offer is for another installation")]
    OtherInstallation,
    /// The offer in the ID token is too old.
    #[error("the offer has expired")]
    OfferExpired,
    /// The issuer's published configuration is not its own.
    #[error("the issuer's configuration is not trusted: {0}")]
    Discovery(String),
    /// The platform says that the phone's clock is wrong, but not so that it can be believed.
    #[error("the platform's time is not trusted: {0}")]
    ServerTime(#[from] ServerTimeError),
    /// The phone's clock is wrong and correcting the time did not help.
    #[error("the phone's clock does not agree with the platform's")]
    Clock,
    /// Several users are paired to this installation; say which one.
    #[error("several users are paired: say which one")]
    AmbiguousUser,
    /// The user is paired, but without one-time passcodes.
    #[error("there are no one-time passcodes for this user")]
    NoPasscodes,
    /// The device token breaks a rule of its push service.
    #[error("the device token is wrong: {0}")]
    DeviceToken(#[from] DeviceTokenError),
    /// What the platform is said to ask is not signed by it for this installation.
    #[error("the challenge is not trusted: {0}")]
    Statement(#[from] StatementError),
    /// The platform knows no such challenge, or not for this installation.
    #[error("the platform knows no such challenge")]
    ChallengeInvalid {
        /// Names the answer in the platform's log.
        correlation_id: Option<String>,
    },
    /// The answer comes too late.
    #[error("the challenge has expired")]
    ChallengeExpired {
        /// Names the answer in the platform's log.
        correlation_id: Option<String>,
    },
    /// The platform has withdrawn the question.
    #[error("the challenge was cancelled")]
    ChallengeCancelled {
        /// Names the answer in the platform's log.
        correlation_id: Option<String>,
    },
    /// Another answer has counted.
    #[error("the challenge was answered elsewhere")]
    ChallengeAnswered {
        /// Names the answer in the platform's log.
        correlation_id: Option<String>,
    },
    /// The notification was approved or denied before, or is being so.
    #[error("the notification was answered before")]
    NotificationUsed,
    /// What was read is no authentication code.
    #[error("the text {0}")]
    NoCode(#[from] NoCode),
    /// The platform does not take the authentication code, or the answer to it.
    #[error("the authentication code is not taken: {reason}")]
    CodeRefused {
        /// Why not.
        reason: CodeRefusal,
        /// Names the answer in the platform's log.
        correlation_id: Option<String>,
    },
    /// The sign-on by code was approved or denied before, or is being so.
    #[error("the sign-on was answered before")]
    AuthenticationUsed,
    /// The number was not the one that the sign-on page shows. The platform takes it as a no.
    #[error("the number was wrong")]
    WrongNumber,
    /// The challenge demands a number, and none was given.
    #[error("number must be given")]
    NumberMissing,
    /// The number is none that can be right: not among the options, too long, or not asked for.
    #[error("number must be one that was offered")]
    NumberNotOffered,
    /// The name of the authentication method breaks a rule.
    #[error("authentication_{0}")]
    AuthenticationMethod(#[from] Unfit),
    /// The person refused to be verified, or was not recognised.
    #[error("the person was not verified")]
    UserNotVerified,
    /// This phone has no way to verify its user, so nothing is approved on it.
    #[error("this phone cannot verify its user")]
    NoUserVerification,
    /// Another test of the way to this app is under way.
    #[error("another test is running")]
    TestRunning,
    /// The keys cannot be used.
    #[error(transparent)]
    KeyStore(KeyStoreError),
    /// The state cannot be read or written.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The stored state was written by a later version, or is not whole.
    #[error("the stored state cannot be read: {0}")]
    State(String),
}

impl From<KeyStoreError> for Error {
    fn from(error: KeyStoreError) -> Self {
        match error {
            KeyStoreError::NotVerified => Self::UserNotVerified,
            KeyStoreError::Failed(_) => Self::KeyStore(error),
        }
    }
}

/// Why the platform does not pair, although the proof is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PairingRefusal {
    /// No such ticket, or not for this installation.
    #[error("the ticket is not valid")]
    TicketInvalid,
    /// The ticket is too old.
    #[error("the ticket has expired")]
    TicketExpired,
    /// The ticket was used.
    #[error("the ticket was used")]
    TicketSpent,
    /// The user has as many devices as allowed.
    #[error("the user has as many devices as allowed")]
    LimitExceeded,
    /// Pairing is switched off.
    #[error("pairing is switched off")]
    PairingDisabled,
    /// The phone does not meet the integrity requirements of the application.
    #[error("the phone does not meet the requirements of the application")]
    DeviceCompromised,
    /// No such pairing key.
    #[error("there is no such pairing key")]
    KeyInvalid,
    /// The pairing key is too old.
    #[error("the pairing key has expired")]
    KeyExpired,
    /// Another phone has claimed the pairing key.
    #[error("the pairing key was used")]
    KeyClaimed,
    /// The pairing key is for the phones of another application.
    #[error("the pairing key is for another app")]
    OtherApplication,
    /// This installation is paired to the user already.
    #[error("this installation is paired to the user already")]
    AlreadyPaired,
}

impl PairingRefusal {
    const fn message_key(self) -> &'static str {
        match self {
            Self::TicketInvalid | Self::TicketExpired | Self::TicketSpent => {
                "countersign.error.offer_expired"
            }
            Self::LimitExceeded => "countersign.error.too_many_devices",
            Self::PairingDisabled => "countersign.error.pairing_disabled",
            Self::DeviceCompromised => "countersign.error.device_compromised",
            Self::KeyInvalid | Self::KeyExpired | Self::KeyClaimed => {
                "countersign.error.pairing_key_over"
            }
            Self::OtherApplication => "countersign.error.pairing_key_of_other_app",
            Self::AlreadyPaired => "countersign.error.already_paired",
        }
    }
}

/// Why the platform does not take an authentication code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodeRefusal {
    /// No such code, or not one that this installation has claimed.
    #[error("there is no such code")]
    Invalid,
    /// It is for the phones of another application.
    #[error("it is for another app")]
    OtherApplication,
    /// It is too old.
    #[error("it has expired")]
    Expired,
    /// A phone has claimed it.
    #[error("a phone has claimed it")]
    Claimed,
    /// It has come to its end.
    #[error("it was answered")]
    Ended,
    /// All devices of this installation are blocked or locked.
    #[error("this phone is blocked or locked")]
    DeviceBarred,
}

/// Whose turn it is after an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Category {
    /// The network's: try again when there is one.
    Network,
    /// The platform's: try again later, then report with the correlation id.
    Server,
    /// The app developer's: the call or the configuration is wrong.
    Input,
    /// Nobody's yet: somebody may be attacking, or an environment is set up wrongly. Do not go on.
    Security,
    /// The app's: it is not in a state in which this can be done.
    State,
    /// The administrator's: a policy says no. Explain; trying again does not help.
    Policy,
}

impl Error {
    /// Whose turn it is.
    #[must_use]
    pub const fn category(&self) -> Category {
        match self {
            Self::Transport(TransportError::NoAnswer(_)) => Category::Network,
            Self::Transport(TransportError::TooLong | TransportError::NoSockets)
            | Self::Unavailable { .. }
            | Self::Server { .. }
            | Self::Rejected { .. }
            | Self::Answer(_) => Category::Server,
            Self::Config(_)
            | Self::AmbiguousUser
            | Self::DeviceToken(_)
            | Self::NumberMissing
            | Self::NumberNotOffered
            | Self::AuthenticationMethod(_)
            | Self::NoCode(_)
            | Self::NoPairingKey(_) => Category::Input,
            Self::Transport(TransportError::NotTrusted(_))
            | Self::IdToken(_)
            | Self::OtherInstallation
            | Self::Discovery(_)
            | Self::ServerTime(_)
            | Self::Statement(_) => Category::Security,
            Self::PairingRefused {
                reason:
                    PairingRefusal::LimitExceeded
                    | PairingRefusal::PairingDisabled
                    | PairingRefusal::DeviceCompromised,
                ..
            }
            | Self::CodeRefused { reason: CodeRefusal::DeviceBarred, .. } => Category::Policy,
            Self::OtherEnvironment
            | Self::NotPaired { .. }
            | Self::PairingRefused { .. }
            | Self::PairingAlreadyRunning
            | Self::OfferUsed
            | Self::OfferExpired
            | Self::Clock
            | Self::NoPasscodes
            | Self::ChallengeInvalid { .. }
            | Self::ChallengeExpired { .. }
            | Self::ChallengeCancelled { .. }
            | Self::ChallengeAnswered { .. }
            | Self::NotificationUsed
            | Self::CodeRefused { .. }
            | Self::AuthenticationUsed
            | Self::WrongNumber
            | Self::UserNotVerified
            | Self::NoUserVerification
            | Self::TestRunning
            | Self::KeyStore(_)
            | Self::Storage(_)
            | Self::State(_) => Category::State,
        }
    }

    /// Whether the same call may succeed later without anything being changed.
    #[must_use]
    pub const fn is_retriable(&self) -> bool {
        matches!(
            self,
            Self::Transport(TransportError::NoAnswer(_))
                | Self::Unavailable { .. }
                | Self::Server { .. }
                | Self::PairingAlreadyRunning
                | Self::UserNotVerified
                | Self::TestRunning
                | Self::KeyStore(_)
                | Self::Storage(_)
        )
    }

    /// How long the platform asks to wait.
    #[must_use]
    pub const fn retry_after_seconds(&self) -> Option<u64> {
        match self {
            Self::Unavailable { retry_after_seconds, .. } => *retry_after_seconds,
            _ => None,
        }
    }

    /// Names the answer in the platform's log; show it to who asks for support.
    #[must_use]
    pub fn correlation_id(&self) -> Option<&str> {
        match self {
            Self::Unavailable { correlation_id, .. }
            | Self::Server { correlation_id, .. }
            | Self::Rejected { correlation_id, .. }
            | Self::NotPaired { correlation_id }
            | Self::ChallengeInvalid { correlation_id }
            | Self::ChallengeExpired { correlation_id }
            | Self::ChallengeCancelled { correlation_id }
            | Self::ChallengeAnswered { correlation_id }
            | Self::CodeRefused { correlation_id, .. }
            | Self::PairingRefused { correlation_id, .. } => correlation_id.as_deref(),
            _ => None,
        }
    }

    /// Key of the text to show to the user, stable across versions. The texts are the app's.
    #[must_use]
    pub const fn message_key(&self) -> &'static str {
        match self {
            Self::Transport(TransportError::NoAnswer(_)) => "countersign.error.no_connection",
            Self::Unavailable { .. } => "countersign.error.unavailable",
            Self::NotPaired { .. } => "countersign.error.not_paired",
            Self::PairingRefused { reason, .. } => reason.message_key(),
            Self::NoPairingKey(_) => "countersign.error.no_pairing_key",
            Self::OfferExpired | Self::OfferUsed => "countersign.error.offer_expired",
            Self::PairingAlreadyRunning => "countersign.error.pairing_running",
            Self::Clock => "countersign.error.clock",
            Self::NoPasscodes => "countersign.error.no_passcodes",
            Self::Transport(TransportError::NotTrusted(_))
            | Self::IdToken(_)
            | Self::OtherInstallation
            | Self::Discovery(_)
            | Self::ServerTime(_)
            | Self::Statement(_) => "countersign.error.not_trusted",
            Self::ChallengeExpired { .. } => "countersign.error.challenge_expired",
            Self::ChallengeCancelled { .. } => "countersign.error.challenge_cancelled",
            Self::ChallengeInvalid { .. }
            | Self::ChallengeAnswered { .. }
            | Self::NotificationUsed => "countersign.error.challenge_over",
            Self::NoCode(_) => "countersign.error.no_code",
            Self::CodeRefused { reason: CodeRefusal::OtherApplication, .. } => {
                "countersign.error.code_of_other_app"
            }
            Self::CodeRefused { reason: CodeRefusal::DeviceBarred, .. } => {
                "countersign.error.device_barred"
            }
            Self::CodeRefused { .. } | Self::AuthenticationUsed => "countersign.error.code_over",
            Self::WrongNumber => "countersign.error.wrong_number",
            Self::NumberMissing | Self::NumberNotOffered => "countersign.error.number_needed",
            Self::UserNotVerified => "countersign.error.not_verified",
            Self::NoUserVerification => "countersign.error.no_screen_lock",
            Self::TestRunning => "countersign.error.test_running",
            Self::Transport(TransportError::TooLong | TransportError::NoSockets)
            | Self::Server { .. }
            | Self::Rejected { .. }
            | Self::Answer(_) => "countersign.error.server",
            Self::Config(_)
            | Self::OtherEnvironment
            | Self::AmbiguousUser
            | Self::DeviceToken(_)
            | Self::AuthenticationMethod(_)
            | Self::KeyStore(_)
            | Self::Storage(_)
            | Self::State(_) => "countersign.error.internal",
        }
    }

    /// The number that the `PingOne` SDK gives to the same case, for apps that move from it.
    #[must_use]
    pub const fn pingone_code(&self) -> u32 {
        match self {
            Self::Answer(_)
            | Self::Rejected { .. }
            | Self::AmbiguousUser
            | Self::NotificationUsed
            | Self::AuthenticationUsed
            | Self::WrongNumber
            | Self::NumberMissing
            | Self::NumberNotOffered
            | Self::AuthenticationMethod(_)
            | Self::UserNotVerified
            | Self::NoUserVerification
            | Self::KeyStore(_)
            | Self::Storage(_)
            | Self::State(_) => 10_000,
            Self::DeviceToken(_) => 10_001,
            Self::Transport(TransportError::TooLong | TransportError::NoSockets)
            | Self::Unavailable { .. }
            | Self::Server { .. } => 10_003,
            Self::Transport(TransportError::NoAnswer(_)) => 10_004,
            Self::PairingRefused {
                reason:
                    PairingRefusal::TicketInvalid
                    | PairingRefusal::TicketExpired
                    | PairingRefusal::TicketSpent
                    | PairingRefusal::KeyInvalid
                    | PairingRefusal::KeyExpired
                    | PairingRefusal::KeyClaimed
                    | PairingRefusal::AlreadyPaired,
                ..
            }
            | Self::NoPairingKey(_)
            | Self::OfferUsed
            | Self::OfferExpired => 10_005,
            Self::PairingRefused { reason: PairingRefusal::OtherApplication, .. } => 10_006,
            Self::NotPaired { .. } => 10_008,
            Self::ChallengeExpired { .. } => 10_009,
            Self::NoPasscodes | Self::Clock => 10_010,
            Self::NoCode(_) | Self::CodeRefused { .. } => 10_011,
            Self::PairingRefused {
                reason:
                    PairingRefusal::LimitExceeded
                    | PairingRefusal::PairingDisabled
                    | PairingRefusal::DeviceCompromised,
                ..
            } => 10_012,
            Self::PairingAlreadyRunning => 10_013,
            Self::TestRunning => 10_016,
            Self::Transport(TransportError::NotTrusted(_))
            | Self::IdToken(_)
            | Self::Discovery(_)
            | Self::ServerTime(_)
            | Self::Statement(_) => 10_017,
            Self::Config(_) => 10_018,
            Self::OtherEnvironment => 10_019,
            Self::ChallengeCancelled { .. } | Self::ChallengeAnswered { .. } => 10_020,
            Self::OtherInstallation | Self::ChallengeInvalid { .. } => 10_023,
        }
    }
}
