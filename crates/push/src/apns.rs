//! Apple Push Notification service: the provider API with token-based authentication.

mod account;
mod classify;
mod connection;
mod notification;
mod provider_token;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use countersign_protocol::mobile_payload::PushEnvironment;
use countersign_protocol::time::Clock;
use url::Url;

pub(crate) use account::Account;
pub use classify::classify;
use classify::{EXPIRED_PROVIDER_TOKEN, IDLE_TIMEOUT, SHUTDOWN};
use connection::{Connection, Exchanged, Failure};
use notification::Notification;
use provider_token::{ProviderToken, ProviderTokens};

use crate::answer::{Answer, Trouble};
use crate::gateway::{Gateway, Push};
use crate::reply::Reply;
use crate::settings::{Settings, SettingsError};
use crate::trust::Trust;

/// How often a push is sent again that APNs has not processed.
const MAX_RESENDS: u32 = 2;

/// Sends by one signing key to the devices of one app.
pub(crate) struct Apns {
    account: Account,
    tokens: ProviderTokens,
    production: Host,
    sandbox: Host,
    request_timeout: Duration,
    clock: Arc<dyn Clock>,
}

struct Host {
    base: Url,
    connection: Connection,
}

impl Apns {
    pub fn new(
        account: Account,
        settings: &Settings,
        trust: &Arc<Trust>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SettingsError> {
        let host = |base: &Url, name| {
            let host = base.host_str().filter(|_| base.scheme() == "https");
            let host = host.ok_or(SettingsError::Https(name))?.to_owned();
            let port = base.port_or_known_default().ok_or(SettingsError::Https(name))?;
            let connection =
                Connection::new(host, port, Arc::clone(trust), settings.connect_timeout);
            Ok(Host { base: base.clone(), connection })
        };
        Ok(Self {
            account,
            tokens: ProviderTokens::new(),
            production: host(&settings.endpoints.apns_production, "apns_production")?,
            sandbox: host(&settings.endpoints.apns_sandbox, "apns_sandbox")?,
            request_timeout: settings.request_timeout,
            clock,
        })
    }

    async fn deliver(&self, push: &Push<'_>) -> Result<Answer, Answer> {
        let host = match push.address.environment {
            Some(PushEnvironment::Sandbox) => &self.sandbox,
            Some(PushEnvironment::Production) | None => &self.production,
        };
        let notification = Notification::new(push, &host.base, &self.account.topic)?;
        let token = self.tokens.current(&self.account, &*self.clock).ok_or_else(unwritable)?;
        let answer = self.exchange(push, host, &notification, &token).await?;
        if answer.raw.reason != EXPIRED_PROVIDER_TOKEN {
            return Ok(answer);
        }
        match self.tokens.instead_of(&token, &self.account, &*self.clock) {
            Some(token) => self.exchange(push, host, &notification, &token).await,
            None => Ok(answer),
        }
    }

    async fn exchange(
        &self,
        push: &Push<'_>,
        host: &Host,
        notification: &Notification,
        token: &ProviderToken,
    ) -> Result<Answer, Answer> {
        let mut resends = 0;
        loop {
            let left = push.remaining(&*self.clock).ok_or_else(Answer::expired)?;
            let limit = left.min(self.request_timeout);
            let request = notification.request(&token.header);
            match host.connection.exchange(request, limit).await {
                Ok(exchanged) => return Ok(self.judge(host, exchanged).await),
                Err(Failure::Unprocessed(_)) if resends < MAX_RESENDS => resends += 1,
                Err(Failure::Unprocessed(reason) | Failure::Lost(reason)) => {
                    return Err(Answer::unreachable(&reason));
                }
            }
        }
    }

    async fn judge(&self, host: &Host, exchanged: Exchanged) -> Answer {
        let (head, body) = exchanged.response.into_parts();
        let (status, headers) = (head.status.as_u16(), head.headers);
        let answer = classify(&Reply { status, headers, body, received_at: self.clock.now() });
        if matches!(answer.raw.reason.as_str(), IDLE_TIMEOUT | SHUTDOWN) {
            host.connection.leave(exchanged.generation).await;
        }
        answer
    }
}

#[async_trait]
impl Gateway for Apns {
    async fn send(&self, push: &Push<'_>) -> Answer {
        self.deliver(push).await.unwrap_or_else(|answer| answer)
    }
}

fn unwritable() -> Answer {
    Answer::rejected(Trouble::Request, "the provider token cannot be written into a header")
}
