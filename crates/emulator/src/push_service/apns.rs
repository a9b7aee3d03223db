//! The emulated Apple Push Notification service: its provider API over HTTP/2.

mod check;
mod connection;
mod provider_token;
mod reason;
mod relay;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use countersign_protocol::mobile_payload::PushEnvironment;
use tokio_rustls::TlsAcceptor;

use self::connection::Connection;
use super::fault::Faults;
use super::installation::Installations;
use super::listener::Listener;
use super::{Host, Service, StartError};

pub use self::provider_token::{ProviderKey, Team};
pub use self::reason::Reason;

/// How the service is set up.
#[derive(Debug, Clone)]
pub struct ApnsSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Which of Apple's worlds it is.
    pub environment: PushEnvironment,
    /// Who may push.
    pub teams: Vec<Team>,
    /// More messages to one token within a minute are too many requests. Nothing: no limit.
    pub messages_per_minute: Option<usize>,
    /// A connection may have so many streams at a time before its first good provider token.
    pub first_streams: u32,
    /// And so many after it.
    pub streams: u32,
}

impl ApnsSettings {
    /// Production, on a free port of this machine, with the limits of streams that were seen with Apple.
    #[must_use]
    pub const fn new(teams: Vec<Team>) -> Self {
        Self {
            listen: SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            environment: PushEnvironment::Production,
            teams,
            messages_per_minute: None,
            first_streams: 1,
            streams: 1_000,
        }
    }
}

/// What all connections share.
struct Apns {
    host: Host,
    settings: ApnsSettings,
    installations: Arc<Installations>,
    faults: Arc<Faults>,
}

/// An emulated APNs. It ends when this is dropped.
pub struct ApnsServer {
    apns: Arc<Apns>,
    listener: Listener,
}

impl ApnsServer {
    /// Starts it.
    pub async fn start(settings: ApnsSettings, host: Host) -> Result<Self, StartError> {
        // Apple speaks HTTP/2 and nothing else.
        let acceptor = TlsAcceptor::from(host.authority.tls(&["h2"])?);
        let socket = Listener::bind(settings.listen).await?;
        let apns = Arc::new(Apns {
            installations: Arc::new(Installations::new(Service::Apns, settings.environment, &host)),
            faults: Arc::new(Faults::new(Service::Apns)),
            host,
            settings,
        });
        let shared = Arc::clone(&apns);
        let listener = Listener::start(socket, move |stream| {
            Connection::serve(Arc::clone(&shared), acceptor.clone(), stream)
        });
        Ok(Self { apns, listener })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// The base URL of its API.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.address())
    }

    /// The certificate that its clients must trust.
    #[must_use]
    pub fn authority_pem(&self) -> String {
        self.apns.host.authority.pem()
    }

    /// The apps on phones.
    #[must_use]
    pub fn installations(&self) -> &Arc<Installations> {
        &self.apns.installations
    }

    /// What goes wrong.
    #[must_use]
    pub fn faults(&self) -> &Arc<Faults> {
        &self.apns.faults
    }
}
