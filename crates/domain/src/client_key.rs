//! Public keys of clients: JWK sets as clients publish them (RFC 7517), with the kinds that they sign with.

use std::fmt;

use aws_lc_rs::{
    digest,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, EcdsaVerificationAlgorithm,
        ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
        RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384,
        RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents, VerificationAlgorithm,
    },
};
use countersign_protocol::{encoding, json, jwk::RsaPublicKey, jwk::Thumbprint};
use serde::{Deserialize, de::IgnoredAny};

use crate::client_jwt::Algorithm;

/// The most keys of a set.
pub const MAX_KEYS: usize = 50;

/// The most bytes of the text of a set.
pub const MAX_SET_BYTES: usize = 64 * 1024;

/// Why a JWK is not a key that verifies signatures of a client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Of a kind that is not used, or symmetric: a secret has no place among public keys.
    #[error("kty and crv must be RSA, EC with P-256 or P-384, or OKP with Ed25519")]
    Kind,
    /// A part of the key is absent or not canonical base64url.
    #[error("{0} is missing or is not base64url of the right length")]
    Member(&'static str),
    /// A private part is there: whoever sends a private key has lost it.
    #[error("{0} must not be there: this is a private key")]
    Private(&'static str),
    /// Not a point of its curve, or not an RSA key of 2,048 to 8,192 bits.
    #[error("is not a valid public key; RSA keys must have 2048 to 8192 bits")]
    Invalid,
    /// `use` or `key_ops` say that it does not verify signatures (RFC 7517, sections 4.2 and 4.3).
    #[error("use must be sig and key_ops must contain verify, where they are given")]
    Usage,
    /// `alg` names an algorithm that the key cannot be used with.
    #[error("alg does not fit the kind of key")]
    Algorithm,
}

/// Why a text is not a set of keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Longer than [`MAX_SET_BYTES`].
    #[error("the key set must not be longer than {MAX_SET_BYTES} bytes")]
    TooLong,
    /// Not strict JSON, or without a list `keys`.
    #[error("the key set {0}")]
    Text(String),
    /// More than [`MAX_KEYS`].
    #[error("the key set must not have more than {MAX_KEYS} keys")]
    TooMany,
    /// One of the keys gives its private part away.
    #[error("a key of the set: {0}")]
    Private(KeyError),
    /// None of the keys can be used; this is what is wrong with the last.
    #[error("the key set has no usable key{}", .0.as_ref().map(|e| format!(": {e}")).unwrap_or_default())]
    NoneUsable(Option<KeyError>),
}

/// Why no key of a set was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChoiceError {
    /// None has this name. A set that was fetched earlier may have changed since.
    #[error("kid is not the name of a key that fits alg")]
    Unknown,
    /// None fits the algorithm.
    #[error("no key of the client fits alg")]
    NoneFits,
    /// Several fit.
    #[error("kid must be given, since several keys of the client fit alg")]
    Ambiguous,
}

/// A public key with which a client signs.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientKey {
    kid: Option<String>,
    /// The only algorithm that the client uses it with, if it says so.
    alg: Option<Algorithm>,
    material: Material,
}

#[derive(Clone, PartialEq, Eq)]
enum Material {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256 { x: [u8; 32], y: [u8; 32] },
    P384 { x: [u8; 48], y: [u8; 48] },
    Ed25519 { x: [u8; 32] },
}

impl ClientKey {
    /// Whether signatures of this algorithm can be its own: each kind of key has its algorithms (RFC 8725, section 3.1).
    #[must_use]
    pub fn fits(&self, algorithm: Algorithm) -> bool {
        self.alg.is_none_or(|alg| alg == algorithm) && self.material.fits(algorithm)
    }

    /// Whether `signature` is one of `message` by this key.
    #[must_use]
    pub fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        if !self.fits(algorithm) {
            return false;
        }
        match &self.material {
            Material::Rsa { n, e } => rsa_parameters(algorithm).is_some_and(|parameters| {
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature).is_ok()
            }),
            Material::P256 { .. } => {
                self.verify_point(&ECDSA_P256_SHA256_FIXED, message, signature)
            }
            Material::P384 { .. } => {
                self.verify_point(&ECDSA_P384_SHA384_FIXED, message, signature)
            }
            Material::Ed25519 { .. } => self.verify_point(&ED25519, message, signature),
        }
    }

    fn verify_point(
        &self,
        algorithm: &'static dyn VerificationAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        let key = ParsedPublicKey::new(algorithm, self.material.encoded());
        key.is_ok_and(|key| key.verify_sig(message, signature).is_ok())
    }

    /// Its thumbprint: SHA-256 of its required members in their order (RFC 7638, section 3.2; RFC 8037, section 2).
    #[must_use]
    pub fn thumbprint(&self) -> Thumbprint {
        let text = match &self.material {
            Material::Rsa { n, e } => {
                let (n, e) = (encoding::encode(n), encoding::encode(e));
                format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#)
            }
            Material::P256 { x, y } => ec_members("P-256", x, y),
            Material::P384 { x, y } => ec_members("P-384", x, y),
            Material::Ed25519 { x } => {
                format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, encoding::encode(x))
            }
        };
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
        Thumbprint::from_bytes(hash)
    }
}

fn ec_members(crv: &str, x: &[u8], y: &[u8]) -> String {
    let (x, y) = (encoding::encode(x), encoding::encode(y));
    format!(r#"{{"crv":"{crv}","kty":"EC","x":"{x}","y":"{y}"}}"#)
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientKey({})", self.thumbprint())
    }
}

impl Material {
    const fn fits(&self, algorithm: Algorithm) -> bool {
        match algorithm {
            Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512 => false,
            Algorithm::Rs256
            | Algorithm::Rs384
            | Algorithm::Rs512
            | Algorithm::Ps256
            | Algorithm::Ps384
            | Algorithm::Ps512 => matches!(self, Self::Rsa { .. }),
            Algorithm::Es256 => matches!(self, Self::P256 { .. }),
            Algorithm::Es384 => matches!(self, Self::P384 { .. }),
            Algorithm::EdDsa => matches!(self, Self::Ed25519 { .. }),
        }
    }

    /// A point as the library reads it: uncompressed on the NIST curves (SEC 1, section 2.3.3), as it is on Ed25519.
    fn encoded(&self) -> Vec<u8> {
        match self {
            Self::Rsa { .. } => Vec::new(),
            Self::P256 { x, y } => [&[4], x.as_slice(), y].concat(),
            Self::P384 { x, y } => [&[4], x.as_slice(), y].concat(),
            Self::Ed25519 { x } => x.to_vec(),
        }
    }
}

const fn rsa_parameters(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        Algorithm::Rs256 => Some(&RSA_PKCS1_2048_8192_SHA256),
        Algorithm::Rs384 => Some(&RSA_PKCS1_2048_8192_SHA384),
        Algorithm::Rs512 => Some(&RSA_PKCS1_2048_8192_SHA512),
        Algorithm::Ps256 => Some(&RSA_PSS_2048_8192_SHA256),
        Algorithm::Ps384 => Some(&RSA_PSS_2048_8192_SHA384),
        Algorithm::Ps512 => Some(&RSA_PSS_2048_8192_SHA512),
        Algorithm::Hs256
        | Algorithm::Hs384
        | Algorithm::Hs512
        | Algorithm::Es256
        | Algorithm::Es384
        | Algorithm::EdDsa => None,
    }
}

/// The members of a JWK that are looked at. Those of private keys are only asked whether they are there.
#[derive(Deserialize)]
pub(crate) struct Jwk {
    #[serde(default)]
    kty: String,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    d: Option<IgnoredAny>,
    k: Option<IgnoredAny>,
    p: Option<IgnoredAny>,
    q: Option<IgnoredAny>,
    dp: Option<IgnoredAny>,
    dq: Option<IgnoredAny>,
    qi: Option<IgnoredAny>,
    oth: Option<IgnoredAny>,
}

impl TryFrom<Jwk> for ClientKey {
    type Error = KeyError;

    fn try_from(jwk: Jwk) -> Result<Self, KeyError> {
        jwk.refuse_private()?;
        let verifies = jwk.usage.as_deref().is_none_or(|usage| usage == "sig")
            && jwk.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify"));
        if !verifies {
            return Err(KeyError::Usage);
        }
        let material = jwk.material()?;
        let alg = match &jwk.alg {
            Some(name) => Some(
                Algorithm::parse(name)
                    .filter(|algorithm| material.fits(*algorithm))
                    .ok_or(KeyError::Algorithm)?,
            ),
            None => None,
        };
        Ok(Self { kid: jwk.kid, alg, material })
    }
}

impl Jwk {
    fn refuse_private(&self) -> Result<(), KeyError> {
        let private = [
            ("d", &self.d),
            ("k", &self.k),
            ("p", &self.p),
            ("q", &self.q),
            ("dp", &self.dp),
            ("dq", &self.dq),
            ("qi", &self.qi),
            ("oth", &self.oth),
        ];
        match private.iter().find(|(_, member)| member.is_some()) {
            Some((name, _)) => Err(KeyError::Private(name)),
            None => Ok(()),
        }
    }

    fn material(&self) -> Result<Material, KeyError> {
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => {
                let (n, e) = (number(self.n.as_ref(), "n")?, number(self.e.as_ref(), "e")?);
                // With an exponent of 1 everything is a signature of itself; the library puts that check off.
                let is_odd = e.last().is_some_and(|last| last % 2 == 1);
                if !is_odd || e == [1] {
                    return Err(KeyError::Invalid);
                }
                RsaPublicKey::from_components(n.clone(), e.clone())
                    .map_err(|_| KeyError::Invalid)?;
                Ok(Material::Rsa { n, e })
            }
            ("EC", Some("P-256")) => {
                let (x, y) = (array(self.x.as_ref(), "x")?, array(self.y.as_ref(), "y")?);
                on_curve(Material::P256 { x, y }, &ECDSA_P256_SHA256_FIXED)
            }
            ("EC", Some("P-384")) => {
                let (x, y) = (array(self.x.as_ref(), "x")?, array(self.y.as_ref(), "y")?);
                on_curve(Material::P384 { x, y }, &ECDSA_P384_SHA384_FIXED)
            }
            ("OKP", Some("Ed25519")) => {
                let material = Material::Ed25519 { x: array(self.x.as_ref(), "x")? };
                let key = ParsedPublicKey::new(&ED25519, material.encoded());
                key.map(|_| material).map_err(|_| KeyError::Invalid)
            }
            _ => Err(KeyError::Kind),
        }
    }
}

fn on_curve(
    material: Material,
    algorithm: &'static EcdsaVerificationAlgorithm,
) -> Result<Material, KeyError> {
    let key = ParsedPublicKey::new(algorithm, material.encoded());
    key.map(|_| material).map_err(|_| KeyError::Invalid)
}

fn number(text: Option<&String>, name: &'static str) -> Result<Vec<u8>, KeyError> {
    let text = text.ok_or(KeyError::Member(name))?;
    encoding::decode(text).map_err(|_| KeyError::Member(name))
}

fn array<const N: usize>(text: Option<&String>, name: &'static str) -> Result<[u8; N], KeyError> {
    let text = text.ok_or(KeyError::Member(name))?;
    encoding::decode_array(text).map_err(|_| KeyError::Member(name))
}

/// The keys of one client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientKeySet(Vec<ClientKey>);

impl ClientKeySet {
    /// Reads the text of a JWK set. Keys that cannot be used are skipped, as RFC 7517, section 5, advises, since a client
    /// may publish others beside; but a set in which a private key is found, or nothing can be used, is refused.
    pub fn parse(text: &[u8]) -> Result<Self, KeySetError> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<serde_json::Value>,
        }
        if text.len() > MAX_SET_BYTES {
            return Err(KeySetError::TooLong);
        }
        let Set { keys } =
            json::parse(text).map_err(|error| KeySetError::Text(error.to_string()))?;
        if keys.len() > MAX_KEYS {
            return Err(KeySetError::TooMany);
        }
        let (mut usable, mut skipped) = (Vec::new(), None);
        for jwk in keys {
            let read = serde_json::from_value::<Jwk>(jwk).map_err(|_| KeyError::Kind);
            match read.and_then(ClientKey::try_from) {
                Ok(key) => usable.push(key),
                Err(error @ KeyError::Private(_)) => return Err(KeySetError::Private(error)),
                Err(error) => skipped = Some(error),
            }
        }
        if usable.is_empty() { Err(KeySetError::NoneUsable(skipped)) } else { Ok(Self(usable)) }
    }

    /// The key that a header names: the one with its `kid` that fits, else the only one that fits.
    pub fn choose(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<&ClientKey, ChoiceError> {
        let named = |key: &&ClientKey| kid.is_none_or(|kid| key.kid.as_deref() == Some(kid));
        let mut fitting = self.0.iter().filter(named).filter(|key| key.fits(algorithm));
        match (fitting.next(), fitting.next(), kid) {
            (Some(key), None, _) => Ok(key),
            (Some(_), Some(_), _) => Err(ChoiceError::Ambiguous),
            (None, _, Some(_)) => Err(ChoiceError::Unknown),
            (None, _, None) => Err(ChoiceError::NoneFits),
        }
    }
}

#[cfg(test)]
mod tests;
