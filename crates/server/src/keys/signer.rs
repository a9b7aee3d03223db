//! Private keys that sign tokens.

use aws_lc_rs::{
    encoding::AsDer,
    rand::SystemRandom,
    rsa::{KeySize, PublicKeyComponents},
    signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use countersign_protocol::{
    entropy::Entropy,
    jose::{self, Algorithm, Header},
    jwk::{PublicJwk, PublicKey, RsaPublicKey},
    private_key::EcPrivateKey,
    secret::Secret,
};
use serde::Serialize;

use super::KeyError;

/// A private key that signs, with its public half.
pub struct Signer {
    public: PublicJwk,
    private: Private,
}

enum Private {
    Rsa(Box<RsaKeyPair>),
    Ec(Box<EcPrivateKey>),
}

impl Signer {
    /// A new private key, to be sealed: PKCS#8 of an RSA key, the scalar of a P-256 key.
    ///
    /// An RSA key takes about 0.1 s of CPU time, so never on an async thread.
    pub fn generate(
        algorithm: Algorithm,
        entropy: &dyn Entropy,
    ) -> Result<Secret<Vec<u8>>, KeyError> {
        Ok(Secret::new(match algorithm {
            Algorithm::Rs256 => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| KeyError)?;
                pair.as_der().map_err(|_| KeyError)?.as_ref().to_vec()
            }
            Algorithm::Es256 => EcPrivateKey::generate(entropy).scalar().expose().to_vec(),
        }))
    }

    /// Makes a stored private key usable.
    pub fn open(algorithm: Algorithm, private: &Secret<Vec<u8>>) -> Result<Self, KeyError> {
        let private = private.expose();
        let (public, private) = match algorithm {
            Algorithm::Rs256 => {
                let pair = RsaKeyPair::from_pkcs8(private).map_err(|_| KeyError)?;
                let PublicKeyComponents::<Vec<u8>> { n, e } = pair.public_key().into();
                let public = RsaPublicKey::from_components(n, e).map_err(|_| KeyError)?;
                (PublicKey::Rsa(public), Private::Rsa(Box::new(pair)))
            }
            Algorithm::Es256 => {
                let scalar = private.as_slice().try_into().map_err(|_| KeyError)?;
                let key = EcPrivateKey::from_scalar(scalar).map_err(|_| KeyError)?;
                (PublicKey::Ec(key.public()), Private::Ec(Box::new(key)))
            }
        };
        Ok(Self { public: PublicJwk::of(public), private })
    }

    /// The public half.
    pub const fn public(&self) -> &PublicJwk {
        &self.public
    }

    /// A compact JWS over `claims`.
    pub fn sign(&self, typ: &str, claims: &impl Serialize) -> Result<String, KeyError> {
        let header = Header { alg: self.public.key.algorithm(), kid: &self.public.kid, typ };
        let input = jose::signing_input(&header, claims);
        match &self.private {
            Private::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let random = SystemRandom::new();
                pair.sign(&RSA_PKCS1_SHA256, &random, input.as_bytes(), &mut signature)
                    .map_err(|_| KeyError)?;
                Ok(jose::assemble(&input, &signature))
            }
            Private::Ec(key) => Ok(jose::assemble(&input, &key.sign(input.as_bytes()))),
        }
    }
}
