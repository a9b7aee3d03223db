//! What the platform signs and the phone verifies: header, key and signature, for every kind of
//! token alike.

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::jose::{self, CompactError, Part};
use crate::json::{self, JsonError};
use crate::jwk::JwkSet;

/// Why a text is not a good token of the platform.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Too long, not three parts, or not base64url.
    #[error("the token {0}")]
    Compact(#[from] CompactError),
    /// Header or claims are not strict JSON, or a member is missing or of the wrong form.
    #[error("the token's {} {source}", .part.name())]
    Json {
        /// Which part.
        part: Part,
        /// What is wrong with it.
        source: JsonError,
    },
    /// `typ` is absent or another token's.
    #[error("header.typ must be {expected}")]
    WrongType {
        /// The only accepted value.
        expected: &'static str,
    },
    /// `crit` names extensions, and we know none (RFC 7515 section 4.1.11).
    #[error("header.crit must not be there")]
    Critical,
    /// No key of the set has this `kid`. It may be new: fetch the set again, once.
    #[error("header.kid {0:?} is not one of the platform's keys")]
    UnknownKey(String),
    /// `alg` is not the algorithm of the key.
    #[error("header.alg must be {expected}")]
    WrongAlgorithm {
        /// The only accepted value.
        expected: &'static str,
    },
    /// The signature is not one of this key over these bytes.
    #[error("the signature is not valid")]
    BadSignature,
}

/// The claims of `jws`, when it is of type `typ` and signed by one of `keys` with that key's own
/// algorithm.
pub fn verify<T: DeserializeOwned>(
    jws: &str,
    keys: &JwkSet,
    typ: &'static str,
) -> Result<T, TokenError> {
    // Other members of the header are ignored: the set, not the token, says which keys there are.
    #[derive(Deserialize)]
    struct Header {
        typ: Option<String>,
        alg: String,
        kid: String,
        crit: Option<IgnoredAny>,
    }
    let jws = jose::split(jws)?;
    let in_part = |part| move |source| TokenError::Json { part, source };
    let header: Header = json::parse(&jws.header).map_err(in_part(Part::Header))?;
    if header.typ.as_deref() != Some(typ) {
        return Err(TokenError::WrongType { expected: typ });
    }
    if header.crit.is_some() {
        return Err(TokenError::Critical);
    }
    let key = keys.find(&header.kid).ok_or(TokenError::UnknownKey(header.kid))?;
    let expected = key.algorithm().name();
    if header.alg != expected {
        return Err(TokenError::WrongAlgorithm { expected });
    }
    if !key.verify(jws.signing_input.as_bytes(), &jws.signature) {
        return Err(TokenError::BadSignature);
    }
    json::parse(&jws.claims).map_err(in_part(Part::Claims))
}
