//! The server as a value: composed, listening, and stopping without losing what it has accepted.

mod activity;
mod body;
mod connection;
mod listener;
mod tls;

use std::{fs, io, net::SocketAddr, os::unix::fs::PermissionsExt, path::Path, sync::Arc};

use countersign_domain::invalid::Invalid;
use countersign_protocol::{entropy::Entropy, secret::Secret, time::Clock};
use countersign_store::{
    Settings as StoreSettings, Store, StoreError, Tx, Work, environment, migrate,
};
use tokio::{
    net::{TcpListener, UnixListener},
    sync::watch,
    task::JoinHandle,
    time::timeout,
};

pub use self::tls::{Tls, TlsError, TlsFiles};
use self::{connection::Shared, listener::Crowd};

use crate::{
    app::App,
    http,
    keys::{KeyError, Vault},
    settings::Settings,
    worker,
};

/// Why a server did not start, or did not stop well.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The database does not open.
    #[error("the database does not open")]
    Store(#[from] StoreError),
    /// The schema is not what this program needs.
    #[error(transparent)]
    Migrate(#[from] migrate::MigrateError),
    /// The key-encryption key cannot be one.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A setting is out of its bounds.
    #[error("settings: {0}")]
    Settings(#[from] Invalid),
    /// The address cannot be listened on.
    #[error("cannot listen")]
    Listen(#[from] std::io::Error),
}

/// What a server is made of.
pub struct Parts {
    /// Where the data is.
    pub store: StoreSettings,
    /// The key under which secrets rest.
    pub key_encryption_key: Secret<[u8; 32]>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Random bytes.
    pub entropy: Arc<dyn Entropy>,
    /// Everything else.
    pub settings: Settings,
}

/// Opens the store, brings its schema up to date, and composes the use cases.
pub async fn open(parts: Parts) -> Result<Arc<App>, ServeError> {
    parts.settings.validate()?;
    let vault = Vault::new(&parts.key_encryption_key)?;
    let store = Store::open(&parts.store).await?;
    migrate::run(&store, parts.clock.now()).await?;
    Ok(Arc::new(App::new(store, vault, parts.clock, parts.entropy, parts.settings)))
}

/// Whether a database holds nothing yet, so that any key-encryption key will do. Brings its schema up to date.
pub async fn is_new(settings: &StoreSettings, clock: &dyn Clock) -> Result<bool, ServeError> {
    let store = Store::open(settings).await?;
    migrate::run(&store, clock.now()).await?;
    let any = store.read(AnyEnvironment).await;
    store.close().await;
    Ok(!any?)
}

struct AnyEnvironment;

impl Work for AnyEnvironment {
    type Output = bool;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        Ok(environment::first(tx).await?.is_some())
    }
}

/// The whole server as a service, without a listener and without workers: for programs that bring their own, and for tests.
pub fn router(app: Arc<App>) -> axum::Router {
    http::router(app)
}

/// Health and metrics as a service, for a listener that only operators reach.
pub fn operator_router(app: Arc<App>) -> axum::Router {
    http::operator_router(app)
}

/// Serves health and metrics on a listener of their own. Stop it after the server, so that its end can be watched.
pub async fn serve_operators(
    app: Arc<App>,
    listener: TcpListener,
    stopped: impl Future<Output = ()> + Send + 'static,
) {
    let served = axum::serve(listener, operator_router(app)).with_graceful_shutdown(stopped).await;
    if let Err(error) = served {
        tracing::error!(%error, "the operators' listener has failed");
    }
}

/// How far the server is on its way to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It serves.
    Serving,
    /// It answers as ever, and each answer sends its client away.
    Leaving,
    /// It takes no more connections, and ends each one when its requests are answered.
    Draining,
    /// Connections that are still open are cut.
    Over,
}

/// A server that listens.
pub struct Server {
    app: Arc<App>,
    address: SocketAddr,
    stage: watch::Sender<Stage>,
    crowd: Arc<Crowd>,
    tls: Option<Tls>,
    listening: JoinHandle<()>,
    workers: Vec<JoinHandle<()>>,
}

impl Server {
    /// Serves an application on a listener in plain HTTP, until [`Server::stop`].
    pub fn start(app: Arc<App>, listener: TcpListener) -> Result<Self, ServeError> {
        Self::start_on(app, listener, None)
    }

    /// Serves an application on a listener, by TLS if there is a certificate, until [`Server::stop`].
    pub fn start_on(
        app: Arc<App>,
        listener: TcpListener,
        tls: Option<Tls>,
    ) -> Result<Self, ServeError> {
        let address = listener.local_addr()?;
        let (stage, changes) = watch::channel(Stage::Serving);
        let crowd = Crowd::new();
        let shared = Arc::new(Shared {
            router: http::router(Arc::clone(&app)),
            builder: connection::builder(app.settings()),
            app: Arc::clone(&app),
            tls: tls.clone(),
            stage: changes.clone(),
        });
        let listening = tokio::spawn(listener::run(listener, shared, Arc::clone(&crowd)));
        let until = || draining(changes.clone());
        let mut workers = vec![tokio::spawn(worker::expiry::run(Arc::clone(&app), until()))];
        workers.push(tokio::spawn(worker::rotation::run(Arc::clone(&app), until())));
        workers.push(tokio::spawn(worker::audit::run(Arc::clone(&app), until())));
        workers.push(tokio::spawn(worker::outbox::run(Arc::clone(&app), until())));
        workers.push(tokio::spawn(worker::challenges::run(Arc::clone(&app), until())));
        workers.push(tokio::spawn(worker::subscription::run(Arc::clone(&app), until())));
        workers.extend(tls.clone().map(|tls| tokio::spawn(tls.watch(until()))));
        Ok(Self { app, address, stage, crowd, tls, listening, workers })
    }

    /// Lets operators ask for things by a socket at this path, which its owner alone can open. A socket that an earlier
    /// process left is replaced.
    pub fn control(&mut self, path: &Path) -> Result<(), ServeError> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        let router = http::control::router(Arc::clone(&self.app));
        let until = draining(self.stage.subscribe());
        self.workers.push(tokio::spawn(async move {
            let served = axum::serve(listener, router).with_graceful_shutdown(until).await;
            if let Err(error) = served {
                tracing::error!(%error, "the control socket has failed");
            }
        }));
        Ok(())
    }

    /// The address that it listens on.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The use cases, for those who run in the same process.
    #[must_use]
    pub const fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// Looks at the files of the certificate now.
    pub fn reload(&self) {
        if let Some(tls) = &self.tls {
            tls.reload();
        }
    }

    /// Ends without losing a request: first it sends its clients away while it still serves them, then it takes no more
    /// connections and answers what has begun, then it closes the store. What does not end in time is cut.
    pub async fn stop(self) {
        let settings = self.app.settings();
        let (linger, drain) = (settings.linger, settings.drain_timeout);
        self.app.drain();
        self.stage.send_replace(Stage::Leaving);
        let _ = timeout(linger, self.crowd.gone()).await;
        self.stage.send_replace(Stage::Draining);
        let ended = async {
            // A task that panicked has ended, and the panic was told.
            let _ = self.listening.await;
            self.crowd.gone().await;
            for worker in self.workers {
                let _ = worker.await;
            }
        };
        if timeout(drain, ended).await.is_err() {
            tracing::warn!("requests did not end in time and are cut off");
        }
        self.stage.send_replace(Stage::Over);
        self.app.store().close().await;
    }
}

async fn draining(mut stage: watch::Receiver<Stage>) {
    // An error means that the server was dropped, which stops it too.
    let _ = stage.wait_for(|stage| matches!(stage, Stage::Draining | Stage::Over)).await;
}
