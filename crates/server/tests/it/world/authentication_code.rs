//! A code that a back end of the bank shows for a phone to read.

use countersign_protocol::authentication_code::{ClaimRequest, CodeRequest};
use countersign_protocol::device_api::DeviceRequest;
use http::Method;
use serde_json::{Value, json};

use super::{
    Backend, Phone, World,
    wire::{Answer, JSON, get, post, request, with},
};

/// An authentication code that a back end follows.
#[derive(Clone)]
pub struct ShownCode {
    pub backend: Backend,
    /// As the last answer has shown it.
    pub shown: Value,
}

impl World {
    /// What a back end sends to have a code shown, which a phone with the bank's app may claim.
    pub fn shown_here(&self) -> Value {
        json!({ "application": { "id": self.bank.native.id } })
    }

    /// A code for phones with the bank's app, whose person is asked.
    pub async fn code(&self) -> ShownCode {
        self.backend().await.show(&self.shown_here()).await
    }

    /// A code with which one user is signed on unasked.
    pub async fn code_unasked(&self) -> ShownCode {
        let mut wanted = self.shown_here();
        wanted["userApproval"] = json!("NOT_REQUIRED");
        self.backend().await.show(&wanted).await
    }

    /// The device API of the bank.
    fn device_base(&self) -> String {
        self.url("/device/v1")
    }

    /// What a phone sends to claim a code.
    pub async fn claim_of(&self, phone: &Phone, code: &ShownCode) -> String {
        let nonce = self.wire.get(&self.url("/device/v1/nonce")).await.must_be(200).json();
        let nonce = nonce["nonce"].as_str().unwrap().to_owned();
        let claim = ClaimRequest { nonce, code: code.characters().parse().unwrap() };
        phone.proof(&ClaimRequest::address(&self.device_base()), claim).await
    }

    /// Sends a claim.
    pub async fn claim(&self, proof: &str) -> Answer {
        let body = json!({ "proof": proof }).to_string();
        self.wire.send(post(&ClaimRequest::address(&self.device_base()), JSON, body)).await
    }

    /// Where a code is decided about.
    pub fn decision_of<D: CodeRequest>(&self, code: &ShownCode) -> String {
        D::address(&self.device_base(), code.id())
    }

    /// Sends a decision about a code.
    pub async fn decide<D: CodeRequest>(&self, code: &ShownCode, proof: &str) -> Answer {
        let body = json!({ "proof": proof }).to_string();
        self.wire.send(post(&self.decision_of::<D>(code), JSON, body)).await
    }
}

impl Backend {
    /// Where codes are made.
    pub fn codes_url(&self) -> String {
        format!("{}/authenticationCodes", self.environment)
    }

    /// Asks for a code.
    pub async fn ask_for_code(&self, wanted: &Value) -> Answer {
        self.wire.send(self.signed(post(&self.codes_url(), JSON, wanted.to_string()))).await
    }

    /// Makes a code.
    pub async fn show(&self, wanted: &Value) -> ShownCode {
        let answer = self.ask_for_code(wanted).await.must_be(201);
        let shown = answer.json();
        assert_eq!(answer.location(), shown.pointer("/_links/self/href").and_then(Value::as_str));
        ShownCode { backend: self.clone(), shown }
    }
}

impl ShownCode {
    pub fn status(&self) -> &str {
        self.shown["status"].as_str().unwrap()
    }

    pub fn id(&self) -> &str {
        self.shown["id"].as_str().unwrap()
    }

    /// What people read.
    pub fn characters(&self) -> &str {
        self.shown["code"].as_str().unwrap()
    }

    /// What cameras read.
    pub fn uri(&self) -> &str {
        self.shown["uri"].as_str().unwrap()
    }

    /// The user who is signed on by it.
    pub fn user(&self) -> Option<&str> {
        self.shown.pointer("/user/id").and_then(Value::as_str)
    }

    /// What snapshots show: the characters are drawn anew whenever a test is set up differently.
    pub fn snapshot(&self) -> Value {
        let text = self.shown.to_string().replace(self.characters(), "<code>");
        serde_json::from_str(&text).unwrap()
    }

    fn url(&self) -> String {
        format!("{}/{}", self.backend.codes_url(), self.id())
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
