//! P-256 private keys held in memory: of software key stores and of the platform's own signatures.

use std::fmt;

use aws_lc_rs::agreement::{self, ECDH_P256};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};

use crate::entropy::{Entropy, random};
use crate::jose;
use crate::jwk::{EcPublicKey, JwkError};
use crate::secret::Secret;

/// A P-256 private key. One key has one purpose: use it to sign or to agree, not both.
pub struct EcPrivateKey {
    scalar: Secret<[u8; 32]>,
    agreement: agreement::PrivateKey,
    signing: EcdsaKeyPair,
    public: EcPublicKey,
}

impl EcPrivateKey {
    /// A fresh key from the bytes of `entropy`.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut scalar = Secret::new(random::<32>(entropy));
        loop {
            // One candidate in 2^32 is not below the order of the group; its hash is the next one.
            match Self::from_scalar(scalar.expose()) {
                Ok(key) => return key,
                Err(_) => scalar = Secret::new(jose::sha256(scalar.expose())),
            }
        }
    }

    /// The key of a 32-byte big-endian scalar, or [`JwkError::Invalid`] when it is zero or not
    /// below the order.
    pub fn from_scalar(scalar: &[u8; 32]) -> Result<Self, JwkError> {
        let agreement = agreement::PrivateKey::from_private_key(&ECDH_P256, scalar)
            .map_err(|_| JwkError::Invalid)?;
        let point = agreement.compute_public_key().map_err(|_| JwkError::Invalid)?;
        let signing = EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            scalar,
            point.as_ref(),
        )
        .map_err(|_| JwkError::Invalid)?;
        let public = EcPublicKey::from_uncompressed(point.as_ref())?;
        Ok(Self { scalar: Secret::new(*scalar), agreement, signing, public })
    }

    /// The scalar, to be sealed and stored.
    #[must_use]
    pub const fn scalar(&self) -> &Secret<[u8; 32]> {
        &self.scalar
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> EcPublicKey {
        self.public
    }

    /// The ES256 signature of `message`: r and s (RFC 7518 section 3.4). Its random part comes from
    /// the library.
    #[must_use]
    #[expect(
        clippy::expect_used,
        clippy::missing_panics_doc,
        reason = "signing fails only when memory runs out"
    )]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let signature = self.signing.sign(&SystemRandom::new(), message).expect("the key can sign");
        signature.as_ref().try_into().expect("an ES256 signature is 64 bytes")
    }

    /// The x coordinate that this key and `peer` agree on (SEC 1 section 3.3.1): input of a key
    /// derivation, not a key.
    #[must_use]
    #[expect(
        clippy::expect_used,
        clippy::missing_panics_doc,
        reason = "both points were checked to be on the curve"
    )]
    pub fn agree(&self, peer: &EcPublicKey) -> Secret<[u8; 32]> {
        let peer = agreement::UnparsedPublicKey::new(&ECDH_P256, peer.to_uncompressed());
        agreement::agree(&self.agreement, peer, (), |shared| shared.try_into().map_err(|_| ()))
            .map(Secret::new)
            .expect("two points of P-256 agree on 32 bytes")
    }
}

impl fmt::Debug for EcPrivateKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "EcPrivateKey({})", self.public.thumbprint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::private_key;

    struct Constant(u8);

    impl Entropy for Constant {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    #[test]
    fn scalars_outside_the_group_are_refused_and_generation_goes_on() {
        for byte in [0, 0xff] {
            assert_eq!(EcPrivateKey::from_scalar(&[byte; 32]).unwrap_err(), JwkError::Invalid);
            let key = EcPrivateKey::generate(&Constant(byte));
            assert_eq!(*key.scalar().expose(), jose::sha256(&[byte; 32]));
        }
    }

    #[test]
    fn a_key_comes_back_from_its_scalar() {
        let key = private_key(1);
        let again = EcPrivateKey::from_scalar(key.scalar().expose()).unwrap();
        assert_eq!(again.public(), key.public());
        assert!(key.public().verify(b"message", &again.sign(b"message")));
        assert!(!key.public().verify(b"another", &again.sign(b"message")));
    }

    #[test]
    fn both_sides_agree() {
        let (ann, bob, eve) = (private_key(1), private_key(2), private_key(3));
        assert_eq!(ann.agree(&bob.public()), bob.agree(&ann.public()));
        assert_ne!(ann.agree(&bob.public()), eve.agree(&ann.public()));
    }
}
