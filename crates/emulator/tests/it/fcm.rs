//! FCM: the way to an access token, every check of a message, what arrives, and what can go wrong.

mod access;
mod faults;
mod messages;

use std::sync::Arc;

use countersign_emulator::push_service::fcm::{FcmServer, FcmSettings, ServiceAccount};
use countersign_protocol::time::Clock;
use reqwest::{Certificate, Client, Response};
use serde_json::{Value, json};

use crate::world::{PROJECT, SOON, StandingClock, fcm_credentials, host, rs256};

const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";

/// A service with an account, an installation of its project, and a client.
pub struct World {
    pub server: FcmServer,
    pub clock: Arc<StandingClock>,
    pub client: Client,
    pub token: String,
}

/// An answer, with the wait that it asks for.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub retry_after: Option<String>,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The error of FCM, if it is one of FCM.
    pub fn code(&self) -> Option<String> {
        let body = self.json();
        let details = body["error"]["details"].as_array()?;
        let detail = details
            .iter()
            .find(|detail| detail["@type"].as_str().unwrap().ends_with("FcmError"))?;
        Some(detail["errorCode"].as_str().unwrap().to_owned())
    }

    /// The field that is named as wrong.
    pub fn field(&self) -> Option<String> {
        let body = self.json();
        let details = body["error"]["details"].as_array()?;
        let detail = details.iter().find(|detail| !detail["fieldViolations"].is_null())?;
        Some(detail["fieldViolations"][0]["field"].as_str().unwrap().to_owned())
    }
}

impl World {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(set: impl FnOnce(&mut FcmSettings)) -> Self {
        let (host, clock) = host();
        let other = ServiceAccount {
            project: "other-project".to_owned(),
            client_email: "x@y".to_owned(),
            ..fcm_credentials().account()
        };
        let mut settings = FcmSettings::new(vec![fcm_credentials().account(), other]);
        set(&mut settings);
        let server = FcmServer::start(settings, host).await.unwrap();
        let token = server.installations().install(PROJECT).unwrap();
        let client = Client::builder()
            .tls_certs_only([Certificate::from_pem(server.authority_pem().as_bytes()).unwrap()])
            .timeout(SOON)
            .build()
            .unwrap();
        Self { server, clock, client, token }
    }

    /// The claims of an assertion that nothing is wrong with.
    pub fn claims(&self) -> Value {
        let now = self.clock.now().unix_seconds();
        json!({
            "iss": fcm_credentials().account().client_email,
            "scope": SCOPE,
            "aud": self.server.token_uri(),
            "iat": now,
            "exp": now + 3_600,
        })
    }

    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let file = fcm_credentials().json(&self.server.token_uri());
        rs256(file["private_key"].as_str().unwrap(), header, claims)
    }

    pub fn assertion(&self, claims: &Value) -> String {
        let header =
            json!({ "alg": "RS256", "typ": "JWT", "kid": fcm_credentials().account().key_id });
        self.sign(&header, claims)
    }

    pub async fn ask_for_token(&self, assertion: &str) -> Answer {
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", assertion),
        ];
        read(self.client.post(self.server.token_uri()).form(&form).send().await.unwrap()).await
    }

    pub async fn access_token(&self) -> String {
        let answer = self.ask_for_token(&self.assertion(&self.claims())).await;
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }

    /// A message that nothing is wrong with.
    pub fn message(&self) -> Value {
        json!({ "message": {
            "token": self.token,
            "data": { "countersign": "{}" },
            "android": { "priority": "HIGH", "ttl": "60s", "collapse_key": "mfa" },
        } })
    }

    pub async fn try_to_send(
        &self,
        project: &str,
        bearer: &str,
        body: String,
    ) -> reqwest::Result<Answer> {
        let url = format!("{}/v1/projects/{project}/messages:send", self.server.url());
        let request = self.client.post(url).bearer_auth(bearer).body(body);
        Ok(read(request.send().await?).await)
    }

    /// Sends with a new access token.
    pub async fn send(&self, message: &Value) -> Answer {
        let token = self.access_token().await;
        self.try_to_send(PROJECT, &token, message.to_string()).await.unwrap()
    }
}

pub async fn read(response: Response) -> Answer {
    let retry_after = response.headers().get("retry-after");
    let retry_after = retry_after.map(|value| value.to_str().unwrap().to_owned());
    let status = response.status().as_u16();
    Answer { status, retry_after, body: response.text().await.unwrap() }
}
