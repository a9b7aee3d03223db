//! `[server]`: where it listens, what it calls itself, where its data is.

use std::{net::SocketAddr, path::PathBuf};

use ipnet::IpNet;
use serde::Deserialize;
use url::Url;

use super::{Flaw, limits::blocks};

const SECTION: &str = "server";

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Server {
    pub listen: String,
    pub public_url: Option<String>,
    pub data_folder: PathBuf,
    pub trusted_proxies: Vec<String>,
    pub reuse_port: bool,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".to_owned(),
            public_url: None,
            data_folder: PathBuf::from("countersign-data"),
            trusted_proxies: Vec::new(),
            reuse_port: false,
        }
    }
}

impl Server {
    pub fn listen(&self) -> Result<SocketAddr, Flaw> {
        let rule = "must be an address and a port, as in 127.0.0.1:8080 or [::]:443";
        self.listen.parse().map_err(|_| Flaw::new(SECTION, "listen", rule))
    }

    /// Scheme and authority, without a slash at the end.
    pub fn public_url(&self) -> Result<Option<String>, Flaw> {
        let Some(text) = &self.public_url else { return Ok(None) };
        let rule =
            "must be http:// or https:// and a host, with a port if need be, and nothing after it";
        let url = Url::parse(text).ok().filter(is_origin);
        let url = url.ok_or_else(|| Flaw::new(SECTION, "public_url", rule))?;
        Ok(Some(url.origin().ascii_serialization()))
    }

    pub fn trusted_proxies(&self) -> Result<Vec<IpNet>, Flaw> {
        blocks(&self.trusted_proxies, (SECTION, "trusted_proxies"))
    }
}

/// Whether there is scheme and authority and nothing else.
pub(super) fn is_origin(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
        && url.host().is_some()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
}
