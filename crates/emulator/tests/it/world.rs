//! What the tests of the push services share: a host with a clock, credentials, and clients.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use bytes::Bytes;
use countersign_emulator::push_service::Host;
use countersign_emulator::push_service::authority::Authority;
use countersign_emulator::push_service::credentials::{ApnsCredentials, FcmCredentials};
use countersign_protocol::encoding;
use countersign_protocol::entropy::SystemEntropy;
use countersign_protocol::time::{Clock, Timestamp};
use h2::client::SendRequest;
use http::{Request, Response};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub const TOPIC: &str = "org.bank.app";
pub const PROJECT: &str = "bank-project";

/// Nothing that is expected takes longer.
pub const SOON: Duration = Duration::from_secs(20);

/// Long enough to see what is there, when nothing more is expected.
pub const AT_ONCE: Duration = Duration::ZERO;

/// A clock that stands still until it is put forward.
pub struct StandingClock(Mutex<Timestamp>);

impl StandingClock {
    pub fn advance(&self, seconds: i64) {
        let mut now = self.0.lock().unwrap();
        *now = now.plus_seconds(seconds);
    }
}

impl Clock for StandingClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// A host, and its clock.
pub fn host() -> (Host, Arc<StandingClock>) {
    let clock = Arc::new(StandingClock(Mutex::new(Timestamp::from_unix_seconds(1_767_603_600))));
    let host = Host {
        authority: Arc::new(Authority::new().unwrap()),
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        entropy: Arc::new(SystemEntropy),
    };
    (host, clock)
}

/// The same in all tests: RSA keys are slow to make.
pub fn fcm_credentials() -> &'static FcmCredentials {
    static MADE: OnceLock<FcmCredentials> = OnceLock::new();
    MADE.get_or_init(|| FcmCredentials::generate(PROJECT, &SystemEntropy).unwrap())
}

fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.{}", encoding::encode(header.to_string()), encoding::encode(claims.to_string()))
}

pub fn es256(pem: &str, header: &Value, claims: &Value) -> String {
    let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).unwrap();
    let key =
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_pkcs8_der()).unwrap();
    let input = unsigned(header, claims);
    let signature = key.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
    format!("{input}.{}", encoding::encode(signature))
}

pub fn rs256(pem: &str, header: &Value, claims: &Value) -> String {
    let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).unwrap();
    let key = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap();
    let input = unsigned(header, claims);
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), input.as_bytes(), &mut signature).unwrap();
    format!("{input}.{}", encoding::encode(signature))
}

/// A provider token of these credentials, issued at this time.
pub fn provider_token(credentials: &ApnsCredentials, issued_at: Timestamp) -> String {
    let header = json!({ "alg": "ES256", "kid": credentials.key_id });
    let claims = json!({ "iss": credentials.team_id, "iat": issued_at.unix_seconds() });
    es256(&credentials.p8(), &header, &claims)
}

/// Agrees on TLS with a server, offering these protocols.
pub async fn connect_tls(
    address: SocketAddr,
    authority_pem: &str,
    protocols: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority_pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(address).await?;
    TlsConnector::from(Arc::new(tls)).connect("localhost".try_into().unwrap(), stream).await
}

/// A connection of a client of HTTP/2.
pub struct Connection {
    pub sender: SendRequest<Bytes>,
    pub ended: JoinHandle<Result<(), h2::Error>>,
}

/// The answer to a request: status, `apns-id`, and body.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: http::response::Parts,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub fn reason(&self) -> String {
        if self.body.is_empty() {
            return String::new();
        }
        self.json()["reason"].as_str().unwrap().to_owned()
    }
}

impl Connection {
    pub async fn open(address: SocketAddr, authority_pem: &str) -> Self {
        let tls = connect_tls(address, authority_pem, &["h2"]).await.unwrap();
        let (sender, connection) = h2::client::handshake(tls).await.unwrap();
        Self { sender, ended: tokio::spawn(connection) }
    }

    /// Sends a request, and waits until a stream is free for it but not for the answer.
    pub async fn begin(&self, request: Request<Bytes>) -> Result<Waiting, h2::Error> {
        let (head, body) = request.into_parts();
        let mut sender = self.sender.clone().ready().await?;
        let (response, mut stream) =
            sender.send_request(Request::from_parts(head, ()), body.is_empty())?;
        if !body.is_empty() {
            stream.send_data(body, true)?;
        }
        Ok(Waiting(response))
    }

    pub async fn send(&self, request: Request<Bytes>) -> Result<Answer, h2::Error> {
        self.begin(request).await?.answer().await
    }
}

/// A request without its answer.
pub struct Waiting(h2::client::ResponseFuture);

impl Waiting {
    pub async fn head(self) -> Result<Response<h2::RecvStream>, h2::Error> {
        tokio::time::timeout(SOON, self.0).await.expect("an answer comes soon")
    }

    pub async fn answer(self) -> Result<Answer, h2::Error> {
        let (head, mut body) = self.head().await?.into_parts();
        let mut bytes = Vec::new();
        while let Some(chunk) = body.data().await {
            bytes.extend_from_slice(&chunk?);
        }
        let body = String::from_utf8(bytes).unwrap();
        Ok(Answer { status: head.status.as_u16(), head, body })
    }
}
