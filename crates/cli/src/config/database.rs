//! `[database]`: where the data is and how much may be asked of it.

use std::{fs, path::PathBuf};

use countersign_protocol::secret::Secret;
use countersign_store::Settings;
use serde::Deserialize;

use super::{Flaw, Surroundings, error::range};

const SECTION: &str = "database";

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Database {
    url: Option<String>,
    url_file: Option<PathBuf>,
    url_env: Option<String>,
    connections: usize,
    callers: usize,
    connect_timeout_ms: u64,
    statement_timeout_ms: u64,
}

impl Default for Database {
    fn default() -> Self {
        let settings = Settings::new("");
        Self {
            url: None,
            url_file: None,
            url_env: None,
            connections: settings.connections,
            callers: settings.callers,
            connect_timeout_ms: settings.connect_timeout_ms,
            statement_timeout_ms: settings.statement_timeout_ms,
        }
    }
}

impl Database {
    /// The settings of the store; without a URL its file is `countersign.db` in the folder of the data.
    pub fn resolve(
        &self,
        data: &std::path::Path,
        around: &Surroundings<'_>,
    ) -> Result<Settings, Flaw> {
        let at = |key| (SECTION, key);
        let url = self.url(around)?;
        let url = url.unwrap_or_else(|| {
            Secret::new(format!("sqlite:{}", data.join("countersign.db").display()))
        });
        let timeout = |key, value| range(at(key), value, 100, 600_000);
        Ok(Settings {
            url,
            connections: range(at("connections"), self.connections, 1, 1_000)?,
            callers: range(at("callers"), self.callers, 1, 1_000_000)?,
            connect_timeout_ms: timeout("connect_timeout_ms", self.connect_timeout_ms)?,
            statement_timeout_ms: timeout("statement_timeout_ms", self.statement_timeout_ms)?,
        })
    }

    fn url(&self, around: &Surroundings<'_>) -> Result<Option<Secret<String>>, Flaw> {
        let given = [
            (self.url.is_some(), "url"),
            (self.url_file.is_some(), "url_file"),
            (self.url_env.is_some(), "url_env"),
        ];
        let mut given = given.iter().filter(|(given, _)| *given);
        if let (Some(_), Some((_, second))) = (given.next(), given.next()) {
            let rule = "may not be given beside another of url, url_file and url_env";
            return Err(Flaw::new(SECTION, *second, rule));
        }
        if let Some(url) = &self.url {
            if has_password(url) {
                let rule = "must not contain a password: use url_file or url_env";
                return Err(Flaw::new(SECTION, "url", rule));
            }
            return Ok(Some(Secret::new(absolute(url, around))));
        }
        if let Some(file) = &self.url_file {
            let text = fs::read_to_string(around.folder.join(file));
            let text = text.map_err(|error| {
                Flaw::new(SECTION, "url_file", format!("names a file that cannot be read: {error}"))
            })?;
            return Ok(Some(Secret::new(absolute(text.trim(), around))));
        }
        let Some(name) = &self.url_env else { return Ok(None) };
        let value = (around.variable)(name).ok_or_else(|| {
            Flaw::new(SECTION, "url_env", format!("names the variable {name}, which is not set"))
        })?;
        Ok(Some(Secret::new(absolute(value.trim(), around))))
    }
}

/// A relative path of a file begins where the configuration is.
fn absolute(url: &str, around: &Surroundings<'_>) -> String {
    match url.strip_prefix("sqlite:") {
        Some(path) if !path.starts_with("//") => {
            format!("sqlite:{}", around.folder.join(path).display())
        }
        _ => url.to_owned(),
    }
}

fn has_password(url: &str) -> bool {
    let authority = url.split_once("://").map_or("", |(_, rest)| rest);
    let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
    let query = url.split_once('?').map_or("", |(_, query)| query);
    user.contains(':') || query.split('&').any(|pair| pair.starts_with("password="))
}
