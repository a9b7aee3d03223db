//! A platform on this machine: the real server over a real database, on loopback, that can be stopped and started again.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    net::SocketAddr,
    path::Path,
    sync::Arc,
};

use countersign_protocol::{
    entropy::{SystemEntropy, random},
    secret::Secret,
    time::{Clock, SystemClock},
};
use countersign_server::{Parts, Server, Settings, app::App, open};
use countersign_store::Settings as StoreSettings;
use tokio::net::TcpListener;

use crate::Broken;

/// What a platform is started from, again and again.
pub struct Plan {
    /// Where the data is.
    pub database: String,
    /// The key under which secrets rest.
    pub key_encryption_key: Secret<[u8; 32]>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl Plan {
    /// A plan with a new key-encryption key.
    pub fn new(database: String, clock: Arc<dyn Clock>) -> Self {
        Self { database, key_encryption_key: Secret::new(random(&SystemEntropy)), clock }
    }
}

/// The key-encryption key in a folder, or a new one put there for its owner's eyes only.
pub fn key_encryption_key(folder: &Path) -> Result<Secret<[u8; 32]>, Broken> {
    let path = folder.join("key-encryption.key");
    match fs::read(&path) {
        Ok(bytes) => {
            let key = bytes.try_into().map(Secret::new);
            key.map_err(|_| Broken::new(format!("{} is not a key of 32 bytes", path.display())))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let key = random(&SystemEntropy);
            let mut options = OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let mut file = options.open(&path)?;
            file.write_all(&key)?;
            // What rests under the key is worth no more than the key.
            file.sync_all()?;
            Ok(Secret::new(key))
        }
        Err(error) => Err(error.into()),
    }
}

/// The use cases of a platform whose data is in a folder, without serving it.
pub async fn open_folder(folder: &Path) -> Result<Arc<App>, Broken> {
    let file = folder.join(DATABASE);
    if !file.exists() {
        return Err(Broken::new(format!("{} is missing", file.display())));
    }
    let parts = Parts {
        store: StoreSettings::new(format!("sqlite:{}", file.display())),
        key_encryption_key: key_encryption_key(folder)?,
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        settings: Settings::new(""),
    };
    Ok(open(parts).await?)
}

/// The database in a folder.
pub const DATABASE: &str = "countersign.db";

/// A running platform.
pub struct Platform {
    plan: Plan,
    server: Server,
}

impl Platform {
    /// Starts a platform at an address.
    pub async fn start(plan: Plan, address: SocketAddr) -> Result<Self, Broken> {
        let server = serve(&plan, address).await?;
        Ok(Self { plan, server })
    }

    /// Its use cases, as the HTTP API for administrators will call them.
    pub const fn app(&self) -> &Arc<App> {
        self.server.app()
    }

    /// Scheme and authority of its addresses.
    pub fn base_url(&self) -> String {
        base_url(self.server.address())
    }

    /// Stops it and starts it again at the same address, over the same data.
    pub async fn restart(self) -> Result<Self, Broken> {
        let Self { plan, server } = self;
        let address = server.address();
        server.stop().await;
        Self::start(plan, address).await
    }

    /// Stops it.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}

fn base_url(address: SocketAddr) -> String {
    format!("http://{address}")
}

async fn serve(plan: &Plan, address: SocketAddr) -> Result<Server, Broken> {
    let listener = TcpListener::bind(address).await?;
    let settings = Settings::new(base_url(listener.local_addr()?));
    let app = open(Parts {
        store: StoreSettings::new(plan.database.clone()),
        key_encryption_key: plan.key_encryption_key.clone(),
        clock: Arc::clone(&plan.clock),
        entropy: Arc::new(SystemEntropy),
        settings,
    })
    .await?;
    Ok(Server::start(app, listener)?)
}
