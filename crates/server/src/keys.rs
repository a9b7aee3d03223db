//! Keys: what environments sign and hash with, and the one key under which secrets rest.

mod signer;

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    hmac,
};
use countersign_domain::{
    sealed::Sealed,
    signing_key::{SigningKey, State},
};
use countersign_protocol::{
    entropy::{Entropy, random},
    jose::Algorithm,
    jwk::JwkSet,
    secret::Secret,
};
use countersign_store::sealed::COLUMNS;
use serde::Serialize;

pub(crate) use self::signer::Signer;

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
        // What is not listed there would be lost with the next change of the key-encryption key.
        debug_assert!(
            COLUMNS.iter().any(|column| column.name == place.column),
            "{} is not listed in store/src/sealed.rs",
            place.column
        );
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
    /// The secret half of session cookies.
    Session,
    /// The token of the page that asks whether to sign off.
    SignOff,
    /// The secret half of `request_uri`.
    PushedRequest,
    /// User names whose wrong passwords are counted.
    Attempts,
    /// Cookies of browsers in which a user has given the password.
    KnownBrowser,
    /// The secret part of refresh tokens.
    Refresh,
    /// The secret half of device codes.
    DeviceCode,
    /// User codes.
    UserCode,
    /// The token of the form that asks for a user code, before there is a flow.
    UserCodeForm,
    /// Nonces of silent pushes.
    PushNonce,
    /// Authentication codes, which are made of their ids.
    AuthenticationCode,
    /// What is stored of authentication codes.
    AuthenticationCodeHash,
    /// Pairing keys, which are made of their ids.
    PairingKey,
    /// What is stored of pairing keys.
    PairingKeyHash,
    /// Cookies of the console, and the token of its forms.
    Console,
    /// Passcodes that are sent, which are made of their ids.
    SentPasscode,
    /// Seals of the audit log. Their MACs outlive releases, so their numbers are fixed.
    AuditSeal = 0x20,
    /// Where the kept part of the audit log begins.
    AuditBase = 0x21,
    /// Keys of the signatures of webhooks. Receivers keep them, so their number is fixed.
    Webhook = 0x22,
    /// What is stored of recovery codes. They are kept for years, so their number is fixed.
    RecoveryCode = 0x23,
}

/// The keys of one environment, opened once and kept in memory.
pub struct EnvironmentKeys {
    rs256: Signer,
    es256: Signer,
    mac: hmac::Key,
    public: JwkSet,
}

/// Bytes of a new key of keyed hashes.
pub(crate) const MAC_BYTES: usize = 32;

impl EnvironmentKeys {
    /// Makes stored keys usable. `open` opens the sealed private half of one of them.
    pub(crate) fn open(
        mac: &Secret<Vec<u8>>,
        keys: &[SigningKey],
        open: impl Fn(&SigningKey, &Sealed) -> Result<Secret<Vec<u8>>, KeyError>,
    ) -> Result<Self, KeyError> {
        let signer = |algorithm| {
            let mut own = keys.iter().filter(|key| key.algorithm() == algorithm);
            let current = own.find(|key| key.is_current()).ok_or(KeyError)?;
            let private = open(current, current.private().ok_or(KeyError)?)?;
            let signer = Signer::open(algorithm, &private)?;
            // A row that was changed from outside must not make us sign under a name that is not the key's.
            if *signer.public() == current.public { Ok(signer) } else { Err(KeyError) }
        };
        Ok(Self {
            rs256: signer(Algorithm::Rs256)?,
            es256: signer(Algorithm::Es256)?,
            mac: hmac::Key::new(hmac::HMAC_SHA256, mac.expose()),
            public: published(keys),
        })
    }

    /// A compact JWS over `claims`.
    pub fn sign(
        &self,
        algorithm: Algorithm,
        typ: &str,
        claims: &impl Serialize,
    ) -> Result<String, KeyError> {
        match algorithm {
            Algorithm::Rs256 => self.rs256.sign(typ, claims),
            Algorithm::Es256 => self.es256.sign(typ, claims),
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

/// The key set: those that sign first, then those that will, then those that did, the newest of each first.
fn published(keys: &[SigningKey]) -> JwkSet {
    let rank = |state: &State| match state {
        State::Current { .. } => 0,
        State::Next { .. } => 1,
        State::Retired { .. } => 2,
        State::Removed => 3,
    };
    let family = |algorithm| match algorithm {
        Algorithm::Rs256 => 0,
        Algorithm::Es256 => 1,
    };
    let mut keys: Vec<_> = keys.iter().filter(|key| key.state != State::Removed).collect();
    keys.sort_by_key(|key| (rank(&key.state), family(key.algorithm()), std::cmp::Reverse(key.id)));
    JwkSet { keys: keys.into_iter().map(|key| key.public.clone()).collect() }
}

#[cfg(test)]
pub(crate) mod tests {
    use countersign_domain::id::Id;
    use countersign_protocol::{encoding, entropy::SystemEntropy, time::Timestamp};

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

    /// A key whose private half is "sealed" by no key at all.
    fn key(n: u8, algorithm: Algorithm, state: fn(Sealed) -> State) -> SigningKey {
        let private = Signer::generate(algorithm, &SystemEntropy).unwrap();
        SigningKey {
            id: Id::from_bytes([n; 16]),
            environment: Id::from_bytes([1; 16]),
            public: Signer::open(algorithm, &private).unwrap().public().clone(),
            created_at: NOW,
            state: state(Sealed::new(private.expose().clone())),
        }
    }

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_767_603_600);

    fn next(private: Sealed) -> State {
        State::Next { private, at: NOW }
    }

    fn current(private: Sealed) -> State {
        State::Current { private, at: NOW }
    }

    fn retired(_: Sealed) -> State {
        State::Retired { until: NOW }
    }

    fn open(keys: &[SigningKey]) -> Result<EnvironmentKeys, KeyError> {
        let unsealed =
            |_: &SigningKey, sealed: &Sealed| Ok(Secret::new(sealed.ciphertext().to_vec()));
        let mac = random::<MAC_BYTES>(&SystemEntropy);
        EnvironmentKeys::open(&Secret::new(mac.to_vec()), keys, unsealed)
    }

    /// Keys that nobody else has.
    pub(crate) fn new_keys() -> EnvironmentKeys {
        open(&[key(1, Algorithm::Es256, current), key(2, Algorithm::Rs256, current)]).unwrap()
    }

    #[test]
    fn signatures_are_of_the_current_key_and_verify_under_the_published_one() {
        let keys = [
            key(1, Algorithm::Es256, retired),
            key(2, Algorithm::Es256, current),
            key(3, Algorithm::Es256, next),
            key(4, Algorithm::Rs256, current),
        ];
        let open = open(&keys).unwrap();
        for (algorithm, current) in [(Algorithm::Rs256, &keys[3]), (Algorithm::Es256, &keys[1])] {
            let jws = open.sign(algorithm, "JWT", &serde_json::json!({"a": 1})).unwrap();
            let (input, signature) = jws.rsplit_once('.').unwrap();
            let signature = encoding::decode(signature).unwrap();
            let published = open.public().find(&current.public.kid).unwrap();
            assert!(published.verify(input.as_bytes(), &signature));
        }
        let order: Vec<_> = open.public().keys.iter().map(|jwk| jwk.kid.as_str()).collect();
        assert_eq!(order, [3, 1, 2, 0].map(|place: usize| keys[place].public.kid.as_str()));
    }

    #[test]
    fn keys_that_are_not_what_their_rows_say_do_not_open() {
        let (es256, rs256) = (key(1, Algorithm::Es256, current), key(2, Algorithm::Rs256, current));
        assert!(open(&[es256.clone(), rs256.clone()]).is_ok());
        assert!(open(std::slice::from_ref(&es256)).is_err(), "nothing signs RS256");
        let other = key(3, Algorithm::Es256, current).public;
        assert!(open(&[SigningKey { public: other, ..es256 }, rs256]).is_err());
    }

    #[test]
    fn a_keyed_hash_of_one_purpose_is_none_of_another() {
        let keys = [key(1, Algorithm::Es256, current), key(2, Algorithm::Rs256, current)];
        let keys = open(&keys).unwrap();
        let hash = keys.mac(Purpose::Code, b"x");
        assert!(keys.verify_mac(Purpose::Code, b"x", &hash));
        assert!(!keys.verify_mac(Purpose::Ticket, b"x", &hash));
        assert!(!keys.verify_mac(Purpose::Code, b"y", &hash));
    }
}
