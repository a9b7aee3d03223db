//! `[telemetry]`: where metrics are served, and where traces and metrics are sent.

use std::{net::SocketAddr, time::Duration};

use countersign_server::telemetry::{Otlp, Settings};
use serde::Deserialize;
use url::Url;

use super::{Flaw, Log, error::range};

const SECTION: &str = "telemetry";

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Telemetry {
    listen: Option<String>,
    otlp_endpoint: Option<String>,
    trace_ratio: f64,
    metrics_interval_seconds: u64,
    queue: usize,
}

impl Default for Telemetry {
    fn default() -> Self {
        let Otlp { trace_ratio, metrics_interval, queue, .. } = Otlp::new("");
        Self {
            listen: None,
            otlp_endpoint: None,
            trace_ratio,
            metrics_interval_seconds: metrics_interval.as_secs(),
            queue,
        }
    }
}

impl Telemetry {
    pub fn resolve(&self, log: &Log) -> Result<Settings, Flaw> {
        let otlp = Otlp {
            trace_ratio: range((SECTION, "trace_ratio"), self.trace_ratio, 0.0, 1.0)?,
            queue: range((SECTION, "queue"), self.queue, 64, 1_048_576)?,
            metrics_interval: Duration::from_secs(range(
                (SECTION, "metrics_interval_seconds"),
                self.metrics_interval_seconds,
                0,
                3600,
            )?),
            ..Otlp::new(self.otlp_endpoint()?.unwrap_or_default())
        };
        let otlp = Some(otlp).filter(|otlp| !otlp.endpoint.is_empty());
        Ok(Settings { listen: self.listen()?, otlp, ..log.resolve()? })
    }

    fn listen(&self) -> Result<Option<SocketAddr>, Flaw> {
        let rule = "must be an address and a port, as in 127.0.0.1:9464";
        let parse = |text: &String| text.parse().map_err(|_| Flaw::new(SECTION, "listen", rule));
        self.listen.as_ref().map(parse).transpose()
    }

    fn otlp_endpoint(&self) -> Result<Option<String>, Flaw> {
        let Some(text) = &self.otlp_endpoint else { return Ok(None) };
        let rule =
            "must be http:// or https:// and a host, as in http://127.0.0.1:4318, without a query";
        let is_endpoint = |url: &Url| {
            matches!(url.scheme(), "http" | "https")
                && url.has_host()
                && url.query().is_none()
                && url.fragment().is_none()
        };
        let url = Url::parse(text).ok().filter(is_endpoint);
        url.map(|_| Some(text.clone())).ok_or_else(|| Flaw::new(SECTION, "otlp_endpoint", rule))
    }
}
