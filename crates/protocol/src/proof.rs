//! Proofs: the signed statements of an installation, and the rules that every one of them obeys.
//!
//! The server peeks at the key id, finds the key, and verifies; only then does it see a claim:
//!
//! ```text
//! let peeked = peek::<PairingRequest>(jws)?;
//! let key = /* the key named */ peeked.unverified_kid();
//! let proof: Verified<PairingRequest> = peeked.verify(&key, audience, now)?;
//! ```

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::encoding::{self, EncodingError};
use crate::entropy::{Entropy, random};
use crate::jose::{self, Algorithm, Compact, Header, Part};
use crate::json::{self, JsonError};
use crate::jwk::{EcPublicKey, Thumbprint};
use crate::mobile_payload::{Confirmation, Unfit};
use crate::time::{Timestamp, unix_seconds};

mod error;

pub use error::{ProofError, Skew};

/// How far `iat` may lie ahead of the server's clock.
pub const MAX_AHEAD_SECONDS: i64 = 60;

/// How long after `exp` a spent proof is remembered.
pub const REMEMBERED_AFTER_EXPIRY_SECONDS: i64 = 120;

/// A kind of statement: the claims that it adds to those of every proof.
pub trait Proof: Serialize + DeserializeOwned {
    /// `typ` of the header.
    const TYP: &'static str;
    /// The most by which `exp` may lie after `iat`.
    const LIFE_SECONDS: i64;

    /// Rules on the claims that their types do not state.
    fn check(&self) -> Result<(), Unfit> {
        Ok(())
    }
}

/// The number of a proof: 16 random bytes, base64url (RFC 7519 section 4.1.7).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Jti([u8; 16]);

impl Jti {
    /// A fresh number.
    #[must_use]
    pub fn new(entropy: &dyn Entropy) -> Self {
        Self(random(entropy))
    }

    /// The number with these bytes, as kept in a store.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Jti {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&encoding::encode(self.0))
    }
}

impl fmt::Debug for Jti {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for Jti {
    type Err = EncodingError;

    fn from_str(text: &str) -> Result<Self, EncodingError> {
        encoding::decode_array(text).map(Self)
    }
}

impl TryFrom<String> for Jti {
    type Error = EncodingError;

    fn try_from(text: String) -> Result<Self, EncodingError> {
        text.parse()
    }
}

impl From<Jti> for String {
    fn from(jti: Jti) -> Self {
        jti.to_string()
    }
}

/// The claims of every proof (RFC 7519 section 4.1), and those of its kind beside them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims<P> {
    /// The installation; equal to `kid`.
    pub iss: Thumbprint,
    /// The address that the proof is meant for.
    pub aud: String,
    /// When it was made, whole seconds.
    #[serde(with = "unix_seconds")]
    pub iat: Timestamp,
    /// From when on it is refused, whole seconds.
    #[serde(with = "unix_seconds")]
    pub exp: Timestamp,
    /// Its number.
    pub jti: Jti,
    /// What it states.
    #[serde(flatten)]
    pub body: P,
}

/// A proof of which the header is good and the claims are strict JSON. Nothing else has been looked at.
#[derive(Debug)]
pub struct Peeked<P> {
    kid: Thumbprint,
    jws: Compact,
    kind: PhantomData<fn() -> P>,
}

/// Checks the form and the header of `jws` and gives the key id, so that the key can be looked up.
///
/// # Errors
/// What is wrong with the header, then what keeps the claims from being strict JSON.
pub fn peek<P: Proof>(jws: &str) -> Result<Peeked<P>, ProofError> {
    let jws = jose::split(jws)?;
    let kid = check_header(&jws.header, P::TYP)?;
    json::check(&jws.claims).map_err(|source| ProofError::Json { part: Part::Claims, source })?;
    Ok(Peeked { kid, jws, kind: PhantomData })
}

/// Verifies a proof with the key that it brings as `cnf`. Whether that key is known is the caller's question.
///
/// # Errors
/// As those of [`peek`] and [`Peeked::verify`], and of a `cnf` that is no key.
pub fn verify_confirmed<P: Proof>(
    jws: &str,
    audience: &str,
    now: Timestamp,
) -> Result<Verified<P>, ProofError> {
    #[derive(Deserialize)]
    struct Confirmed {
        cnf: Confirmation,
    }
    let peeked = peek::<P>(jws)?;
    let confirmed: Confirmed = peeked.unverified_claims().map_err(|source| match source {
        JsonError::Text(_) => ProofError::Json { part: Part::Claims, source },
        JsonError::Shape(_) => ProofError::ConfirmationKey(source),
    })?;
    peeked.verify(&confirmed.cnf.jwk, audience, now)
}

/// `typ` first, so that no statement is ever read by the rules of another (RFC 8725 section 3.11).
fn check_header(bytes: &[u8], typ: &'static str) -> Result<Thumbprint, ProofError> {
    #[derive(Deserialize)]
    struct Members {
        typ: Option<String>,
        alg: Option<String>,
        kid: Option<String>,
        #[serde(flatten)]
        others: serde_json::Map<String, serde_json::Value>,
    }
    let members: Members =
        json::parse(bytes).map_err(|source| ProofError::Json { part: Part::Header, source })?;
    if members.typ.as_deref() != Some(typ) {
        return Err(ProofError::WrongType { expected: typ });
    }
    if let Some((name, _)) = members.others.into_iter().next() {
        return Err(ProofError::HeaderMember(name));
    }
    if members.alg.as_deref() != Some(Algorithm::Es256.name()) {
        return Err(ProofError::WrongAlgorithm);
    }
    members.kid.as_deref().unwrap_or_default().parse().map_err(|_| ProofError::KeyId)
}

impl<P: Proof> Peeked<P> {
    /// The key that is said to have signed. Use it to look the key up, and for nothing else.
    #[must_use]
    pub const fn unverified_kid(&self) -> Thumbprint {
        self.kid
    }

    /// Reads some of the claims before the signature is checked.
    pub fn unverified_claims<T: DeserializeOwned>(&self) -> Result<T, JsonError> {
        json::read(&self.jws.claims)
    }

    /// Holds the proof against all other rules: key, issuer, audience, signature, form of the
    /// claims, time.
    ///
    /// # Errors
    /// The first rule broken, in that order, so that [`ProofError::skew`] is only ever told of what
    /// the key signed.
    pub fn verify(
        self,
        key: &EcPublicKey,
        audience: &str,
        now: Timestamp,
    ) -> Result<Verified<P>, ProofError> {
        #[derive(Deserialize)]
        struct Addressed {
            iss: Thumbprint,
            aud: String,
        }
        let in_claims = |source| ProofError::Json { part: Part::Claims, source };

        if key.thumbprint() != self.kid {
            return Err(ProofError::WrongKey);
        }
        let addressed: Addressed = self.unverified_claims().map_err(in_claims)?;
        if addressed.iss != self.kid {
            return Err(ProofError::WrongIssuer);
        }
        if addressed.aud != audience {
            return Err(ProofError::WrongAudience { expected: audience.to_owned() });
        }
        if !key.verify(self.jws.signing_input.as_bytes(), &self.jws.signature) {
            return Err(ProofError::BadSignature);
        }
        let claims: Claims<P> = self.claims().map_err(in_claims)?;
        check_times(&claims, P::LIFE_SECONDS, now)?;
        claims.body.check()?;
        Ok(Verified { key: *key, digest: jose::digest(&self.jws.signing_input), claims })
    }
}

impl<P: Proof> Peeked<P> {
    /// All claims. Read twice and straight into their types: serde's `flatten` would build a tree of them first.
    fn claims(&self) -> Result<Claims<P>, JsonError> {
        #[derive(Deserialize)]
        struct Registered {
            iss: Thumbprint,
            aud: String,
            #[serde(with = "unix_seconds")]
            iat: Timestamp,
            #[serde(with = "unix_seconds")]
            exp: Timestamp,
            jti: Jti,
        }
        let Registered { iss, aud, iat, exp, jti } = self.unverified_claims()?;
        Ok(Claims { iss, aud, iat, exp, jti, body: self.unverified_claims()? })
    }
}

fn check_times<P>(claims: &Claims<P>, life: i64, now: Timestamp) -> Result<(), ProofError> {
    let skew = Skew { key: claims.iss, jti: claims.jti };
    if !(1..=life).contains(&claims.exp.seconds_since(claims.iat)) {
        return Err(ProofError::Life { at_most_seconds: life });
    }
    if claims.iat > now.plus_seconds(MAX_AHEAD_SECONDS) {
        return Err(ProofError::IssuedInFuture(skew));
    }
    if claims.exp <= now {
        return Err(ProofError::Expired(skew));
    }
    Ok(())
}

/// A proof that obeys every rule. There is no other way to make one than [`Peeked::verify`].
#[derive(Debug, Clone)]
pub struct Verified<P> {
    key: EcPublicKey,
    digest: [u8; 32],
    claims: Claims<P>,
}

impl<P> Verified<P> {
    /// The key that signed.
    #[must_use]
    pub const fn key(&self) -> &EcPublicKey {
        &self.key
    }

    /// The installation: the thumbprint of the key that signed.
    #[must_use]
    pub const fn thumbprint(&self) -> Thumbprint {
        self.claims.iss
    }

    /// The number to be spent.
    #[must_use]
    pub const fn jti(&self) -> Jti {
        self.claims.jti
    }

    /// When it was made, by the phone's clock.
    #[must_use]
    pub const fn issued_at(&self) -> Timestamp {
        self.claims.iat
    }

    /// From when on it is refused.
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        self.claims.exp
    }

    /// SHA-256 of the signing input: equal for two proofs that state the same, whatever was done to
    /// the signature.
    #[must_use]
    pub const fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// What is stated.
    #[must_use]
    pub const fn body(&self) -> &P {
        &self.claims.body
    }

    /// What is stated, by value.
    #[must_use]
    pub fn into_body(self) -> P {
        self.claims.body
    }
}

/// A proof about to be signed by an installation.
#[derive(Debug, Clone)]
pub struct Unsigned {
    signing_input: String,
    jti: Jti,
    expires_at: Timestamp,
}

impl Unsigned {
    /// States `body` to `audience` from `now` on for the whole life of its kind. `kid` is the key
    /// that will sign.
    #[must_use]
    pub fn new<P: Proof>(
        kid: Thumbprint,
        audience: &str,
        body: P,
        now: Timestamp,
        jti: Jti,
    ) -> Self {
        let issued_at = Timestamp::from_unix_seconds(now.unix_seconds());
        let claims = Claims {
            iss: kid,
            aud: audience.to_owned(),
            iat: issued_at,
            exp: issued_at.plus_seconds(P::LIFE_SECONDS),
            jti,
            body,
        };
        let name = kid.to_string();
        let header = Header { alg: Algorithm::Es256, kid: &name, typ: P::TYP };
        Self { signing_input: jose::signing_input(&header, &claims), jti, expires_at: claims.exp }
    }

    /// The bytes to sign with ES256.
    #[must_use]
    pub fn signing_input(&self) -> &str {
        &self.signing_input
    }

    /// The number of the proof.
    #[must_use]
    pub const fn jti(&self) -> Jti {
        self.jti
    }

    /// From when on it is refused.
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// The finished proof. `signature` is r and s, 64 bytes (RFC 7518 section 3.4).
    #[must_use]
    pub fn signed(&self, signature: &[u8]) -> String {
        jose::assemble(&self.signing_input, signature)
    }
}

#[cfg(test)]
mod tests;
