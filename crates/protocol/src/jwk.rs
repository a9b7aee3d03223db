//! Public keys as JSON Web Keys (RFC 7517, RFC 7518 section 6) and their thumbprints (RFC 7638).

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use crate::encoding::{self, EncodingError};
use crate::jose::{self, Algorithm};

/// Why a JWK is not a key we use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwkError {
    /// `kty` is neither `EC` nor `RSA`, or not the one expected here.
    #[error("kty is not the expected kind of key")]
    Kind,
    /// `crv` is not `P-256`.
    #[error("crv must be P-256")]
    Curve,
    /// `x`, `y`, `n` or `e` is absent or not canonical base64url.
    #[error("{0} is missing or is not base64url of the right length")]
    Member(&'static str),
    /// `d` is there: whoever sends a private key has lost it.
    #[error("d must not be there: this is a private key")]
    Private,
    /// The coordinates are not a point of the curve, or the RSA numbers are not a key of 2,048 to
    /// 8,192 bits.
    #[error("is not a valid public key")]
    Invalid,
    /// `alg` says another algorithm than the key's kind allows.
    #[error("alg does not fit the kind of key")]
    Algorithm,
}

/// The SHA-256 thumbprint of a key (RFC 7638): the name of an installation or of a platform key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Thumbprint([u8; 32]);

impl Thumbprint {
    /// The thumbprint with these bytes, as kept in a store.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes of the hash.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn of(canonical_json: &str) -> Self {
        Self(jose::sha256(canonical_json.as_bytes()))
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&encoding::encode(self.0))
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for Thumbprint {
    type Err = EncodingError;

    fn from_str(text: &str) -> Result<Self, EncodingError> {
        encoding::decode_array(text).map(Self)
    }
}

impl TryFrom<String> for Thumbprint {
    type Error = EncodingError;

    fn try_from(text: String) -> Result<Self, EncodingError> {
        text.parse()
    }
}

impl From<Thumbprint> for String {
    fn from(thumbprint: Thumbprint) -> Self {
        thumbprint.to_string()
    }
}

/// A point of P-256, checked to be one. As JSON exactly `kty`, `crv`, `x`, `y` (RFC 7518 section
/// 6.2.1); other public members are ignored, `d` is refused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "JwkMembers", into = "JwkMembers")]
pub struct EcPublicKey {
    x: [u8; 32],
    y: [u8; 32],
}

impl EcPublicKey {
    /// The key with these coordinates, or [`JwkError::Invalid`] when they are not a point of the
    /// curve.
    pub fn from_coordinates(x: [u8; 32], y: [u8; 32]) -> Result<Self, JwkError> {
        Self { x, y }.checked()
    }

    fn checked(self) -> Result<Self, JwkError> {
        ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.to_uncompressed())
            .map_err(|_| JwkError::Invalid)?;
        Ok(self)
    }

    /// The key of an uncompressed point (SEC 1 section 2.3.3): `0x04`, x, y; 65 bytes.
    pub fn from_uncompressed(point: &[u8]) -> Result<Self, JwkError> {
        let coordinates = point.strip_prefix(&[4]).ok_or(JwkError::Invalid)?;
        let (x, y) = coordinates.split_at_checked(32).ok_or(JwkError::Invalid)?;
        let [x, y] = [x, y].map(<[u8; 32]>::try_from);
        Self::from_coordinates(x.map_err(|_| JwkError::Invalid)?, y.map_err(|_| JwkError::Invalid)?)
    }

    /// The uncompressed point (SEC 1 section 2.3.3): `0x04`, x, y.
    #[must_use]
    pub fn to_uncompressed(&self) -> [u8; 65] {
        let mut point = [4; 65];
        for (byte, from) in point.iter_mut().skip(1).zip(self.x.iter().chain(&self.y)) {
            *byte = *from;
        }
        point
    }

    /// The RFC 7638 thumbprint.
    #[must_use]
    pub fn thumbprint(&self) -> Thumbprint {
        let [x, y] = [self.x, self.y].map(encoding::encode);
        Thumbprint::of(&format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#))
    }

    /// Whether `signature` is an ES256 signature of `message` by this key: 64 bytes, r and s (RFC
    /// 7518 section 3.4). The ASN.1 form is refused.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.to_uncompressed())
            .verify(message, signature)
            .is_ok()
    }
}

impl fmt::Debug for EcPublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "EcPublicKey({})", self.thumbprint())
    }
}

/// An RSA public key of 2,048 to 8,192 bits (RFC 7518 section 6.3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RsaPublicKey {
    n: Vec<u8>,
    e: Vec<u8>,
}

impl RsaPublicKey {
    /// The key of modulus `n` and exponent `e`, big-endian without leading zeros.
    pub fn from_components(n: Vec<u8>, e: Vec<u8>) -> Result<Self, JwkError> {
        RsaPublicKeyComponents { n: &n, e: &e }
            .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
            .map_err(|_| JwkError::Invalid)?;
        // The library puts the check of the size off until a signature is verified.
        if !(256..=1_024).contains(&n.len()) {
            return Err(JwkError::Invalid);
        }
        Ok(Self { n, e })
    }

    /// The RFC 7638 thumbprint.
    #[must_use]
    pub fn thumbprint(&self) -> Thumbprint {
        let [n, e] = [&self.n, &self.e].map(encoding::encode);
        Thumbprint::of(&format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#))
    }

    /// Whether `signature` is an RS256 signature of `message` by this key (RFC 7518 section 3.3).
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        RsaPublicKeyComponents { n: &self.n, e: &self.e }
            .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            .is_ok()
    }
}

/// A key with which the platform signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicKey {
    /// ES256.
    Ec(EcPublicKey),
    /// RS256.
    Rsa(RsaPublicKey),
}

impl PublicKey {
    /// The only algorithm that this key is used with.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Ec(_) => Algorithm::Es256,
            Self::Rsa(_) => Algorithm::Rs256,
        }
    }

    /// Whether `signature` is one of `message` by this key with [`Self::algorithm`].
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Ec(key) => key.verify(message, signature),
            Self::Rsa(key) => key.verify(message, signature),
        }
    }

    /// The RFC 7638 thumbprint.
    #[must_use]
    pub fn thumbprint(&self) -> Thumbprint {
        match self {
            Self::Ec(key) => key.thumbprint(),
            Self::Rsa(key) => key.thumbprint(),
        }
    }
}

/// A signing key as published: with its name, for signatures only. Written with `kid`, `use` and
/// `alg`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "JwkMembers", into = "JwkMembers")]
pub struct PublicJwk {
    /// Names the key within its set.
    pub kid: String,
    /// The key itself.
    pub key: PublicKey,
}

impl PublicJwk {
    /// A key that is named by its thumbprint.
    #[must_use]
    pub fn of(key: PublicKey) -> Self {
        Self { kid: key.thumbprint().to_string(), key }
    }
}

/// The public keys of an environment (RFC 7517 section 5). Members of kinds we do not use are
/// skipped in reading, as that section advises.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JwkSet {
    /// The keys, those that sign first.
    #[serde(deserialize_with = "crate::json::lenient")]
    pub keys: Vec<PublicJwk>,
}

impl JwkSet {
    /// The key named `kid`.
    #[must_use]
    pub fn find(&self, kid: &str) -> Option<&PublicKey> {
        self.keys.iter().find(|jwk| jwk.kid == kid).map(|jwk| &jwk.key)
    }
}

/// All members of a JWK that we write or look at.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct JwkMembers {
    kty: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    crv: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    y: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    e: Option<String>,
    #[serde(skip_serializing)]
    d: Option<serde::de::IgnoredAny>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
    #[serde(rename = "use", skip_serializing_if = "Option::is_none")]
    usage: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alg: Option<String>,
}

impl JwkMembers {
    fn ec(&self) -> Result<EcPublicKey, JwkError> {
        self.unchecked_ec()?.checked()
    }

    /// The key that is written here, which need not be a point.
    fn unchecked_ec(&self) -> Result<EcPublicKey, JwkError> {
        if self.kty != "EC" {
            return Err(JwkError::Kind);
        }
        if self.crv.as_deref() != Some("P-256") {
            return Err(JwkError::Curve);
        }
        if self.d.is_some() {
            return Err(JwkError::Private);
        }
        let coordinate = |text: &Option<String>, name| {
            encoding::decode_array(text.as_deref().unwrap_or_default())
                .map_err(|_| JwkError::Member(name))
        };
        Ok(EcPublicKey { x: coordinate(&self.x, "x")?, y: coordinate(&self.y, "y")? })
    }

    fn rsa(&self) -> Result<RsaPublicKey, JwkError> {
        if self.kty != "RSA" {
            return Err(JwkError::Kind);
        }
        if self.d.is_some() {
            return Err(JwkError::Private);
        }
        let number = |text: &Option<String>, name| {
            encoding::decode(text.as_deref().unwrap_or_default())
                .map_err(|_| JwkError::Member(name))
        };
        RsaPublicKey::from_components(number(&self.n, "n")?, number(&self.e, "e")?)
    }
}

impl TryFrom<JwkMembers> for EcPublicKey {
    type Error = JwkError;

    fn try_from(members: JwkMembers) -> Result<Self, JwkError> {
        members.ec()
    }
}

/// Reads a key that was checked when it came in, and kept since: with `deserialize_with`. That it is a point is not checked
/// again, which takes as long as reading all that is kept beside it. A key that was spoiled meanwhile verifies nothing.
pub fn deserialize_kept<'de, D: Deserializer<'de>>(source: D) -> Result<EcPublicKey, D::Error> {
    JwkMembers::deserialize(source)?.unchecked_ec().map_err(D::Error::custom)
}

impl From<EcPublicKey> for JwkMembers {
    fn from(key: EcPublicKey) -> Self {
        Self {
            kty: "EC".to_owned(),
            crv: Some("P-256".to_owned()),
            x: Some(encoding::encode(key.x)),
            y: Some(encoding::encode(key.y)),
            ..Self::default()
        }
    }
}

impl TryFrom<JwkMembers> for PublicJwk {
    type Error = JwkError;

    fn try_from(members: JwkMembers) -> Result<Self, JwkError> {
        let key = match members.kty.as_str() {
            "EC" => PublicKey::Ec(members.ec()?),
            "RSA" => PublicKey::Rsa(members.rsa()?),
            _ => return Err(JwkError::Kind),
        };
        let fits = members.alg.is_none_or(|alg| alg == key.algorithm().name())
            && members.usage.is_none_or(|usage| usage == "sig");
        if !fits {
            return Err(JwkError::Algorithm);
        }
        Ok(Self { kid: members.kid.ok_or(JwkError::Member("kid"))?, key })
    }
}

impl From<PublicJwk> for JwkMembers {
    fn from(jwk: PublicJwk) -> Self {
        let alg = jwk.key.algorithm().name().to_owned();
        let members = match jwk.key {
            PublicKey::Ec(key) => key.into(),
            PublicKey::Rsa(key) => Self {
                kty: "RSA".to_owned(),
                n: Some(encoding::encode(key.n)),
                e: Some(encoding::encode(key.e)),
                ..Self::default()
            },
        };
        Self { kid: Some(jwk.kid), usage: Some("sig".to_owned()), alg: Some(alg), ..members }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixture::private_key;

    /// The key of RFC 7517 appendix A.1, of which A.2 has the private half.
    fn example() -> serde_json::Value {
        json!({
            "kty": "EC", "crv": "P-256",
            "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
            "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
        })
    }

    fn read(jwk: serde_json::Value) -> Result<EcPublicKey, String> {
        serde_json::from_value(jwk).map_err(|e| e.to_string())
    }

    fn with(member: &str, value: serde_json::Value) -> serde_json::Value {
        let mut jwk = example();
        jwk[member] = value;
        jwk
    }

    #[test]
    fn a_key_reads_and_writes_as_its_four_members() {
        let key = read(with("use", json!("enc"))).unwrap();
        assert_eq!(serde_json::to_value(key).unwrap(), example());
        assert_eq!(EcPublicKey::from_uncompressed(&key.to_uncompressed()), Ok(key));
    }

    #[test]
    fn the_thumbprint_is_the_one_of_rfc_7638() {
        // Section 3.1, whose example is an RSA key.
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let n = encoding::decode(n).unwrap();
        let key = PublicKey::Rsa(RsaPublicKey::from_components(n, vec![1, 0, 1]).unwrap());
        assert_eq!(PublicJwk::of(key).kid, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        let thumbprint = read(example()).unwrap().thumbprint();
        assert_eq!(thumbprint.to_string().parse(), Ok(thumbprint));
        assert_eq!(thumbprint.to_string(), "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s");
    }

    #[test]
    fn a_key_that_is_not_what_it_says_is_refused() {
        let x = example()["x"].clone();
        for (jwk, expected) in [
            (with("kty", json!("RSA")), JwkError::Kind),
            (with("crv", json!("P-384")), JwkError::Curve),
            (with("crv", json!("p-256")), JwkError::Curve),
            (with("x", json!("AA")), JwkError::Member("x")),
            (with("x", serde_json::Value::Null), JwkError::Member("x")),
            (with("y", x), JwkError::Invalid),
            (with("d", json!("AA")), JwkError::Private),
            (with("d", json!({})), JwkError::Private),
        ] {
            assert_eq!(read(jwk), Err(expected.to_string()));
        }
    }

    #[test]
    fn a_key_that_was_kept_reads_the_same_and_verifies_nothing_if_it_was_spoiled() {
        let kept =
            |jwk| deserialize_kept(jwk).map_err(|error: serde_json::Error| error.to_string());
        assert_eq!(kept(example()), read(example()));
        let spoiled = kept(with("y", example()["x"].clone())).unwrap();
        assert!(!spoiled.verify(b"message", &[1; 64]));
        assert_eq!(kept(with("crv", json!("P-384"))), Err(JwkError::Curve.to_string()));
        assert_eq!(kept(with("d", json!("AA"))), Err(JwkError::Private.to_string()));
    }

    #[test]
    fn the_point_at_infinity_and_a_compressed_point_are_refused() {
        assert_eq!(EcPublicKey::from_coordinates([0; 32], [0; 32]), Err(JwkError::Invalid));
        assert_eq!(EcPublicKey::from_uncompressed(&[0]), Err(JwkError::Invalid));
        assert_eq!(EcPublicKey::from_uncompressed(&[2; 33]), Err(JwkError::Invalid));
    }

    #[test]
    fn a_set_skips_the_keys_it_does_not_know() {
        let known = PublicJwk { kid: "a".to_owned(), key: PublicKey::Ec(private_key(1).public()) };
        let mut set = serde_json::to_value(JwkSet { keys: vec![known.clone()] }).unwrap();
        let keys = set["keys"].as_array_mut().unwrap();
        keys.push(json!({"kty": "OKP", "crv": "Ed25519", "x": "AA", "kid": "b"}));
        keys.push(json!({"kty": "oct", "k": "AA", "kid": "c"}));
        let mut mislabelled = keys[0].clone();
        mislabelled["alg"] = json!("RS256");
        keys.push(mislabelled);
        let read: JwkSet = serde_json::from_value(set).unwrap();
        assert_eq!(read.keys, [known]);
        assert!(read.find("a").is_some() && read.find("b").is_none());
    }

    #[test]
    fn a_short_rsa_key_is_refused() {
        let modulus = |len: usize| [vec![0x80], vec![1; len - 1]].concat();
        assert!(RsaPublicKey::from_components(modulus(256), vec![1, 0, 1]).is_ok());
        assert_eq!(
            RsaPublicKey::from_components(modulus(128), vec![1, 0, 1]),
            Err(JwkError::Invalid)
        );
    }
}
