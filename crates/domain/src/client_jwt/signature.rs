//! The JWS around the claims: taken apart, and verified under what is registered for its client.

use aws_lc_rs::hmac;
use countersign_protocol::{
    encoding,
    jose::{self, Compact, CompactError, Part},
    json,
    secret::Secret,
};
use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::Value;

use super::{Algorithm, Claims, Keys, Refusal};
use crate::client_key::ClientKey;

/// The members of a header that are looked at. `jku`, `x5u` and `x5c` are not: keys come from the registration.
#[derive(Deserialize)]
pub(crate) struct Header {
    pub alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<IgnoredAny>,
    /// The key itself, which only a `DPoP` proof may bring; nobody else looks at it.
    pub jwk: Option<Value>,
}

/// A compact JWS taken apart, with its header read and nothing verified.
pub(crate) struct Jws {
    pub header: Header,
    compact: Compact,
}

/// What was signed, once the signature is known to be right.
pub(crate) struct Opened {
    /// Nothing if it was not signed.
    pub algorithm: Option<Algorithm>,
    pub claims: Claims,
    /// SHA-256 of the signing input, by which it is known again.
    pub digest: [u8; 32],
}

impl Jws {
    /// Takes a compact JWS apart.
    pub fn read(text: &str) -> Result<Self, Refusal> {
        let compact = match text.strip_suffix('.') {
            Some(signing_input) => split_unsigned(signing_input)?,
            None => jose::split(text)?,
        };
        let header: Header = parse(&compact.header, Part::Header)?;
        if header.crit.is_some() {
            return Err(Refusal::Critical);
        }
        Ok(Self { header, compact })
    }

    /// Requires one of the kinds in `accepted`, or none to be named where `or_absent`. The prefix `application/` may be
    /// there, and upper case means nothing (RFC 7515, section 4.1.9).
    pub fn require_typ(
        &self,
        accepted: &[&str],
        or_absent: bool,
        expected: &'static str,
    ) -> Result<(), Refusal> {
        let fits = match &self.header.typ {
            Some(typ) => {
                let typ = typ.to_ascii_lowercase();
                let typ = typ.strip_prefix("application/").unwrap_or(&typ);
                accepted.iter().any(|accepted| accepted.eq_ignore_ascii_case(typ))
            }
            None => or_absent,
        };
        if fits { Ok(()) } else { Err(Refusal::Typ { expected }) }
    }

    /// The claims, if they are signed with what is registered for the client.
    pub fn verify(self, keys: Keys<'_>) -> Result<Opened, Refusal> {
        let expected = match (keys.secret, keys.set) {
            (Some(_), Some(_)) => {
                "HS256 to HS512 with the client secret, or fit a key of the client"
            }
            (Some(_), None) => "HS256, HS384 or HS512",
            (None, Some(_)) => {
                "RS256 to RS512, PS256 to PS512, ES256, ES384 or EdDSA, and fit a key of the client"
            }
            (None, None) => "none: the client has no secret and no keys to sign with",
        };
        let algorithm = Algorithm::parse(&self.header.alg);
        let algorithm = algorithm.ok_or(Refusal::Algorithm { expected })?;
        let Compact { signing_input, signature, .. } = &self.compact;
        // RFC 8725, section 3.1: an HMAC is never checked with a public key, nor a signature with the secret.
        let matches = match (algorithm.is_symmetric(), keys.secret, keys.set) {
            (true, Some(secret), _) => verify_mac(algorithm, secret, signing_input, signature),
            (false, _, Some(set)) => set.choose(self.header.kid.as_deref(), algorithm)?.verify(
                algorithm,
                signing_input.as_bytes(),
                signature,
            ),
            (true, None, _) | (false, _, None) => return Err(Refusal::Algorithm { expected }),
        };
        if matches { self.open(Some(algorithm)) } else { Err(Refusal::Signature) }
    }

    /// The claims of a statement that is not signed and says so (RFC 7518, section 3.6).
    pub fn unsigned(self) -> Result<Opened, Refusal> {
        if !self.is_unsigned() {
            return Err(Refusal::Signature);
        }
        self.open(None)
    }

    /// Whether it says that it is not signed, and is not.
    pub fn is_unsigned(&self) -> bool {
        self.header.alg == "none" && self.compact.signature.is_empty()
    }

    /// Whether this key signed it.
    pub fn is_signed_by(&self, key: &ClientKey, algorithm: Algorithm) -> bool {
        let Compact { signing_input, signature, .. } = &self.compact;
        key.verify(algorithm, signing_input.as_bytes(), signature)
    }

    /// The claims, for the caller that has verified the signature by another way.
    pub fn open(self, algorithm: Option<Algorithm>) -> Result<Opened, Refusal> {
        let digest = jose::digest(&self.compact.signing_input);
        Ok(Opened { algorithm, claims: self.claims()?, digest })
    }

    /// What it claims, without anything verified.
    pub fn claims(&self) -> Result<Claims, Refusal> {
        parse(&self.compact.claims, Part::Claims).map(Claims::new)
    }
}

/// The two parts of a JWS whose signature is the empty one.
fn split_unsigned(signing_input: &str) -> Result<Compact, Refusal> {
    if signing_input.len() >= jose::MAX_BYTES {
        return Err(CompactError::TooLong.into());
    }
    let (header, claims) = signing_input.split_once('.').ok_or(CompactError::NotThreeParts)?;
    if claims.contains('.') {
        return Err(CompactError::NotThreeParts.into());
    }
    let decode = |text: &str, part| match encoding::decode(text) {
        Ok(bytes) if !bytes.is_empty() => Ok(bytes),
        Ok(_) | Err(_) => Err(CompactError::Encoding(part)),
    };
    Ok(Compact {
        header: decode(header, Part::Header)?,
        claims: decode(claims, Part::Claims)?,
        signature: Vec::new(),
        signing_input: signing_input.to_owned(),
    })
}

fn parse<T: DeserializeOwned>(bytes: &[u8], part: Part) -> Result<T, Refusal> {
    json::parse(bytes).map_err(|error| Refusal::Json { part, message: error.to_string() })
}

fn verify_mac(
    algorithm: Algorithm,
    secret: &Secret<Vec<u8>>,
    signing_input: &str,
    signature: &[u8],
) -> bool {
    let hash = match algorithm {
        Algorithm::Hs256 => hmac::HMAC_SHA256,
        Algorithm::Hs384 => hmac::HMAC_SHA384,
        Algorithm::Hs512 => hmac::HMAC_SHA512,
        Algorithm::Rs256
        | Algorithm::Rs384
        | Algorithm::Rs512
        | Algorithm::Ps256
        | Algorithm::Ps384
        | Algorithm::Ps512
        | Algorithm::Es256
        | Algorithm::Es384
        | Algorithm::EdDsa => return false,
    };
    // An empty secret would be a key that everybody has.
    !secret.expose().is_empty()
        && hmac::verify(&hmac::Key::new(hash, secret.expose()), signing_input.as_bytes(), signature)
            .is_ok()
}
