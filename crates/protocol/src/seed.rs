//! The passcode seed on its way to the phone: a compact JWE (RFC 7516) with ECDH-ES and A256GCM.
//!
//! [`SealedSeed`] splits opening in two, so that the key agreement can happen inside a key store
//! that never gives its private key away.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::encoding;
use crate::entropy::{Entropy, random};
use crate::jose::{self, MAX_BYTES};
use crate::json;
use crate::jwk::{EcPublicKey, Thumbprint};
use crate::otp::DIGITS;
use crate::private_key::EcPrivateKey;
use crate::secret::Secret;

const ALG: &str = "ECDH-ES";
const ENC: &str = "A256GCM";
const TYP: &str = "countersign-seed";
const TAG_LEN: usize = 16;

/// What one device's passcodes are made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seed {
    /// Id of the device.
    pub device: String,
    /// The HMAC key (RFC 4226 section 4, R6: 160 bits).
    pub secret: Secret<[u8; 20]>,
    /// How long a passcode is good for.
    pub step_seconds: i64,
}

/// The seed as JSON.
#[derive(Serialize, Deserialize)]
struct SeedMembers {
    device: String,
    #[serde(serialize_with = "crate::secret::reveal")]
    secret: Secret<String>,
    digits: u8,
    step_seconds: i64,
}

/// The protected header: exactly these members.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    enc: String,
    typ: String,
    kid: Thumbprint,
    epk: EcPublicKey,
}

/// Why a sealed seed cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SeedError {
    /// Not a compact JWE with exactly the header of a seed.
    #[error("is not a sealed seed")]
    Malformed,
    /// Sealed to another key, or altered.
    #[error("does not open with this key")]
    DoesNotOpen,
    /// What was inside is not a seed of six digits.
    #[error("does not contain a seed")]
    NoSeed,
}

/// Seals `seed` so that only the owner of `recipient` can read it.
#[must_use]
#[expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "header and seed are plain objects, far below the limit of the cipher"
)]
pub fn seal(seed: &Seed, recipient: &EcPublicKey, entropy: &dyn Entropy) -> String {
    let ephemeral = EcPrivateKey::generate(entropy);
    let header = Header {
        alg: ALG.to_owned(),
        enc: ENC.to_owned(),
        typ: TYP.to_owned(),
        kid: recipient.thumbprint(),
        epk: ephemeral.public(),
    };
    let header = encoding::encode(serde_json::to_vec(&header).expect("an object"));
    let members = SeedMembers {
        device: seed.device.clone(),
        secret: encoding::encode(seed.secret.expose()).into(),
        digits: DIGITS,
        step_seconds: seed.step_seconds,
    };
    let mut text = serde_json::to_vec(&members).expect("an object");
    let iv = random::<NONCE_LEN>(entropy);
    let tag = content_key(&ephemeral.agree(recipient))
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(iv),
            Aad::from(header.as_bytes()),
            &mut text,
        )
        .expect("a seed is far below the limit of the cipher");
    let [iv, text, tag] = [&iv, text.as_slice(), tag.as_ref()].map(encoding::encode);
    // The second part, the encrypted key, is empty: the content key is agreed upon (RFC 7516
    // section 5.1 step 5).
    format!("{header}..{iv}.{text}.{tag}")
}

/// Opens `jwe` with a private key at hand.
pub fn open(jwe: &str, recipient: &EcPrivateKey) -> Result<Seed, SeedError> {
    let sealed = SealedSeed::parse(jwe)?;
    if sealed.recipient() != recipient.public().thumbprint() {
        return Err(SeedError::DoesNotOpen);
    }
    let shared = recipient.agree(sealed.ephemeral_key());
    sealed.open(&shared)
}

/// A seed that has been taken apart but not opened.
#[derive(Debug, Clone)]
pub struct SealedSeed {
    header: String,
    kid: Thumbprint,
    epk: EcPublicKey,
    iv: [u8; NONCE_LEN],
    text: Vec<u8>,
    tag: [u8; TAG_LEN],
}

impl SealedSeed {
    /// Takes `jwe` apart.
    pub fn parse(jwe: &str) -> Result<Self, SeedError> {
        Self::read(jwe).ok_or(SeedError::Malformed)
    }

    fn read(jwe: &str) -> Option<Self> {
        if jwe.len() > MAX_BYTES {
            return None;
        }
        let mut parts = jwe.split('.');
        let [header, encrypted_key, iv, text, tag] = std::array::from_fn(|_| parts.next());
        if parts.next().is_some() || !encrypted_key?.is_empty() {
            return None;
        }
        let members: Header = json::parse(&encoding::decode(header?).ok()?).ok()?;
        if (members.alg.as_str(), members.enc.as_str(), members.typ.as_str()) != (ALG, ENC, TYP) {
            return None;
        }
        Some(Self {
            header: header?.to_owned(),
            kid: members.kid,
            epk: members.epk,
            iv: encoding::decode_array(iv?).ok()?,
            text: encoding::decode(text?).ok()?,
            tag: encoding::decode_array(tag?).ok()?,
        })
    }

    /// The agreement key that it is sealed to.
    #[must_use]
    pub const fn recipient(&self) -> Thumbprint {
        self.kid
    }

    /// The key to agree with.
    #[must_use]
    pub const fn ephemeral_key(&self) -> &EcPublicKey {
        &self.epk
    }

    /// Opens it with what the recipient's key and [`Self::ephemeral_key`] agree on (see
    /// [`EcPrivateKey::agree`]).
    pub fn open(self, shared: &Secret<[u8; 32]>) -> Result<Seed, SeedError> {
        let mut opened = Zeroizing::new(self.text);
        let text = content_key(shared)
            .open_in_place_separate_tag(
                Nonce::assume_unique_for_key(self.iv),
                Aad::from(self.header.as_bytes()),
                &self.tag,
                &mut opened,
            )
            .map_err(|_| SeedError::DoesNotOpen)?;
        let members: SeedMembers = json::parse(text).map_err(|_| SeedError::NoSeed)?;
        let secret = encoding::decode_array(members.secret.expose());
        if members.digits != DIGITS || members.step_seconds < 1 {
            return Err(SeedError::NoSeed);
        }
        Ok(Seed {
            device: members.device,
            secret: Secret::new(secret.map_err(|_| SeedError::NoSeed)?),
            step_seconds: members.step_seconds,
        })
    }
}

#[expect(clippy::expect_used, reason = "the derived key has the length that the cipher asks for")]
fn content_key(shared: &Secret<[u8; 32]>) -> LessSafeKey {
    let key = Secret::new(concat_kdf(shared.expose(), ENC, ["", ""], 256));
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.expose()).expect("a key of 32 bytes"))
}

/// One round of the Concat KDF with SHA-256 (RFC 7518 section 4.6.2); its first `bits` bits are the
/// key. `parties` are the values of `apu` and `apv`.
fn concat_kdf(shared: &[u8], algorithm: &str, parties: [&str; 2], bits: u32) -> [u8; 32] {
    let length = |text: &str| u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes();
    let mut input = Vec::from(1_u32.to_be_bytes());
    input.extend(shared);
    for text in [algorithm].into_iter().chain(parties) {
        input.extend(length(text));
        input.extend(text.as_bytes());
    }
    input.extend(bits.to_be_bytes());
    jose::sha256(&input)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Seeded, private_key};

    fn seed() -> Seed {
        Seed { device: "d-1".to_owned(), secret: Secret::new([7; 20]), step_seconds: 30 }
    }

    fn sealed() -> String {
        seal(&seed(), &private_key(1).public(), &Seeded::new(9))
    }

    #[test]
    fn the_key_derivation_gives_the_vector_of_rfc_7518_appendix_c() {
        // Z, as the appendix prints it.
        let shared = [
            158, 86, 217, 29, 129, 113, 53, 211, 114, 131, 66, 131, 191, 132, 38, 156, 251, 49,
            110, 163, 218, 128, 106, 72, 246, 218, 167, 121, 140, 254, 144, 196,
        ];
        let key = concat_kdf(&shared, "A128GCM", ["Alice", "Bob"], 128);
        assert_eq!(encoding::encode(&key[..16]), "VqqN6vgjbSBcIijNcacQGg");
    }

    #[test]
    fn the_key_agreement_gives_the_vector_of_rfc_7518_appendix_c() {
        let bob = EcPrivateKey::from_scalar(
            &encoding::decode_array("VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw").unwrap(),
        );
        let alice: EcPublicKey = serde_json::from_str(
            r#"{"kty":"EC","crv":"P-256",
                "x":"gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0",
                "y":"SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps"}"#,
        )
        .unwrap();
        assert_eq!(bob.unwrap().agree(&alice).expose()[..4], [158, 86, 217, 29]);
    }

    #[test]
    fn a_sealed_seed_opens_for_its_recipient_only() {
        assert_eq!(open(&sealed(), &private_key(1)), Ok(seed()));
        assert_eq!(open(&sealed(), &private_key(2)), Err(SeedError::DoesNotOpen));
        let other = private_key(2).agree(&private_key(3).public());
        let opened = SealedSeed::parse(&sealed()).unwrap().open(&other);
        assert_eq!(opened, Err(SeedError::DoesNotOpen));
    }

    #[test]
    fn the_wire_form_does_not_change() {
        let sealed = sealed();
        insta::assert_snapshot!(sealed);
        let header = encoding::decode(sealed.split('.').next().unwrap()).unwrap();
        insta::assert_snapshot!(String::from_utf8(header).unwrap());
    }

    #[test]
    fn an_altered_seed_does_not_open() {
        let sealed = sealed();
        for part in [2, 3, 4] {
            let mut parts: Vec<_> = sealed.split('.').map(str::to_owned).collect();
            let replacement = if parts[part].starts_with('A') { "B" } else { "A" };
            parts[part].replace_range(..1, replacement);
            assert_eq!(open(&parts.join("."), &private_key(1)), Err(SeedError::DoesNotOpen));
        }
    }

    #[test]
    fn another_form_of_jwe_is_refused() {
        let sealed = sealed();
        let (header, rest) = sealed.split_once('.').unwrap();
        let header = String::from_utf8(encoding::decode(header).unwrap()).unwrap();
        for (from, to) in [
            ("ECDH-ES", "ECDH-ES+A256KW"),
            ("A256GCM", "A128GCM"),
            ("countersign-seed", "JWT"),
            (r#""typ""#, r#""zip":"DEF","typ""#),
            (r#""typ""#, r#""alg":"ECDH-ES","typ""#),
        ] {
            let altered = format!("{}.{rest}", encoding::encode(header.replacen(from, to, 1)));
            assert_eq!(open(&altered, &private_key(1)), Err(SeedError::Malformed), "{from}");
        }
        for text in ["", "....", "a.b.c.d", &format!("{sealed}."), &sealed.replace("..", ".AA.")] {
            assert_eq!(open(text, &private_key(1)), Err(SeedError::Malformed));
        }
    }
}
