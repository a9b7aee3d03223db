//! The floor under device authorization: its signatures, verifications and hashes alone, as the server calls them, over
//! messages of the same size.

use std::{hint::black_box, time::Duration};

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use countersign_protocol::{
    encoding,
    entropy::{SystemEntropy, random},
    jose::{self, Algorithm},
    private_key::EcPrivateKey,
    time::{Clock, SystemClock},
};
use serde::Serialize;

use crate::{LoadError, figures::real, phone::Phone, stopwatch::Stopwatch};

/// Bytes of the signing input of an access token and of an ID token, as the server makes them.
const TOKEN_BYTES: usize = 620;

/// What the cryptography of one round costs, in microseconds on one core.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Floor {
    /// The ES256 signature of the mobile payload is verified.
    pub verify_us: f64,
    /// The access token is signed with ES256.
    pub sign_access_token_us: f64,
    /// The ID token is signed.
    pub sign_id_token_us: f64,
    /// SHA-256 and HMAC-SHA-256: digest and thumbprint of the payload, cookie, code (made and checked), PKCE, `at_hash`.
    pub hashes_us: f64,
    /// Verifications and signatures together.
    pub signatures_us: f64,
    /// All of it.
    pub total_us: f64,
    /// Rounds per second of a core that did nothing else.
    pub rounds_per_second: f64,
}

enum IdTokenKey {
    Ec(EcPrivateKey),
    Rsa(Box<RsaKeyPair>),
}

/// Measures each part for a fourth of the time given.
pub fn measure(algorithm: Algorithm, time: Duration) -> Result<Floor, LoadError> {
    let time = time / 4;
    let phone = Phone::of(0, "8f4be8e9-9df9-7a8e-8b64-5b53b1a3a9b1")?;
    let issuer = "http://127.0.0.1:8080/019abc00-0000-7000-8000-000000000000/as";
    let payload = phone.payload(issuer, SystemClock.now(), &SystemEntropy);
    let payload = jose::split(&payload).map_err(|error| LoadError::other(error.to_string()))?;
    let key = phone.body().cnf.jwk;
    let token = "x".repeat(TOKEN_BYTES);
    let access_key = EcPrivateKey::generate(&SystemEntropy);
    let id_key = match algorithm {
        Algorithm::Es256 => IdTokenKey::Ec(EcPrivateKey::generate(&SystemEntropy)),
        Algorithm::Rs256 => {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| LoadError::Key)?;
            IdTokenKey::Rsa(Box::new(pair))
        }
    };
    let input = payload.signing_input.as_bytes();
    if !key.verify(input, &payload.signature) {
        return Err(LoadError::Key);
    }
    let verify_us = repeat(time, || key.verify(black_box(input), &payload.signature));
    let sign_access_token_us = repeat(time, || access_key.sign(black_box(token.as_bytes())));
    let sign_id_token_us = repeat(time, || id_key.sign(black_box(token.as_bytes())));
    let mac = hmac::Key::new(hmac::HMAC_SHA256, &random::<32>(&SystemEntropy));
    let hashes_us = repeat(time, || {
        let payload = [jose::digest(&payload.signing_input), *key.thumbprint().as_bytes()];
        let [cookie, code, again] = [43, 16, 16].map(|length| {
            hmac::sign(&mac, black_box(token.as_bytes().get(..length).unwrap_or_default()))
        });
        let [pkce, access] = [43, TOKEN_BYTES]
            .map(|length| jose::digest(black_box(token.get(..length).unwrap_or_default())));
        (payload, cookie, code, again, pkce, encoding::encode(access))
    });
    let signatures_us = verify_us + sign_access_token_us + sign_id_token_us;
    let total_us = signatures_us + hashes_us;
    Ok(Floor {
        verify_us,
        sign_access_token_us,
        sign_id_token_us,
        hashes_us,
        signatures_us,
        total_us,
        rounds_per_second: 1e6 / total_us,
    })
}

impl IdTokenKey {
    fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Ec(key) => key.sign(message).to_vec(),
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                // A failure would leave zeros, and a figure that nobody would believe.
                let _ = pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature);
                signature
            }
        }
    }
}

/// Microseconds of one call, over as many as fit into `time`.
fn repeat<T>(time: Duration, mut call: impl FnMut() -> T) -> f64 {
    // The clock is asked once for so many calls, so that it does not count.
    const BATCH: u64 = 32;
    let watch = Stopwatch::start();
    let mut calls = 0;
    loop {
        for _ in 0..BATCH {
            black_box(call());
        }
        calls += BATCH;
        let elapsed = watch.elapsed();
        if elapsed >= time {
            return elapsed.as_secs_f64() * 1e6 / real(calls);
        }
    }
}
