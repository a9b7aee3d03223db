//! Huawei Push Kit: the v1 API of HMS Core.

mod classify;

use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::digest;
use countersign_protocol::mobile_payload::PushService;
use countersign_protocol::secret::Secret;
use countersign_protocol::time::Clock;
use serde_json::{Value, json};
use url::Url;

pub use classify::classify;

use crate::access_token::{AccessToken, AccessTokens, TokenRequest};
use crate::answer::Answer;
use crate::call::{self, Limits};
use crate::credentials::{CredentialsError, require};
use crate::fcm::no_client;
use crate::gateway::{Gateway, Push, check_size};
use crate::payload;
use crate::settings::Settings;
use crate::trust::Trust;

/// The most that a message may have without its tokens.
const MAX_MESSAGE_BYTES: usize = 4_096;
const MAX_BODY_BYTES: usize = 65_536;
/// Push Kit's collapse keys are the numbers from 0 to 100.
const COLLAPSE_KEYS: u8 = 101;

/// An app of Huawei, checked.
pub(crate) struct App {
    client_id: String,
    client_secret: Secret<String>,
}

impl App {
    pub fn new(client_id: &str, client_secret: &Secret<String>) -> Result<Self, CredentialsError> {
        let is_id = client_id.len() <= 32 && client_id.bytes().all(|byte| byte.is_ascii_digit());
        require(is_id && !client_id.is_empty(), "client_id", "must be the app's id: digits")?;
        let secret = client_secret.expose();
        let is_secret =
            (1..=512).contains(&secret.len()) && secret.bytes().all(|b| b.is_ascii_graphic());
        require(is_secret, "client_secret", "must have 1 to 512 printable ASCII characters")?;
        Ok(Self { client_id: client_id.to_owned(), client_secret: client_secret.clone() })
    }

    fn form(&self) -> Vec<(&'static str, String)> {
        vec![
            ("grant_type", "client_credentials".to_owned()),
            ("client_id", self.client_id.clone()),
            ("client_secret", self.client_secret.expose().clone()),
        ]
    }
}

/// Sends to the phones of one app.
pub(crate) struct Hms {
    app: App,
    tokens: AccessTokens,
    send_url: String,
    token_url: Url,
    trust: Arc<Trust>,
    limits: Limits,
    clock: Arc<dyn Clock>,
}

impl Hms {
    pub fn new(app: App, settings: &Settings, trust: &Arc<Trust>, clock: Arc<dyn Clock>) -> Self {
        let base = settings.endpoints.hms.as_str().trim_end_matches('/');
        let send_url = format!("{base}/v1/{}/messages:send", app.client_id);
        let limits = Limits { timeout: settings.request_timeout, max_body_bytes: MAX_BODY_BYTES };
        let token_url = settings.endpoints.hms_token.clone();
        let (tokens, trust) = (AccessTokens::default(), Arc::clone(trust));
        Self { app, tokens, send_url, token_url, trust, limits, clock }
    }

    async fn deliver(&self, push: &Push<'_>) -> Result<Answer, Answer> {
        push.check(PushService::Hms)?;
        let bytes = message(push, 0, &[]).to_string().len();
        check_size(bytes, MAX_MESSAGE_BYTES)?;
        push.remaining(&*self.clock).ok_or_else(Answer::expired)?;
        let token = self.token(push, None).await?;
        let answer = self.post(push, &token).await?;
        if answer.raw.reason != classify::EXPIRED_ACCESS_TOKEN {
            return Ok(answer);
        }
        let token = self.token(push, Some(&token)).await?;
        self.post(push, &token).await
    }

    async fn post(&self, push: &Push<'_>, token: &AccessToken) -> Result<Answer, Answer> {
        let client = self.trust.client_of_operator().await.map_err(no_client)?;
        let tokens = [push.address.address.as_str()];
        let request = client
            .post(&self.send_url)
            .bearer_auth(token.expose())
            .header("content-type", "application/json")
            .body(message(push, push.time_to_live(&*self.clock), &tokens).to_string());
        let reply = call::call(request, push, &*self.clock, &self.limits).await?;
        Ok(classify(&reply, tokens.len()))
    }

    async fn token(
        &self,
        push: &Push<'_>,
        refused: Option<&AccessToken>,
    ) -> Result<AccessToken, Answer> {
        let request = TokenRequest {
            client: self.trust.client_of_operator().await.map_err(no_client)?,
            url: &self.token_url,
            form: &|| Some(self.app.form()),
            limits: &self.limits,
        };
        self.tokens.get(refused, &request, push, &*self.clock).await
    }
}

#[async_trait]
impl Gateway for Hms {
    async fn send(&self, push: &Push<'_>) -> Answer {
        self.deliver(push).await.unwrap_or_else(|answer| answer)
    }
}

/// Data only, as for FCM: Push Kit reads texts that it shows, and refuses some words.
fn message(push: &Push<'_>, time_to_live: u64, tokens: &[&str]) -> Value {
    let data = Value::from(payload::object(push.message, push.style));
    json!({ "validate_only": false, "message": {
        "data": data.to_string(),
        "android": {
            "urgency": if push.style.is_visible() { "HIGH" } else { "NORMAL" },
            "ttl": format!("{time_to_live}s"),
            "collapse_key": collapse_key(push.collapse),
        },
        "token": tokens,
    } })
}

/// A number for a text. Two texts of one phone could share it; then the newer push takes the place of the older.
fn collapse_key(collapse: &str) -> u8 {
    let digest = digest::digest(&digest::SHA256, collapse.as_bytes());
    digest.as_ref().first().map_or(0, |byte| byte % COLLAPSE_KEYS)
}
