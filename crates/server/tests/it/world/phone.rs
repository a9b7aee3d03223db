//! A phone: the real SDK, whose requests go to the router.

use std::sync::Arc;

use async_trait::async_trait;
use countersign_protocol::{
    entropy::Entropy,
    jwk::EcPublicKey,
    mobile_payload::Platform as RunsOn,
    proof::{Jti, Proof, Unsigned},
    secret::Secret,
    time::Clock,
};
use countersign_sdk::{
    App, Config, Countersign, Device, KeyStore, KeyStoreError, Method, PairingInfo, Platform,
    PublicKeys, Request, Response, Transport, TransportError, key_store::MemoryKeyStore,
    storage::MemoryStorage,
};

use super::{
    client::Tokens,
    wire::{Wire, request},
};

/// A phone with the app open.
pub struct Phone {
    pub sdk: Countersign,
    platform: Platform,
}

impl Phone {
    pub async fn new(
        transport: Arc<dyn Transport>,
        (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>),
        issuer: &str,
        application: &str,
    ) -> Self {
        let key_store = Arc::new(MemoryKeyStore::new(Arc::clone(&entropy)));
        Self::holding(key_store, transport, (clock, entropy), issuer, application).await
    }

    /// A phone with another key store than that of tests.
    pub async fn holding(
        key_store: Arc<dyn KeyStore>,
        transport: Arc<dyn Transport>,
        (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>),
        issuer: &str,
        application: &str,
    ) -> Self {
        let platform = Platform {
            transport,
            key_store,
            storage: Arc::new(MemoryStorage::default()),
            clock,
            entropy,
        };
        let app = App {
            package: Some("org.bank.app".to_owned()),
            version: Some("5.1".to_owned()),
            platform: RunsOn::Android,
        };
        let device = Device { model: Some("FP5".to_owned()), ..Device::default() };
        let (issuer, application) = (issuer.to_owned(), application.to_owned());
        let config = Config { issuer, application, app, device };
        Self { sdk: Countersign::open(config, platform.clone()).await.unwrap(), platform }
    }

    /// A proof signed by its possession key, for any address.
    pub async fn proof<P: Proof>(&self, audience: &str, body: P) -> String {
        let Platform { key_store, clock, entropy, .. } = &self.platform;
        let kid = key_store.ensure().await.unwrap().possession.thumbprint();
        let unsigned = Unsigned::new(kid, audience, body, clock.now(), Jti::new(entropy.as_ref()));
        let signature = key_store.sign(unsigned.signing_input().as_bytes()).await.unwrap();
        unsigned.signed(&signature)
    }

    /// Its public keys.
    pub async fn keys(&self) -> PublicKeys {
        self.platform.key_store.ensure().await.unwrap()
    }

    /// A proof signed by its user-verification key, for any address.
    pub async fn verified_proof<P: Proof>(&self, audience: &str, body: P) -> String {
        let Platform { key_store, clock, entropy, .. } = &self.platform;
        let keys = key_store.ensure().await.unwrap();
        let kid = keys.verification.expect("a verification key").thumbprint();
        let unsigned = Unsigned::new(kid, audience, body, clock.now(), Jti::new(entropy.as_ref()));
        let input = unsigned.signing_input().as_bytes();
        let signature = key_store.sign_verified(input, "test").await.unwrap();
        unsigned.signed(&signature)
    }

    /// Approves the offer to pair of a sign-on.
    pub async fn approve(&self, tokens: &Tokens) -> PairingInfo {
        let offer = self.sdk.process_id_token(&tokens.id_token).await.unwrap();
        offer.expect("an offer to pair").approve().await.unwrap()
    }

    /// What it shows.
    pub fn passcode(&self) -> String {
        self.sdk.one_time_passcode().unwrap().passcode.expose().to_owned()
    }

    /// Six digits that it does not show, now or in the steps around.
    pub fn wrong_passcode(&self) -> String {
        let shown: u32 = self.passcode().parse().unwrap();
        format!("{:06}", (shown + 1) % 1_000_000)
    }
}

#[async_trait]
impl Transport for Wire {
    async fn send(&self, sent: Request) -> Result<Response, TransportError> {
        let method = match sent.method {
            Method::Get => http::Method::GET,
            Method::Post => http::Method::POST,
        };
        let mut request = request(method, &sent.url).map(|_| sent.body.into());
        for (name, value) in &sent.headers {
            let name: http::HeaderName = name.parse().unwrap();
            request.headers_mut().append(name, value.parse().unwrap());
        }
        let answer = Self::send(self, request).await;
        let header = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            (name.to_string(), value.to_str().unwrap().to_owned())
        };
        let headers = answer.headers.iter().map(header).collect();
        Ok(Response { status: answer.status.as_u16(), headers, body: answer.body.to_vec() })
    }
}

/// The key store of a phone that has no way to verify its person.
pub struct WithoutPerson(pub MemoryKeyStore);

#[async_trait]
impl KeyStore for WithoutPerson {
    async fn ensure(&self) -> Result<PublicKeys, KeyStoreError> {
        Ok(PublicKeys { verification: None, ..self.0.ensure().await? })
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyStoreError> {
        self.0.sign(message).await
    }

    async fn sign_verified(&self, _: &[u8], _: &str) -> Result<Vec<u8>, KeyStoreError> {
        Err(KeyStoreError::NotVerified)
    }

    async fn agree(&self, peer: &EcPublicKey) -> Result<Secret<[u8; 32]>, KeyStoreError> {
        self.0.agree(peer).await
    }

    async fn wipe(&self) -> Result<(), KeyStoreError> {
        self.0.wipe().await
    }
}
