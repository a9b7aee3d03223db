//! The push service of a bank whose server is killed: an emulated FCM in the process of the load, so that it outlives every server
//! and knows what it has accepted.

use std::{fs, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use countersign_emulator::push_service::{
    Host,
    authority::Authority,
    credentials::FcmCredentials,
    fcm::{FcmServer, FcmSettings},
    mailbox::Message,
};
use countersign_protocol::{entropy::SystemEntropy, secret::Secret, time::SystemClock};

use crate::LoadError;

/// The bank's project.
const PROJECT: &str = "crash-bank";

/// An emulated FCM, and the bank's credentials there.
pub struct PushService {
    fcm: FcmServer,
    credentials: FcmCredentials,
}

impl PushService {
    /// Starts it at the address that the server is configured for, and leaves the certificate that the server must trust.
    pub async fn start(listen: SocketAddr, authorities: &Path) -> Result<Self, LoadError> {
        let credentials = FcmCredentials::generate(PROJECT, &SystemEntropy).map_err(other)?;
        let authority = Arc::new(Authority::new().map_err(other)?);
        fs::write(authorities, authority.pem())?;
        let host =
            Host { authority, clock: Arc::new(SystemClock), entropy: Arc::new(SystemEntropy) };
        let settings = FcmSettings { listen, ..FcmSettings::new(vec![credentials.account()]) };
        let fcm = FcmServer::start(settings, host).await.map_err(other)?;
        Ok(Self { fcm, credentials })
    }

    /// The service account, as an administrator stores it.
    pub(super) fn account(&self) -> Secret<String> {
        Secret::new(self.credentials.json(&self.fcm.token_uri()).to_string())
    }

    /// Installs the app on a phone, and gives the token.
    pub(super) fn install(&self) -> Result<String, LoadError> {
        self.fcm.installations().install(PROJECT).map_err(other)
    }

    /// Removes the app: from now on the token is dead.
    pub(super) fn uninstall(&self, token: &str) -> Result<(), LoadError> {
        self.fcm.installations().uninstall(token).map_err(other)
    }

    /// The next message that the app has not seen.
    pub(super) async fn receive(&self, token: &str, limit: Duration) -> Option<Message> {
        self.fcm.installations().receive(token, limit).await
    }

    /// The last messages that the service has accepted for a phone.
    pub(super) fn messages(&self, token: &str) -> Vec<Message> {
        let mailbox = self.fcm.installations().mailbox(token);
        mailbox.map(|mailbox| mailbox.messages()).unwrap_or_default()
    }
}

fn other(error: impl std::error::Error) -> LoadError {
    LoadError::other(error.to_string())
}

impl std::fmt::Debug for PushService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PushService").field("address", &self.fcm.address()).finish_non_exhaustive()
    }
}
