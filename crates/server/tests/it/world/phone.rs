//! A phone: the real SDK, whose requests go to the router.

use std::sync::Arc;

use async_trait::async_trait;
use countersign_protocol::{
    entropy::Entropy,
    mobile_payload::Platform as RunsOn,
    proof::{Jti, Proof, Unsigned},
    time::Clock,
};
use countersign_sdk::{
    App, Config, Countersign, Device, Method, PairingInfo, Platform, Request, Response, Transport,
    TransportError, key_store::MemoryKeyStore, storage::MemoryStorage,
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
        let platform = Platform {
            transport,
            key_store: Arc::new(MemoryKeyStore::new(Arc::clone(&entropy))),
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
