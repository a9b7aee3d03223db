//! A back end of the bank: a worker application that lets users be authenticated by their devices.

use http::{Method, Request};
use serde_json::{Value, json};

use super::{
    World,
    wire::{Answer, JSON, Members, Wire, get, post, request, with},
};

/// A worker application with an access token of its own.
#[derive(Clone)]
pub struct Backend {
    pub wire: Wire,
    pub token: String,
    /// The address of the environment.
    pub environment: String,
}

/// A device authentication that a back end follows.
#[derive(Clone)]
pub struct Authentication {
    pub backend: Backend,
    /// As the last answer has shown it.
    pub shown: Value,
}

impl World {
    /// A back end of the bank.
    pub async fn backend(&self) -> Backend {
        let worker = self.worker().await;
        let answer = worker.redeem(&Members::from([("grant_type", "client_credentials")])).await;
        let token = answer.must_be(200).json()["access_token"].as_str().unwrap().to_owned();
        Backend { wire: self.wire.clone(), token, environment: self.url("") }
    }

    /// What a back end sends to have ann authenticated.
    pub fn ann(&self) -> Value {
        json!({ "user": { "id": self.bank.ann.id }, "policy": { "id": self.bank.mfa_policy.id } })
    }
}

impl Backend {
    /// The same requests, with this token.
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    /// Shows its token.
    pub fn signed<B>(&self, request: Request<B>) -> Request<B> {
        let (mut parts, body) = request.into_parts();
        let bearer = format!("Bearer {}", self.token).parse().unwrap();
        parts.headers.insert("authorization", bearer);
        Request::from_parts(parts, body)
    }

    /// Asks for a device authentication.
    pub async fn ask(&self, wanted: &Value) -> Answer {
        let url = format!("{}/deviceAuthentications", self.environment);
        self.wire.send(self.signed(post(&url, JSON, wanted.to_string()))).await
    }

    /// Begins a device authentication.
    pub async fn begin(&self, wanted: &Value) -> Authentication {
        let answer = self.ask(wanted).await.must_be(201);
        let shown = answer.json();
        assert_eq!(answer.location(), shown.pointer("/_links/self/href").and_then(Value::as_str));
        Authentication { backend: self.clone(), shown }
    }

    /// The address of a device authentication.
    pub fn url(&self, id: &str) -> String {
        format!("{}/deviceAuthentications/{id}", self.environment)
    }
}

impl Authentication {
    pub fn status(&self) -> &str {
        self.shown["status"].as_str().unwrap()
    }

    pub fn id(&self) -> &str {
        self.shown["id"].as_str().unwrap()
    }

    /// The actions that are possible, as `_links` says, in their order there.
    pub fn actions(&self) -> Vec<&str> {
        let links = self.shown["_links"].as_object().unwrap();
        links.keys().map(String::as_str).filter(|name| *name != "self").collect()
    }

    /// The id of the device at this place.
    pub fn device(&self, place: usize) -> &str {
        self.shown["_embedded"]["devices"][place]["id"].as_str().unwrap()
    }

    /// Takes an action. What is shown is then as the answer says, if it was taken.
    pub async fn act(&mut self, action: &str, body: &Value) -> Answer {
        let media_type = format!("application/vnd.pingidentity.{action}+json");
        let url = self.backend.url(self.id());
        let sent = self.backend.signed(post(&url, &media_type, body.to_string()));
        let answer = self.backend.wire.send(sent).await;
        if answer.status == 200 {
            self.shown = answer.json();
        }
        answer
    }

    pub async fn passcode(&mut self, passcode: &str) -> Answer {
        self.act("otp.check", &json!({ "otp": passcode })).await
    }

    pub async fn select(&mut self, device: &str) -> Answer {
        self.act("device.select", &json!({ "device": { "id": device } })).await
    }

    pub async fn cancel(&mut self, reason: &str) -> Answer {
        self.act("cancel.push.authentication", &json!({ "reason": reason })).await
    }

    /// Reads it as it is now.
    pub async fn read(&self) -> Answer {
        self.backend.wire.send(self.backend.signed(get(&self.backend.url(self.id())))).await
    }

    /// Reads it once it waits for no phone, or after so many seconds.
    pub async fn wait(&mut self, seconds: u32) -> &str {
        let read = self.backend.signed(request(Method::GET, &self.backend.url(self.id())));
        let read = with(read, "prefer", &format!("wait={seconds}"));
        self.shown = self.backend.wire.send(read).await.must_be(200).json();
        self.status()
    }

    /// Reads it, and tells the status.
    pub async fn refresh(&mut self) -> &str {
        self.shown = self.read().await.must_be(200).json();
        self.status()
    }
}
