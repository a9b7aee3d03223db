//! The signed tokens (RFC 7519) by which the platform shows a push service who it is.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use countersign_protocol::encoding::encode;
use countersign_protocol::private_key::EcPrivateKey;
use serde_json::Value;

/// Signed with ES256.
pub fn es256(key: &EcPrivateKey, header: &Value, claims: &Value) -> String {
    let input = signing_input(header, claims);
    let signature = key.sign(input.as_bytes());
    format!("{input}.{}", encode(signature))
}

/// Signed with RS256. `None`: memory has run out.
pub fn rs256(key: &RsaKeyPair, header: &Value, claims: &Value) -> Option<String> {
    let input = signing_input(header, claims);
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), input.as_bytes(), &mut signature).ok()?;
    Some(format!("{input}.{}", encode(signature)))
}

fn signing_input(header: &Value, claims: &Value) -> String {
    format!("{}.{}", encode(header.to_string()), encode(claims.to_string()))
}
