//! Why a proof is refused: one variant for each rule.

use super::Jti;
use crate::jose::{CompactError, Part};
use crate::json::JsonError;
use crate::jwk::Thumbprint;
use crate::mobile_payload::Unfit;

/// Which proof lies outside its time; both names were under the signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skew {
    /// Thumbprint of the key that signed.
    pub key: Thumbprint,
    /// The number of the proof.
    pub jti: Jti,
}

/// The rule that a proof breaks.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// Too long, not three parts, or not base64url.
    #[error("proof {0}")]
    Compact(#[from] CompactError),
    /// Header or claims are not strict JSON, or a member is missing or of the wrong form.
    #[error("proof {} {source}", .part.name())]
    Json {
        /// Which part.
        part: Part,
        /// What is wrong with it.
        source: JsonError,
    },
    /// `typ` is absent or another statement's.
    #[error("proof.header.typ must be {expected}")]
    WrongType {
        /// The only accepted value.
        expected: &'static str,
    },
    /// The header has a member beside `alg`, `kid` and `typ`.
    #[error("proof.header must not have the member {0:?}")]
    HeaderMember(String),
    /// `alg` is not the algorithm of the key, ES256.
    #[error("proof.header.alg must be ES256")]
    WrongAlgorithm,
    /// `kid` is absent or not a thumbprint.
    #[error("proof.header.kid must be an RFC 7638 thumbprint")]
    KeyId,
    /// `kid` is not the thumbprint of the key.
    #[error("proof.header.kid must be the thumbprint of the signing key")]
    WrongKey,
    /// `cnf.jwk` of a mobile payload is absent or not a P-256 public key.
    #[error("proof.cnf.jwk must be a P-256 public key: {0}")]
    ConfirmationKey(#[source] JsonError),
    /// `iss` is not `kid`.
    #[error("proof.iss must equal kid")]
    WrongIssuer,
    /// `aud` is another address, or another environment's.
    #[error("proof.aud must be {expected}")]
    WrongAudience {
        /// The only accepted value.
        expected: String,
    },
    /// The signature is not one of this key over these bytes.
    #[error("proof signature is not valid")]
    BadSignature,
    /// `exp` is not after `iat`, or too long after it.
    #[error("proof.exp must be after iat by at most {at_most_seconds} s")]
    Life {
        /// The longest life of this kind.
        at_most_seconds: i64,
    },
    /// `exp` has passed.
    #[error("proof.exp has passed")]
    Expired(Skew),
    /// `iat` is ahead of the clock by more than [`super::MAX_AHEAD_SECONDS`].
    #[error("proof.iat is in the future")]
    IssuedInFuture(Skew),
    /// A text claim is too long or has forbidden characters.
    #[error("proof.{0}")]
    Text(#[from] Unfit),
}

impl ProofError {
    /// The member at fault, as the error envelope's `target` names it.
    #[must_use]
    pub const fn target(&self) -> &'static str {
        match self {
            Self::Compact(_) | Self::Json { part: Part::Claims | Part::Signature, .. } => "proof",
            Self::Json { part: Part::Header, .. } | Self::HeaderMember(_) => "proof.header",
            Self::WrongType { .. } => "proof.header.typ",
            Self::WrongAlgorithm => "proof.header.alg",
            Self::KeyId | Self::WrongKey => "proof.header.kid",
            Self::ConfirmationKey(_) => "proof.cnf.jwk",
            Self::WrongIssuer => "proof.iss",
            Self::WrongAudience { .. } => "proof.aud",
            Self::BadSignature => "proof.signature",
            Self::Life { .. } | Self::Expired(_) => "proof.exp",
            Self::IssuedInFuture(_) => "proof.iat",
            Self::Text(unfit) => unfit.target(),
        }
    }

    /// The proof at fault, when its time is the only thing wrong with it so far: answered with the
    /// server's time.
    #[must_use]
    pub const fn skew(&self) -> Option<Skew> {
        match self {
            Self::Expired(skew) | Self::IssuedInFuture(skew) => Some(*skew),
            Self::Compact(_)
            | Self::Json { .. }
            | Self::WrongType { .. }
            | Self::HeaderMember(_)
            | Self::WrongAlgorithm
            | Self::KeyId
            | Self::WrongKey
            | Self::ConfirmationKey(_)
            | Self::WrongIssuer
            | Self::WrongAudience { .. }
            | Self::BadSignature
            | Self::Life { .. }
            | Self::Text(_) => None,
        }
    }
}
