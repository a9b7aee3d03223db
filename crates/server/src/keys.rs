//! Keys: what environments sign and hash with, and the one key under which secrets rest.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    encoding::AsDer,
    hmac,
    rand::SystemRandom,
    rsa::{KeySize, PublicKeyComponents},
    signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use countersign_domain::sealed::Sealed;
use countersign_protocol::{
    encoding,
    entropy::{Entropy, random},
    jose::{self, Algorithm, Header},
    jwk::{JwkSet, PublicJwk, PublicKey, RsaPublicKey},
    private_key::EcPrivateKey,
    secret::Secret,
};
use serde::Serialize;

/// A key could not be made or a stored secret could not be opened: the key-encryption key is another one, or the row was
/// changed outside the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stored secret does not open under this key-encryption key")]
pub struct KeyError;

/// Opens and closes what rests encrypted: AES-256-GCM under the key-encryption key.
pub struct Vault {
    key: LessSafeKey,
}

/// The row and column that a secret belongs to. It is authenticated with the secret, so that a ciphertext moved to another
/// row does not open.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Table and column: `devices.seed`.
    pub column: &'static str,
    /// Primary key of the row.
    pub row: &'a [u8],
}

const NONCE_BYTES: usize = 12;

impl Vault {
    /// A vault under this key-encryption key.
    pub fn new(key_encryption_key: &Secret<[u8; 32]>) -> Result<Self, KeyError> {
        let key =
            UnboundKey::new(&AES_256_GCM, key_encryption_key.expose()).map_err(|_| KeyError)?;
        Ok(Self { key: LessSafeKey::new(key) })
    }

    /// Encrypts: a random nonce, then the ciphertext with its tag.
    pub fn seal(
        &self,
        place: Place<'_>,
        plain: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<Sealed, KeyError> {
        let nonce: [u8; NONCE_BYTES] = random(entropy);
        let mut body = plain.to_vec();
        let aad = Aad::from(place.associated_data());
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut body)
            .map_err(|_| KeyError)?;
        let mut sealed = nonce.to_vec();
        sealed.append(&mut body);
        Ok(Sealed::new(sealed))
    }

    /// Decrypts what [`Vault::seal`] made for the same place.
    pub fn open(&self, place: Place<'_>, sealed: &Sealed) -> Result<Secret<Vec<u8>>, KeyError> {
        let (nonce, body) =
            sealed.ciphertext().split_first_chunk::<NONCE_BYTES>().ok_or(KeyError)?;
        let mut body = body.to_vec();
        let aad = Aad::from(place.associated_data());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = self.key.open_in_place(nonce, aad, &mut body).map_err(|_| KeyError)?.len();
        body.truncate(length);
        Ok(Secret::new(body))
    }
}

impl Place<'_> {
    fn associated_data(self) -> Vec<u8> {
        // The column has no NUL, so the two parts cannot run into each other.
        [self.column.as_bytes(), &[0], self.row].concat()
    }
}

/// What a keyed hash is for. Each purpose has hashes of its own, so that one cannot stand in for another.
#[derive(Clone, Copy, Debug)]
pub enum Purpose {
    /// Cookies of browsers and apps that run a flow.
    Browser,
    /// The secret half of authorization codes.
    Code,
    /// The secret half of pairing tickets.
    Ticket,
    /// Nonces of the device API.
    Nonce,
    /// The token that a form of the hosted pages carries back.
    Form,
    /// Seals of the audit log. Their MACs outlive releases, so their numbers are fixed.
    AuditSeal = 0x20,
    /// Where the kept part of the audit log begins.
    AuditBase = 0x21,
}

/// The keys of one environment, opened once and kept in memory.
pub struct EnvironmentKeys {
    rs256: SigningKey,
    es256: SigningKey,
    mac: hmac::Key,
    public: JwkSet,
}

/// The secrets of an environment's keys, as they are sealed and stored.
pub struct KeyMaterial {
    /// PKCS#8 of the RSA key.
    pub rs256: Secret<Vec<u8>>,
    /// Scalar of the P-256 key.
    pub es256: Secret<Vec<u8>>,
    /// Key of keyed hashes.
    pub mac: Secret<Vec<u8>>,
}

impl KeyMaterial {
    /// New keys. Takes about 0.1 s of CPU for the RSA key, so never on an async thread.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, KeyError> {
        let rsa = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| KeyError)?;
        let rsa = rsa.as_der().map_err(|_| KeyError)?;
        let ec = EcPrivateKey::generate(entropy);
        Ok(Self {
            rs256: Secret::new(rsa.as_ref().to_vec()),
            es256: Secret::new(ec.scalar().expose().to_vec()),
            mac: Secret::new(random::<32>(entropy).to_vec()),
        })
    }
}

enum SigningKey {
    Rsa { kid: String, pair: Box<RsaKeyPair> },
    Ec { kid: String, key: EcPrivateKey },
}

impl EnvironmentKeys {
    /// Makes the stored secrets usable.
    pub fn open(material: &KeyMaterial) -> Result<Self, KeyError> {
        let scalar: &[u8; 32] =
            material.es256.expose().as_slice().try_into().map_err(|_| KeyError)?;
        let key = EcPrivateKey::from_scalar(scalar).map_err(|_| KeyError)?;
        let ec = PublicJwk {
            kid: key.public().thumbprint().to_string(),
            key: PublicKey::Ec(key.public()),
        };
        let pair = RsaKeyPair::from_pkcs8(material.rs256.expose()).map_err(|_| KeyError)?;
        let PublicKeyComponents::<Vec<u8>> { n, e } = pair.public_key().into();
        let rsa = PublicJwk {
            kid: encoding::encode(jose::digest(&encoding::encode(&n))),
            key: PublicKey::Rsa(RsaPublicKey::from_components(n, e).map_err(|_| KeyError)?),
        };
        Ok(Self {
            rs256: SigningKey::Rsa { kid: rsa.kid.clone(), pair: Box::new(pair) },
            es256: SigningKey::Ec { kid: ec.kid.clone(), key },
            mac: hmac::Key::new(hmac::HMAC_SHA256, material.mac.expose()),
            public: JwkSet { keys: vec![rsa, ec] },
        })
    }

    /// A compact JWS over `claims`.
    pub fn sign(
        &self,
        algorithm: Algorithm,
        typ: &str,
        claims: &impl Serialize,
    ) -> Result<String, KeyError> {
        match self.key(algorithm) {
            SigningKey::Rsa { kid, pair } => {
                let input = jose::signing_input(&Header { alg: algorithm, kid, typ }, claims);
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(
                    &RSA_PKCS1_SHA256,
                    &SystemRandom::new(),
                    input.as_bytes(),
                    &mut signature,
                )
                .map_err(|_| KeyError)?;
                Ok(jose::assemble(&input, &signature))
            }
            SigningKey::Ec { kid, key } => {
                let input = jose::signing_input(&Header { alg: algorithm, kid, typ }, claims);
                Ok(jose::assemble(&input, &key.sign(input.as_bytes())))
            }
        }
    }

    const fn key(&self, algorithm: Algorithm) -> &SigningKey {
        match algorithm {
            Algorithm::Rs256 => &self.rs256,
            Algorithm::Es256 => &self.es256,
        }
    }

    /// The public keys, as the JWKS endpoint publishes them.
    #[must_use]
    pub const fn public(&self) -> &JwkSet {
        &self.public
    }

    /// Keyed hash of `bytes` for one purpose.
    #[must_use]
    pub fn mac(&self, purpose: Purpose, bytes: &[u8]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.mac);
        context.update(&[purpose as u8]);
        context.update(bytes);
        let mut hash = [0; 32];
        hash.copy_from_slice(context.sign().as_ref());
        hash
    }

    /// Whether `hash` is the keyed hash of `bytes`, in constant time.
    #[must_use]
    pub fn verify_mac(&self, purpose: Purpose, bytes: &[u8], hash: &[u8]) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(&self.mac(purpose, bytes), hash).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use countersign_protocol::entropy::SystemEntropy;

    use super::*;

    const HERE: Place<'_> = Place { column: "devices.seed", row: &[1; 16] };

    fn vault(byte: u8) -> Vault {
        Vault::new(&Secret::new([byte; 32])).unwrap()
    }

    #[test]
    fn a_secret_opens_only_in_its_place_and_under_its_key() {
        let sealed = vault(1).seal(HERE, b"seed", &SystemEntropy).unwrap();
        assert_eq!(vault(1).open(HERE, &sealed).unwrap().expose(), b"seed");
        assert!(vault(2).open(HERE, &sealed).is_err());
        assert!(vault(1).open(Place { row: &[2; 16], ..HERE }, &sealed).is_err());
        assert!(vault(1).open(Place { column: "devices.name", ..HERE }, &sealed).is_err());
        let mut bent = sealed.ciphertext().to_vec();
        bent[20] ^= 1;
        assert!(vault(1).open(HERE, &Sealed::new(bent)).is_err());
        assert!(vault(1).open(HERE, &Sealed::new(vec![0; 5])).is_err());
    }

    #[test]
    fn signatures_verify_under_the_published_keys() {
        let material = KeyMaterial::generate(&SystemEntropy).unwrap();
        let keys = EnvironmentKeys::open(&material).unwrap();
        for algorithm in [Algorithm::Rs256, Algorithm::Es256] {
            let jws = keys.sign(algorithm, "JWT", &serde_json::json!({"a": 1})).unwrap();
            let (input, signature) = jws.rsplit_once('.').unwrap();
            let signature = encoding::decode(signature).unwrap();
            let set = keys.public();
            let key = set.keys.iter().find(|jwk| jwk.key.algorithm() == algorithm).unwrap();
            assert!(key.key.verify(input.as_bytes(), &signature));
        }
    }

    #[test]
    fn a_keyed_hash_of_one_purpose_is_none_of_another() {
        let material = KeyMaterial::generate(&SystemEntropy).unwrap();
        let keys = EnvironmentKeys::open(&material).unwrap();
        let hash = keys.mac(Purpose::Code, b"x");
        assert!(keys.verify_mac(Purpose::Code, b"x", &hash));
        assert!(!keys.verify_mac(Purpose::Ticket, b"x", &hash));
        assert!(!keys.verify_mac(Purpose::Code, b"y", &hash));
    }
}
