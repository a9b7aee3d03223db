//! The server as a value: composed, listening, and stopping without losing what it has accepted.

use std::{net::SocketAddr, sync::Arc};

use countersign_domain::invalid::Invalid;
use countersign_protocol::{entropy::Entropy, secret::Secret, time::Clock};
use countersign_store::{Settings as StoreSettings, Store, StoreError, migrate};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

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
    parts.settings.keys.validate()?;
    let vault = Vault::new(&parts.key_encryption_key)?;
    let store = Store::open(&parts.store).await?;
    migrate::run(&store, parts.clock.now()).await?;
    Ok(Arc::new(App::new(store, vault, parts.clock, parts.entropy, parts.settings)))
}

/// The whole server as a service, without a listener and without workers: for programs that bring their own, and for tests.
pub fn router(app: Arc<App>) -> axum::Router {
    http::router(app)
}

/// A server that listens.
pub struct Server {
    app: Arc<App>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Server {
    /// Serves an application on a listener, until [`Server::stop`].
    pub fn start(app: Arc<App>, listener: TcpListener) -> Result<Self, ServeError> {
        let address = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let router = http::router(Arc::clone(&app));
        let until = wait(stopped.clone());
        let serving = tokio::spawn(async move {
            // The limits need to know where requests come from.
            let router = router.into_make_service_with_connect_info::<SocketAddr>();
            let served = axum::serve(listener, router).with_graceful_shutdown(until).await;
            if let Err(error) = served {
                tracing::error!(%error, "the listener has failed");
            }
        });
        let sweeping = tokio::spawn(worker::expiry::run(Arc::clone(&app), wait(stopped.clone())));
        let rotating = tokio::spawn(worker::rotation::run(Arc::clone(&app), wait(stopped.clone())));
        let sealing = tokio::spawn(worker::audit::run(Arc::clone(&app), wait(stopped)));
        Ok(Self { app, address, stop, tasks: vec![serving, sweeping, rotating, sealing] })
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

    /// Takes no more requests, answers those it has, and closes the store. Connections that do not end in time are cut.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        for mut task in self.tasks {
            if tokio::time::timeout(self.app.settings().drain_timeout, &mut task).await.is_err() {
                task.abort();
            }
        }
        self.app.store().close().await;
    }
}

async fn wait(mut stopped: watch::Receiver<bool>) {
    // An error means that the server was dropped, which stops it too.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}
