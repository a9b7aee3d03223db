//! A pairing key that a back end of the bank has made for a user.

use countersign_domain::{
    id::Id,
    role::{Role, Scope},
    user::User,
};
use countersign_protocol::{
    device_api::DeviceRequest,
    mobile_payload::{AppFacts, Confirmation, DeviceFacts, Platform},
    otp::DEFAULT_STEP_SECONDS,
    pairing::passcode_proof,
    pairing_key::KeyPairingRequest,
};
use http::Method;
use serde_json::{Value, json};

use super::{
    Backend, Phone, World,
    wire::{Answer, JSON, get, post, request, with},
};

/// A pairing key that a back end follows.
#[derive(Clone)]
pub struct MadeKey {
    pub backend: Backend,
    /// As the last answer has shown it.
    pub shown: Value,
}

impl World {
    /// What a back end sends to have a key made under the policy of the bank.
    pub fn key_wanted(&self) -> Value {
        json!({ "policy": { "id": self.bank.mfa_policy.id } })
    }

    /// A key for ann.
    pub async fn pairing_key(&self) -> MadeKey {
        self.pairing_key_of(self.bank.ann.id).await
    }

    /// A back end of the bank that may manage its users.
    pub async fn pairing_backend(&self) -> Backend {
        let here = Scope::Environment(self.bank.environment.id);
        let token = self.administrator_with(&[(Role::IdentityDataAdmin, here)]).await.token;
        Backend { wire: self.wire.clone(), token, environment: self.url("") }
    }

    /// A key for somebody.
    pub async fn pairing_key_of(&self, user: Id<User>) -> MadeKey {
        self.pairing_backend().await.make_key(user, &self.key_wanted()).await
    }

    /// What a phone says to be paired by a key.
    pub async fn key_request(&self, phone: &Phone, key: &str) -> KeyPairingRequest {
        let nonce = self.wire.get(&self.url("/device/v1/nonce")).await.must_be(200).json();
        let keys = phone.keys().await;
        let app = AppFacts {
            id: self.bank.native.id.to_string(),
            package: None,
            version: None,
            platform: Platform::Android,
        };
        let dev = DeviceFacts {
            manufacturer: None,
            model: None,
            os_version: None,
            locale: None,
            sdk_version: "0.1.0".to_owned(),
            screen_lock: None,
            rooted: None,
        };
        KeyPairingRequest {
            nonce: nonce["nonce"].as_str().unwrap().to_owned(),
            key: key.parse().unwrap(),
            cnf: Confirmation { jwk: keys.possession },
            agreement: keys.agreement,
            verification: None,
            passcode: passcode_proof(key.as_bytes(), DEFAULT_STEP_SECONDS, self.server.now()),
            app,
            dev,
            push: None,
        }
    }

    /// The same, signed.
    pub async fn key_claim_of(&self, phone: &Phone, key: &str) -> String {
        self.key_claim_with(phone, key, |_| {}).await
    }

    /// The same, changed before it is signed.
    pub async fn key_claim_with(
        &self,
        phone: &Phone,
        key: &str,
        change: impl FnOnce(&mut KeyPairingRequest),
    ) -> String {
        let mut request = self.key_request(phone, key).await;
        change(&mut request);
        phone.proof(&self.key_claims_url(), request).await
    }

    /// Where phones show keys.
    pub fn key_claims_url(&self) -> String {
        KeyPairingRequest::address(&self.url("/device/v1"))
    }

    /// Sends what a phone has signed.
    pub async fn claim_key(&self, proof: &str) -> Answer {
        let body = json!({ "proof": proof }).to_string();
        self.wire.send(post(&self.key_claims_url(), JSON, body)).await
    }
}

impl Backend {
    /// Where the keys of a user are made.
    pub fn keys_url(&self, user: &str) -> String {
        let (base, environment) = self.environment.rsplit_once('/').unwrap();
        format!("{base}/v1/environments/{environment}/users/{user}/pairingKeys")
    }

    /// Asks for a key.
    pub async fn ask_for_key(&self, user: &str, wanted: &Value) -> Answer {
        let request = post(&self.keys_url(user), JSON, wanted.to_string());
        self.wire.send(self.signed(request)).await
    }

    /// Makes a key.
    pub async fn make_key(&self, user: Id<User>, wanted: &Value) -> MadeKey {
        let answer = self.ask_for_key(&user.to_string(), wanted).await.must_be(201);
        let shown = answer.json();
        assert_eq!(answer.location(), shown.pointer("/_links/self/href").and_then(Value::as_str));
        MadeKey { backend: self.clone(), shown }
    }
}

impl MadeKey {
    pub fn status(&self) -> &str {
        self.shown["status"].as_str().unwrap()
    }

    pub fn id(&self) -> &str {
        self.shown["id"].as_str().unwrap()
    }

    /// What people type.
    pub fn characters(&self) -> &str {
        self.shown["code"].as_str().unwrap()
    }

    /// Why it is not claimed, if something is told.
    pub fn error(&self) -> Option<&str> {
        self.shown.pointer("/error/code").and_then(Value::as_str)
    }

    /// What snapshots show: the characters are drawn anew whenever a test is set up differently.
    pub fn snapshot(&self) -> Value {
        let text = self.shown.to_string().replace(self.characters(), "<key>");
        serde_json::from_str(&text).unwrap()
    }

    pub fn url(&self) -> String {
        self.shown.pointer("/_links/self/href").and_then(Value::as_str).unwrap().to_owned()
    }

    /// Reads it as it is now.
    pub async fn read(&self) -> Answer {
        self.backend.wire.send(self.backend.signed(get(&self.url()))).await
    }

    /// Reads it, and tells the status.
    pub async fn refresh(&mut self) -> &str {
        self.shown = self.read().await.must_be(200).json();
        self.status()
    }

    /// Reads it once it has changed, or after so many seconds.
    pub async fn wait(&mut self, seconds: u32) -> &str {
        let read = self.backend.signed(request(Method::GET, &self.url()));
        let read = with(read, "prefer", &format!("wait={seconds}"));
        self.shown = self.backend.wire.send(read).await.must_be(200).json();
        self.status()
    }

    /// Withdraws it.
    pub async fn withdraw(&self) -> Answer {
        let request = request(Method::DELETE, &self.url());
        self.backend.wire.send(self.backend.signed(request)).await
    }
}
