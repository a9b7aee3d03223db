//! APNs: every check and its answer, what arrives, and what can go wrong.

mod checks;
mod connection;
mod delivery;

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use countersign_emulator::push_service::apns::{ApnsServer, ApnsSettings};
use countersign_emulator::push_service::credentials::ApnsCredentials;
use countersign_protocol::entropy::SystemEntropy;
use countersign_protocol::time::{Clock, Timestamp};
use http::Request;
use serde_json::{Value, json};

use crate::world::{Answer, Connection, StandingClock, TOPIC, host, provider_token};

/// A service with a team of one app, and one installation of it.
pub struct World {
    pub server: ApnsServer,
    pub clock: Arc<StandingClock>,
    pub credentials: ApnsCredentials,
    pub token: String,
    signed: Mutex<(Option<Timestamp>, String)>,
}

impl World {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(set: impl FnOnce(&mut ApnsSettings)) -> Self {
        let (host, clock) = host();
        let credentials = ApnsCredentials::generate(&SystemEntropy).unwrap();
        let mut settings = ApnsSettings::new(vec![credentials.team(&[TOPIC])]);
        set(&mut settings);
        let server = ApnsServer::start(settings, host).await.unwrap();
        let token = server.installations().install(TOPIC).unwrap();
        Self { server, clock, credentials, token, signed: Mutex::default() }
    }

    pub async fn connect(&self) -> Connection {
        Connection::open(self.server.address(), &self.server.authority_pem()).await
    }

    /// The same while the clock stands still: each signature is another one, and another token on a connection is an update.
    pub fn provider_token(&self) -> String {
        let now = self.clock.now();
        let mut signed = self.signed.lock().unwrap();
        if signed.0 != Some(now) {
            *signed = (Some(now), provider_token(&self.credentials, now));
        }
        signed.1.clone()
    }

    /// A visible message that nothing is wrong with.
    pub fn request(&self) -> Push {
        Push {
            method: "POST",
            path: format!("/3/device/{}", self.token),
            headers: vec![
                ("authorization".to_owned(), format!("bearer {}", self.provider_token())),
                ("apns-topic".to_owned(), TOPIC.to_owned()),
                ("apns-push-type".to_owned(), "alert".to_owned()),
            ],
            body: json!({ "aps": { "alert": "Sign in?" } }).to_string().into(),
        }
    }

    /// A message that only wakes the app.
    pub fn silent(&self) -> Push {
        self.request()
            .header("apns-push-type", "background")
            .header("apns-priority", "5")
            .json(&json!({ "aps": { "content-available": 1 } }))
    }

    /// Sends on a connection of its own.
    pub async fn send(&self, push: Push) -> Answer {
        self.connect().await.send(push.into()).await.unwrap()
    }
}

/// A request that can be changed.
#[derive(Clone)]
pub struct Push {
    pub method: &'static str,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

impl Push {
    /// With this field instead of the one that it has.
    pub fn header(self, name: &str, value: &str) -> Self {
        self.without(name).also(name, value)
    }

    /// With this field besides the one that it has.
    pub fn also(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self
    }

    pub fn path(self, path: &str) -> Self {
        Self { path: path.to_owned(), ..self }
    }

    pub fn to(self, token: &str) -> Self {
        self.path(&format!("/3/device/{token}"))
    }

    pub fn json(self, body: &Value) -> Self {
        Self { body: body.to_string().into(), ..self }
    }
}

impl From<Push> for Request<Bytes> {
    fn from(push: Push) -> Self {
        let mut request =
            Request::builder().method(push.method).uri(format!("https://localhost{}", push.path));
        for (name, value) in push.headers {
            request = request.header(name, value);
        }
        request.body(push.body).unwrap()
    }
}
