//! The emulated Firebase Cloud Messaging: its HTTP v1 API, and the token endpoint before it.

mod account;
mod error;
mod message;
mod request;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use countersign_protocol::mobile_payload::PushEnvironment;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use self::account::AccessTokens;
use super::fault::{Fault, Faults, Stage};
use super::installation::Installations;
use super::listener::{HANDSHAKE_LIMIT, Listener};
use super::{Host, Service, StartError};

pub use self::account::ServiceAccount;
pub use self::error::ErrorCode;

/// How the service is set up.
#[derive(Debug, Clone)]
pub struct FcmSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The name by which others reach it, when that is not the address that it listens on.
    pub name: Option<String>,
    /// Who may send.
    pub accounts: Vec<ServiceAccount>,
    /// An access token lives so long.
    pub access_token_seconds: i64,
    /// More messages to one token within a minute exceed the quota. Nothing: no limit.
    pub messages_per_minute: Option<usize>,
}

impl FcmSettings {
    /// On a free port of this machine, with access tokens that live as long as Google's.
    #[must_use]
    pub const fn new(accounts: Vec<ServiceAccount>) -> Self {
        Self {
            listen: SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            name: None,
            accounts,
            access_token_seconds: 3_599,
            messages_per_minute: None,
        }
    }
}

/// What all connections share.
struct Fcm {
    host: Host,
    settings: FcmSettings,
    base_url: String,
    tokens: AccessTokens,
    installations: Arc<Installations>,
    faults: Arc<Faults>,
}

/// An emulated FCM. It ends when this is dropped.
pub struct FcmServer {
    fcm: Arc<Fcm>,
    listener: Listener,
}

impl FcmServer {
    /// Starts it.
    pub async fn start(settings: FcmSettings, host: Host) -> Result<Self, StartError> {
        let acceptor = TlsAcceptor::from(host.authority.tls(&["h2", "http/1.1"])?);
        let socket = Listener::bind(settings.listen).await?;
        let base_url = match &settings.name {
            Some(name) => format!("https://{name}:{}", socket.1.port()),
            None => format!("https://{}", socket.1),
        };
        let fcm = Arc::new(Fcm {
            base_url,
            tokens: AccessTokens::default(),
            installations: Arc::new(Installations::new(
                Service::Fcm,
                PushEnvironment::Production,
                &host,
            )),
            faults: Arc::new(Faults::new(Service::Fcm)),
            host,
            settings,
        });
        let shared = Arc::clone(&fcm);
        let listener = Listener::start(socket, move |stream| {
            serve(Arc::clone(&shared), acceptor.clone(), stream)
        });
        Ok(Self { fcm, listener })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// The base URL of its API.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.fcm.base_url
    }

    /// Where assertions are exchanged: their audience.
    #[must_use]
    pub fn token_uri(&self) -> String {
        self.fcm.token_uri()
    }

    /// The certificate that its clients must trust.
    #[must_use]
    pub fn authority_pem(&self) -> String {
        self.fcm.host.authority.pem()
    }

    /// The apps on phones.
    #[must_use]
    pub fn installations(&self) -> &Arc<Installations> {
        &self.fcm.installations
    }

    /// What goes wrong.
    #[must_use]
    pub fn faults(&self) -> &Arc<Faults> {
        &self.fcm.faults
    }
}

async fn serve(fcm: Arc<Fcm>, acceptor: TlsAcceptor, stream: TcpStream) {
    if fcm.faults.take(Stage::Connection, None) == Some(Fault::Refuse {}) {
        return;
    }
    let Ok(Ok(tls)) = tokio::time::timeout(HANDSHAKE_LIMIT, acceptor.accept(stream)).await else {
        return;
    };
    let service = service_fn(move |request| Arc::clone(&fcm).serve(request));
    let server = auto::Builder::new(TokioExecutor::new());
    if let Err(error) = server.serve_connection(TokioIo::new(tls), service).await {
        tracing::debug!(%error, "a connection to the emulated FCM broke");
    }
}
