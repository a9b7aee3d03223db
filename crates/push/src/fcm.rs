//! Firebase Cloud Messaging: the HTTP v1 API.

mod classify;
mod service_account;

use std::sync::Arc;

use async_trait::async_trait;
use countersign_protocol::mobile_payload::PushService;
use countersign_protocol::time::Clock;
use reqwest::Client;
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

pub use classify::classify;
pub(crate) use service_account::ServiceAccount;

use crate::access_token::{AccessToken, AccessTokens, TokenRequest};
use crate::answer::{Answer, Outcome, Trouble};
use crate::call::{self, Limits};
use crate::egress::Egress;
use crate::gateway::{Gateway, Push, check_size};
use crate::payload;
use crate::reply::Reply;
use crate::settings::Settings;
use crate::trust::Trust;

/// The most that the members of `data` may have together.
const MAX_DATA_BYTES: usize = 4_096;
const MAX_BODY_BYTES: usize = 65_536;

/// Sends by one service account to the apps of its project.
pub(crate) struct Fcm {
    account: ServiceAccount,
    tokens: AccessTokens,
    send_url: String,
    /// Set by the operator; else the account's own is called, which a stranger has named.
    token_url: Option<Url>,
    egress: Egress,
    trust: Arc<Trust>,
    limits: Limits,
    clock: Arc<dyn Clock>,
}

impl Fcm {
    pub fn new(
        account: ServiceAccount,
        settings: &Settings,
        trust: &Arc<Trust>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let base = settings.endpoints.fcm.as_str().trim_end_matches('/');
        let send_url = format!("{base}/v1/projects/{}/messages:send", account.project_id);
        let limits = Limits { timeout: settings.request_timeout, max_body_bytes: MAX_BODY_BYTES };
        let (token_url, egress) = (settings.endpoints.fcm_token.clone(), settings.egress);
        let (tokens, trust) = (AccessTokens::default(), Arc::clone(trust));
        Self { account, tokens, send_url, token_url, egress, trust, limits, clock }
    }

    async fn deliver(&self, push: &Push<'_>) -> Result<Answer, Answer> {
        push.check(PushService::Fcm)?;
        check_data(push)?;
        push.remaining(&*self.clock).ok_or_else(Answer::expired)?;
        let token = self.token(push, None).await?;
        let reply = self.post(push, &token).await?;
        if !classify::is_token_refused(&reply) {
            return Ok(classify(&reply));
        }
        let token = self.token(push, Some(&token)).await?;
        Ok(classify(&self.post(push, &token).await?))
    }

    async fn post(&self, push: &Push<'_>, token: &AccessToken) -> Result<Reply, Answer> {
        let client = self.trust.client_of_operator().await.map_err(no_client)?;
        let request = client
            .post(&self.send_url)
            .bearer_auth(token.expose())
            .header("content-type", "application/json")
            .body(message(push, push.time_to_live(&*self.clock)).to_string());
        call::call(request, push, &*self.clock, &self.limits).await
    }

    async fn token(
        &self,
        push: &Push<'_>,
        refused: Option<&AccessToken>,
    ) -> Result<AccessToken, Answer> {
        if let Some(url) = &self.token_url {
            let client = self.trust.client_of_operator().await.map_err(no_client)?;
            return self.ask(push, refused, client, url).await;
        }
        let url = &self.account.token_url;
        if !self.egress.allows(url) {
            return Err(foreign_token_uri());
        }
        let client = self.trust.client_of_strangers().await.map_err(no_client)?;
        let asked = self.ask(push, refused, client, url).await;
        asked.map_err(|answer| match answer.outcome {
            Outcome::Misconfigured(Trouble::Address) => foreign_token_uri(),
            _ => answer,
        })
    }

    async fn ask(
        &self,
        push: &Push<'_>,
        refused: Option<&AccessToken>,
        client: &Client,
        url: &Url,
    ) -> Result<AccessToken, Answer> {
        let form = || self.account.form(self.clock.now());
        let request = TokenRequest { client, url, form: &form, limits: &self.limits };
        self.tokens.get(refused, &request, push, &*self.clock).await
    }
}

#[async_trait]
impl Gateway for Fcm {
    async fn send(&self, push: &Push<'_>) -> Answer {
        self.deliver(push).await.unwrap_or_else(|answer| answer)
    }
}

/// A client cannot be made: the certificates that the operator added are at fault.
pub(crate) fn no_client(error: reqwest::Error) -> Answer {
    Answer::unreachable(&call::shown(error))
}

/// An administrator's word must not reach what only this machine or its network can reach.
fn foreign_token_uri() -> Answer {
    let outcome = Outcome::Misconfigured(Trouble::Credentials);
    Answer::of_our_own(outcome, "the service account's token_uri must not be called")
}

fn check_data(push: &Push<'_>) -> Result<(), Answer> {
    let data = payload::data(push.message, push.style);
    let bytes = data.iter().map(|(name, value)| name.len() + value.as_str().map_or(0, str::len));
    check_size(bytes.sum(), MAX_DATA_BYTES)?;
    if push.address.address.is_empty() {
        return Err(Answer::foreign_address("the address is not a token of FCM"));
    }
    Ok(())
}

/// Data only: the app makes the notification, so no text waits at Google's that the phone would show by itself.
fn message(push: &Push<'_>, time_to_live: u64) -> Value {
    let visible = push.style.is_visible();
    json!({ "message": {
        "token": push.address.address,
        "data": payload::data(push.message, push.style),
        // High priority is for what a person sees; Google demotes apps that use it for else.
        "android": {
            "priority": if visible { "HIGH" } else { "NORMAL" },
            "ttl": format!("{time_to_live}s"),
            "collapse_key": push.collapse,
        },
        // For apps on iOS that are reached through FCM.
        "apns": {
            "headers": {
                "apns-push-type": if visible { "alert" } else { "background" },
                "apns-priority": if visible { "10" } else { "5" },
                "apns-expiration": push.expires_at.unix_seconds().to_string(),
                "apns-collapse-id": push.collapse,
                "apns-id": Uuid::from_bytes(push.id).to_string(),
            },
            "payload": { "aps": payload::aps(push.style) },
        },
    } })
}
