//! Where the app can be woken: kept on this side, and made known to the platform as soon as it can be.

use countersign_protocol::challenge::PushAddressRequest;
use countersign_protocol::mobile_payload::{PushAddress, PushEnvironment, PushService};
use serde::{Deserialize, Serialize};

use crate::client::Countersign;
use crate::device_token::DeviceToken;
use crate::error::Error;
use crate::installation::Installation;

/// What an installation remembers of push.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PushState {
    /// As the system gave it last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<DeviceToken>,
    /// Whether the app does not want to be woken.
    pub is_refused: bool,
    /// Whether the platform may know another address than [`Self::address`].
    pub is_pending: bool,
}

impl PushState {
    /// What the platform is told; `None` as long as the system has given no token.
    pub fn address(&self) -> Option<PushAddress> {
        self.token.as_ref().map(|token| token.to_address(!self.is_refused))
    }

    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    fn change(&mut self, change: impl FnOnce(&mut Self)) {
        let before = self.address();
        change(self);
        self.is_pending |= self.address() != before;
    }
}

impl Countersign {
    /// Tells where this app can be woken. Call it at every start and whenever the system gives another token: when nothing
    /// has changed, nothing is sent.
    ///
    /// | `service` | `token` | `environment` |
    /// |---|---|---|
    /// | APNs | the token's bytes as hexadecimal digits | of the build: must be given |
    /// | FCM, HMS | the token | has none |
    /// | Web Push, `UnifiedPush` | JSON with `endpoint`, `p256dh` and `auth` (RFC 8291) | has none |
    /// | direct | left alone: the app listens with [`Self::notifications`] | has none |
    ///
    /// It is remembered across restarts before anything is sent. So to be offline is no error here: what the platform
    /// does not know yet is sent before the next call that needs it. An installation that is not paired says it at pairing.
    pub async fn set_device_token(
        &self,
        service: PushService,
        token: &str,
        environment: Option<PushEnvironment>,
    ) -> Result<(), Error> {
        let token = DeviceToken::new(service, token, environment)?;
        self.change_push(|push| push.token = Some(token)).await
    }

    /// Lets the platform wake this app, as it may from the beginning, or not. Like [`Self::set_device_token`] it holds
    /// across restarts, and needs no network to be remembered.
    pub async fn allow_push_notifications(&self, allowed: bool) -> Result<(), Error> {
        self.change_push(|push| push.is_refused = !allowed).await
    }

    async fn change_push(&self, change: impl FnOnce(&mut PushState)) -> Result<(), Error> {
        self.installation.update(|state| state.push.change(change))?;
        match register(&self.installation).await {
            Err(error) if error.is_retriable() => Ok(()),
            result => result,
        }
    }
}

/// [`register`] before another call, which does not depend on it.
pub async fn register_quietly(installation: &Installation) {
    let _ = register(installation).await;
}

/// Makes the address known to the platform, when it may not know it and this installation is paired.
pub async fn register(installation: &Installation) -> Result<(), Error> {
    if !installation.read(|state| state.push.is_pending && state.is_paired()) {
        return Ok(());
    }
    let push = installation.read(|state| state.push.address());
    let nonce = installation.nonce().await?;
    let result = installation.call(PushAddressRequest { nonce, push: push.clone() }).await;
    // What is refused for good would be refused again.
    let is_settled = matches!(result, Ok(_) | Err(Error::Rejected { .. }));
    installation.update(|state| {
        // It may have changed meanwhile.
        if is_settled && state.push.address() == push {
            state.push.is_pending = false;
        }
    })?;
    result.map(|_| ())
}
