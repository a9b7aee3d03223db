//! Who signs in the tests: one key of each kind, and JWTs of any header.

use std::sync::LazyLock;

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512,
        RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
    },
};
use countersign_protocol::{encoding, secret::Secret};
use serde_json::{Value, json};

use super::Algorithm;
use crate::client_key::ClientKeySet;

pub(crate) static RSA: LazyLock<RsaKeyPair> =
    LazyLock::new(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap());
pub(crate) static P256: LazyLock<EcdsaKeyPair> =
    LazyLock::new(|| EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap());
pub(crate) static P384: LazyLock<EcdsaKeyPair> =
    LazyLock::new(|| EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap());
pub(crate) static ED25519: LazyLock<Ed25519KeyPair> =
    LazyLock::new(|| Ed25519KeyPair::generate().unwrap());

/// The client secret.
pub(crate) fn secret() -> Secret<Vec<u8>> {
    Secret::new(b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFG".to_vec())
}

/// The public keys, named after their kinds.
pub(crate) fn jwks() -> Value {
    let ec = |pair: &EcdsaKeyPair, kid: &str| {
        let point = pair.public_key().as_ref();
        let (x, y) = point[1..].split_at((point.len() - 1) / 2);
        let (x, y) = (encoding::encode(x), encoding::encode(y));
        let crv = if point.len() == 65 { "P-256" } else { "P-384" };
        json!({"kty": "EC", "crv": crv, "x": x, "y": y, "kid": kid})
    };
    let rsa = RSA.public_key();
    let n = encoding::encode(rsa.modulus().big_endian_without_leading_zero());
    let e = encoding::encode(rsa.exponent().big_endian_without_leading_zero());
    let ed25519 = encoding::encode(ED25519.public_key().as_ref());
    json!({"keys": [
        {"kty": "RSA", "n": n, "e": e, "kid": "rsa"},
        ec(&P256, "p256"),
        ec(&P384, "p384"),
        {"kty": "OKP", "crv": "Ed25519", "x": ed25519, "kid": "ed25519"},
    ]})
}

pub(crate) fn key_set() -> ClientKeySet {
    ClientKeySet::parse(jwks().to_string().as_bytes()).unwrap()
}

/// The signature of the test's client over `input`.
pub(crate) fn sign(algorithm: Algorithm, input: &[u8]) -> Vec<u8> {
    let mac = |hash| hmac::sign(&hmac::Key::new(hash, secret().expose()), input).as_ref().to_vec();
    let rsa = |padding: &'static dyn RsaEncoding| {
        let mut signature = vec![0; RSA.public_modulus_len()];
        RSA.sign(padding, &SystemRandom::new(), input, &mut signature).unwrap();
        signature
    };
    let ec =
        |pair: &EcdsaKeyPair| pair.sign(&SystemRandom::new(), input).unwrap().as_ref().to_vec();
    match algorithm {
        Algorithm::Hs256 => mac(hmac::HMAC_SHA256),
        Algorithm::Hs384 => mac(hmac::HMAC_SHA384),
        Algorithm::Hs512 => mac(hmac::HMAC_SHA512),
        Algorithm::Rs256 => rsa(&RSA_PKCS1_SHA256),
        Algorithm::Rs384 => rsa(&RSA_PKCS1_SHA384),
        Algorithm::Rs512 => rsa(&RSA_PKCS1_SHA512),
        Algorithm::Ps256 => rsa(&RSA_PSS_SHA256),
        Algorithm::Ps384 => rsa(&RSA_PSS_SHA384),
        Algorithm::Ps512 => rsa(&RSA_PSS_SHA512),
        Algorithm::Es256 => ec(&P256),
        Algorithm::Es384 => ec(&P384),
        Algorithm::EdDsa => ED25519.sign(input).as_ref().to_vec(),
    }
}

/// A JWT of exactly this header and these claims, as texts.
pub(crate) fn raw(algorithm: Algorithm, header: &str, claims: &str) -> String {
    let input = format!("{}.{}", encoding::encode(header), encoding::encode(claims));
    let signature = encoding::encode(sign(algorithm, input.as_bytes()));
    format!("{input}.{signature}")
}

/// A JWT as a client makes it.
pub(crate) fn jwt(algorithm: Algorithm, claims: &Value) -> String {
    raw(algorithm, &json!({"alg": algorithm.name()}).to_string(), &claims.to_string())
}

/// A JWT that says that it is not signed.
pub(crate) fn unsigned(claims: &Value) -> String {
    let header = encoding::encode(r#"{"alg":"none"}"#);
    format!("{header}.{}.", encoding::encode(claims.to_string()))
}
