//! A client that proves itself by JWTs, and the place where it publishes its keys.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use aws_lc_rs::hmac;
use axum::{Router, http::StatusCode, routing::get};
use countersign_protocol::{
    encoding,
    jose::{self, Algorithm, Header},
    jwk::{JwkSet, PublicJwk, PublicKey},
    private_key::EcPrivateKey,
};
use serde_json::{Value, json};

/// A JWT under an HMAC with a client secret.
pub fn by_secret(secret: &str, claims: &Value) -> String {
    let header = encoding::encode(json!({"alg": "HS256"}).to_string());
    let input = format!("{header}.{}", encoding::encode(claims.to_string()));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    jose::assemble(&input, hmac::sign(&key, input.as_bytes()).as_ref())
}

/// A JWT under the `n`th key, which is named after its number.
pub fn by_key(n: u8, claims: &Value) -> String {
    let kid = n.to_string();
    let header = Header { alg: Algorithm::Es256, kid: &kid, typ: "JWT" };
    let input = jose::signing_input(&header, claims);
    let key = EcPrivateKey::from_scalar(&[n; 32]).unwrap();
    jose::assemble(&input, &key.sign(input.as_bytes()))
}

/// The public set of these keys.
pub fn key_set(numbers: &[u8]) -> String {
    let key = |n: &u8| {
        let key = EcPrivateKey::from_scalar(&[*n; 32]).unwrap().public();
        PublicJwk { kid: n.to_string(), key: PublicKey::Ec(key) }
    };
    let set = JwkSet { keys: numbers.iter().map(key).collect() };
    serde_json::to_string(&set).unwrap()
}

/// Where a client publishes its keys: a server on this machine.
pub struct KeyPage {
    address: SocketAddr,
    answer: Arc<Mutex<(u16, String)>>,
    calls: Arc<AtomicUsize>,
}

impl KeyPage {
    pub async fn open(numbers: &[u8]) -> Self {
        let answer = Arc::new(Mutex::new((200, key_set(numbers))));
        let calls = Arc::new(AtomicUsize::new(0));
        let (shown, counted) = (Arc::clone(&answer), Arc::clone(&calls));
        let show = async move || {
            counted.fetch_add(1, Ordering::Relaxed);
            let (status, body) = shown.lock().unwrap().clone();
            (StatusCode::from_u16(status).unwrap(), body)
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/jwks", get(show));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, answer, calls }
    }

    pub fn url(&self) -> String {
        format!("http://{}/jwks", self.address)
    }

    pub fn show(&self, status: u16, body: String) {
        *self.answer.lock().unwrap() = (status, body);
    }

    /// How often it was called.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

/// A `DPoP` proof by the `n`th key, which it brings along.
pub fn proof(n: u8, claims: &Value) -> String {
    let key = EcPrivateKey::from_scalar(&[n; 32]).unwrap();
    let header = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": key.public()});
    let (header, claims) = (header.to_string(), claims.to_string());
    let input = format!("{}.{}", encoding::encode(header), encoding::encode(claims));
    jose::assemble(&input, &key.sign(input.as_bytes()))
}

/// How the `n`th key is named.
pub fn thumbprint(n: u8) -> String {
    EcPrivateKey::from_scalar(&[n; 32]).unwrap().public().thumbprint().to_string()
}
