//! The configuration as it is meant: values that need no further look at the file.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use countersign_server::{Egress, Settings, TlsFiles, telemetry::Settings as TelemetrySettings};
use countersign_store::Settings as StoreSettings;

use super::{Config, Flaw, KeySource, Surroundings};

/// What a process needs to end beside what it waits for.
const SPARE: Duration = Duration::from_secs(5);

/// Everything that a command needs to know, with defaults filled in and paths made whole.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The configuration file, if one was used.
    pub file: Option<PathBuf>,
    /// Where to listen.
    pub listen: SocketAddr,
    /// Whether another process may listen there too, for the time of a restart.
    pub reuse_port: bool,
    /// The folder of the data.
    pub data: PathBuf,
    /// The certificate, unless a proxy ends TLS.
    pub tls: Option<TlsFiles>,
    /// The database.
    pub store: StoreSettings,
    /// The key-encryption key.
    pub key: KeySource,
    /// Logs, metrics and traces.
    pub telemetry: TelemetrySettings,
    public_url: Option<String>,
    push_private_addresses: bool,
    settings: Settings,
}

impl Resolved {
    pub(super) fn of(
        config: &Config,
        data: Option<&Path>,
        around: &Surroundings<'_>,
    ) -> Result<Self, Flaw> {
        // What the command line says is relative to where it is said.
        let data =
            data.map_or_else(|| around.folder.join(&config.server.data_folder), Path::to_path_buf);
        let mut settings = Settings::new("");
        settings.connections = config.connections.resolve()?;
        settings.trusted_proxies = config.server.trusted_proxies()?;
        settings.passwords = config.passwords.resolve()?;
        settings.new_passwords = config.passwords.requirements()?;
        config.sockets.apply(&mut settings)?;
        config.requests.apply(&mut settings)?;
        config.shutdown.apply(&mut settings)?;
        config.sessions.apply(&mut settings)?;
        config.keys.apply(&mut settings)?;
        config.limits.apply(&mut settings)?;
        config.tokens.apply(&mut settings);
        config.outbound.apply(&mut settings, around)?;
        config.push.apply(&mut settings, around)?;
        // Before the outbox, whose leases must outlast them.
        config.mail.apply(&mut settings, around)?;
        config.sms.apply(&mut settings, around)?;
        config.outbox.apply(&mut settings)?;
        config.webhooks.apply(&mut settings)?;
        config.audit.apply(&mut settings)?;
        config.expiry.apply(&mut settings)?;
        let mut store = config.database.resolve(&data, around)?;
        if !store.is_postgres() {
            // The process before may take all of its time to end, and has the file until then.
            let predecessor = settings.linger + settings.drain_timeout + SPARE;
            let ms = u64::try_from(predecessor.as_millis()).unwrap_or(u64::MAX);
            store.connect_timeout_ms = store.connect_timeout_ms.max(ms);
        }
        Ok(Self {
            file: None,
            listen: config.server.listen()?,
            reuse_port: config.server.reuse_port,
            tls: config.tls.resolve(around)?,
            store,
            key: config.encryption.resolve(&data, around)?,
            telemetry: config.telemetry.resolve(&config.log)?,
            public_url: config.server.public_url()?,
            push_private_addresses: config.push.private_addresses(),
            data,
            settings,
        })
    }

    /// The settings of a server that listens at this address. Its public address is that one unless the configuration
    /// names another.
    pub fn settings(&self, address: SocketAddr) -> Settings {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let base_url = self.public_url.clone().unwrap_or_else(|| format!("{scheme}://{address}"));
        let mut settings = Settings { base_url, ..self.settings.clone() };
        settings.push.egress = Egress::new(self.push_private_addresses, &settings.base_url);
        settings
    }
}
