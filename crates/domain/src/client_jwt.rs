//! JWTs that clients sign (RFC 7519): who signed, and whether what they claim counts here and now.
//!
//! Statements of clients come from libraries that are not ours, so the header may have more than `alg`, `kid` and `typ`
//! and the claims more than we know. What decides is strict all the same: the algorithm must be one that the client's
//! registered key is for (RFC 8725, section 3.1), `crit` is refused, and no member may appear twice. Each kind of
//! statement has its own rules, so that none passes for another (RFC 8725, section 3.12).

mod algorithm;
mod assertion;
mod claims;
mod login_hint_token;
mod request_object;
mod signature;
#[cfg(test)]
pub(crate) mod signer;

use countersign_protocol::{
    jose::{CompactError, Part},
    secret::Secret,
};

pub(crate) use self::signature::Jws;
pub use self::{
    algorithm::Algorithm,
    assertion::{Assertion, asserted_client, assertion},
    claims::Claims,
    login_hint_token::{LoginHintToken, login_hint_token},
    request_object::{RequestObject, SignedBy, request_object},
};
use crate::client_key::{ChoiceError, ClientKeySet};

/// How far the clock of a client may be from ours, in seconds. FAPI 2.0, section 5.3.2.1, wants 10 accepted and more than
/// 60 refused.
pub const LEEWAY_SECONDS: i64 = 60;

/// What a client's signature is checked with: what is registered for it, and nothing that comes with the statement.
#[derive(Clone, Copy, Debug, Default)]
pub struct Keys<'a> {
    /// The client secret, for HMAC.
    pub secret: Option<&'a Secret<Vec<u8>>>,
    /// Its public keys, for signatures.
    pub set: Option<&'a ClientKeySet>,
}

/// Why a statement of a client does not count. The text names the part or the claim, and the rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not a compact JWS. What is encrypted (five parts) is not read.
    #[error("{0}")]
    Compact(#[from] CompactError),
    /// A part is not strict JSON of the form that it must have.
    #[error("the {} {message}", .part.name())]
    Json {
        /// Which part.
        part: Part,
        /// What is wrong with it.
        message: String,
    },
    /// `crit` lists extensions that must be understood, and there are none (RFC 7515, section 4.1.11).
    #[error("crit must not be in the header: no extensions are understood")]
    Critical,
    /// Another kind of statement (RFC 8725, section 3.11).
    #[error("typ must be {expected}")]
    Typ {
        /// What it may be, in words.
        expected: &'static str,
    },
    /// `none` where a signature is required, an algorithm that is not known, or one that is not this client's.
    #[error("alg must be {expected}")]
    Algorithm {
        /// What it may be, in words.
        expected: &'static str,
    },
    /// None of the client's keys is meant.
    #[error(transparent)]
    Key(#[from] ChoiceError),
    /// Not signed with the key of this client.
    #[error("the signature does not match")]
    Signature,
    /// A claim breaks a rule.
    #[error("{claim} {rule}")]
    Claim {
        /// Its name.
        claim: &'static str,
        /// What it must be.
        rule: &'static str,
    },
}

impl Refusal {
    /// A claim that breaks a rule.
    pub(crate) const fn claim(claim: &'static str, rule: &'static str) -> Self {
        Self::Claim { claim, rule }
    }

    /// Whether keys that were fetched anew may let it pass.
    #[must_use]
    pub const fn may_be_of_newer_key(&self) -> bool {
        matches!(self, Self::Key(ChoiceError::Unknown | ChoiceError::NoneFits))
    }
}

#[cfg(test)]
mod tests;
