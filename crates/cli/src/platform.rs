//! A platform on this machine: the real server over a real database, on loopback, that can be stopped and started again.

use std::{net::SocketAddr, sync::Arc};

use countersign_protocol::{
    entropy::{SystemEntropy, random},
    secret::Secret,
    time::Clock,
};
use countersign_server::{Parts, PushSettings, Server, Settings, app::App, open};
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
    /// Where the push services are.
    pub push: PushSettings,
}

impl Plan {
    /// A plan with a new key-encryption key.
    pub fn new(database: String, clock: Arc<dyn Clock>, push: PushSettings) -> Self {
        let key_encryption_key = Secret::new(random(&SystemEntropy));
        Self { database, key_encryption_key, clock, push }
    }
}

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
    let address = listener.local_addr()?;
    let settings = Settings { push: plan.push.clone(), ..Settings::new(base_url(address)) };
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
