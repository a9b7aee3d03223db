//! `[push]`: the push services, by which phones are woken.

use std::{fs, path::PathBuf, time::Duration};

use countersign_server::{PushEndpoints, PushSettings, Settings};
use serde::Deserialize;
use url::Url;

use super::{Flaw, Surroundings, error::range, server::is_origin};

const SECTION: &str = "push";

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Push {
    apns_production: String,
    apns_sandbox: String,
    fcm: String,
    fcm_token: Option<String>,
    hms: String,
    hms_token: String,
    authorities_file: Option<PathBuf>,
    private_addresses: bool,
    web_push_ports: Vec<u16>,
    connect_timeout_seconds: u64,
    request_timeout_seconds: u64,
}

impl Default for Push {
    fn default() -> Self {
        let settings = PushSettings::default();
        let PushEndpoints { apns_production, apns_sandbox, fcm, fcm_token, hms, hms_token } =
            &settings.endpoints;
        let text = |url: &Url| url.as_str().trim_end_matches('/').to_owned();
        Self {
            apns_production: text(apns_production),
            apns_sandbox: text(apns_sandbox),
            fcm: text(fcm),
            fcm_token: fcm_token.as_ref().map(text),
            hms: text(hms),
            hms_token: text(hms_token),
            authorities_file: None,
            private_addresses: false,
            web_push_ports: settings.web_push_ports,
            connect_timeout_seconds: settings.connect_timeout.as_secs(),
            request_timeout_seconds: settings.request_timeout.as_secs(),
        }
    }
}

impl Push {
    /// What may be called on this machine depends on the public address, which is known later.
    pub fn apply(&self, settings: &mut Settings, around: &Surroundings<'_>) -> Result<(), Flaw> {
        let endpoints = PushEndpoints {
            apns_production: service("apns_production", &self.apns_production)?,
            apns_sandbox: service("apns_sandbox", &self.apns_sandbox)?,
            fcm: service("fcm", &self.fcm)?,
            fcm_token: self.fcm_token.as_deref().map(|url| token("fcm_token", url)).transpose()?,
            hms: service("hms", &self.hms)?,
            hms_token: token("hms_token", &self.hms_token)?,
        };
        let roots = match &self.authorities_file {
            None => Vec::new(),
            Some(file) => fs::read(around.folder.join(file)).map_err(|error| {
                let rule = format!("names a file that cannot be read: {error}");
                Flaw::new(SECTION, "authorities_file", rule)
            })?,
        };
        let seconds = |key, value| range((SECTION, key), value, 1, 30).map(Duration::from_secs);
        let push = PushSettings {
            endpoints,
            roots,
            web_push_ports: self.ports()?,
            connect_timeout: seconds("connect_timeout_seconds", self.connect_timeout_seconds)?,
            request_timeout: seconds("request_timeout_seconds", self.request_timeout_seconds)?,
            ..PushSettings::default()
        };
        // The addresses were checked above, so what can still be wrong is the file.
        push.validate().map_err(|_| {
            let rule = "names a file without certificates in PEM, or with one that cannot be read";
            Flaw::new(SECTION, "authorities_file", rule)
        })?;
        settings.push = push;
        Ok(())
    }

    /// Whether what strangers name may lead into private networks.
    pub const fn private_addresses(&self) -> bool {
        self.private_addresses
    }

    fn ports(&self) -> Result<Vec<u16>, Flaw> {
        let key = "web_push_ports";
        range((SECTION, key), self.web_push_ports.len(), 0, 64)
            .map_err(|_| Flaw::new(SECTION, key, "must be at most 64 ports"))?;
        if self.web_push_ports.contains(&0) {
            return Err(Flaw::new(SECTION, key, "must be ports from 1 to 65535"));
        }
        Ok(self.web_push_ports.clone())
    }
}

/// The base address of a service.
fn service(key: &'static str, text: &str) -> Result<Url, Flaw> {
    let rule = "must be https:// and a host, with a port if need be, and nothing after it";
    let url = Url::parse(text).ok().filter(|url| url.scheme() == "https" && is_origin(url));
    url.ok_or_else(|| Flaw::new(SECTION, key, rule))
}

/// The address of a token endpoint.
fn token(key: &'static str, text: &str) -> Result<Url, Flaw> {
    let rule = "must be an https address without a user, a query and a fragment";
    let is_plain = |url: &Url| {
        let bare = url.username().is_empty() && url.password().is_none();
        url.scheme() == "https" && bare && url.query().is_none() && url.fragment().is_none()
    };
    let url = Url::parse(text).ok().filter(is_plain);
    url.ok_or_else(|| Flaw::new(SECTION, key, rule))
}
