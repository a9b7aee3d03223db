//! The configuration as it is written: one TOML file, a section and a file of source for each concern, a default for
//! everything. [`Resolved`] is what it means.

mod audit;
mod connections;
mod database;
mod encryption;
mod error;
mod expiry;
mod keys;
mod limits;
mod log;
mod mail;
mod outbound;
mod outbox;
mod passwords;
mod push;
mod requests;
mod resolved;
mod secret;
mod server;
mod sessions;
mod shutdown;
mod sms;
mod sockets;
mod telemetry;
mod tls;
mod tokens;
mod webhooks;

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use self::{
    audit::Audit, connections::Connections, database::Database, encryption::Encryption,
    error::Flaw, expiry::Expiry, keys::Keys, limits::Limits, log::Log, mail::Mail,
    outbound::Outbound, outbox::Outbox, passwords::Passwords, push::Push, requests::Requests,
    server::Server, sessions::Sessions, shutdown::Shutdown, sms::Sms, sockets::Sockets,
    telemetry::Telemetry, tls::Tls, tokens::Tokens, webhooks::Webhooks,
};
pub use self::{encryption::KeySource, error::ConfigError, resolved::Resolved};

/// The commented example: every setting with its unit and its default.
pub const EXAMPLE: &str = include_str!("config/example.toml");

/// Where packages put the configuration. It is used when a command names neither a file nor a folder.
const PACKAGED: &str = "/etc/countersign/countersign.toml";

/// The file. A section or key that is not listed here is refused.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    server: Server,
    tls: Tls,
    connections: Connections,
    sockets: Sockets,
    requests: Requests,
    shutdown: Shutdown,
    database: Database,
    encryption: Encryption,
    passwords: Passwords,
    sessions: Sessions,
    keys: Keys,
    limits: Limits,
    tokens: Tokens,
    outbound: Outbound,
    outbox: Outbox,
    mail: Mail,
    sms: Sms,
    webhooks: Webhooks,
    push: Push,
    audit: Audit,
    expiry: Expiry,
    log: Log,
    telemetry: Telemetry,
}

/// What a configuration is read in: the folder that its relative paths begin at, and the environment variables.
struct Surroundings<'a> {
    folder: &'a Path,
    variable: &'a dyn Fn(&str) -> Option<String>,
}

/// Where a command finds its configuration and its data.
#[derive(Clone, Debug, clap::Args)]
pub struct Place {
    /// The configuration file [default: /etc/countersign/countersign.toml if it is there and --data is not given, else
    /// the defaults].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The folder of the data, whatever the configuration says [default: countersign-data].
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
}

impl Place {
    /// The configuration file, if one is used.
    pub fn file(&self) -> Option<PathBuf> {
        let packaged = || Some(PathBuf::from(PACKAGED)).filter(|path| path.exists());
        self.config.clone().or_else(|| if self.data.is_none() { packaged() } else { None })
    }

    /// Reads the configuration and says what it means.
    pub fn resolve(&self) -> Result<Resolved, ConfigError> {
        let Some(file) = self.file() else {
            return self.meaning(&Config::default(), Path::new("")).map_err(Flaw::nowhere);
        };
        let text =
            fs::read_to_string(&file).map_err(|error| ConfigError::unreadable(&file, &error))?;
        let config = parse(&text).map_err(|error| error.in_file(&file))?;
        let folder = file.parent().unwrap_or(Path::new(""));
        self.meaning(&config, folder).map_err(|flaw| flaw.located(&text).in_file(&file))
    }

    fn meaning(&self, config: &Config, folder: &Path) -> Result<Resolved, Flaw> {
        let variable = |name: &str| environment(name);
        let mut resolved = Resolved::of(
            config,
            self.data.as_deref(),
            &Surroundings { folder, variable: &variable },
        )?;
        resolved.file = self.file();
        Ok(resolved)
    }
}

/// An environment variable, if it is set.
#[expect(clippy::disallowed_methods, reason = "the command line reads the environment")]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Reads the text of a configuration.
fn parse(text: &str) -> Result<Config, ConfigError> {
    let broken = |key: Option<String>, error: &toml::de::Error| {
        ConfigError::syntax(text, key, error.span(), error.message())
    };
    let deserializer = toml::Deserializer::parse(text).map_err(|error| broken(None, &error))?;
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let path = error.path().to_string();
        broken(Some(path).filter(|path| path != "."), error.inner())
    })
}

#[cfg(test)]
mod tests;
