//! Sends traces and metrics to a collector: OTLP 1.x over HTTP in its JSON encoding, from a bounded queue.
//!
//! A collector that is slow or gone costs spans, which are counted, and never a request.

mod layer;
mod payload;

use std::{pin::pin, sync::Arc, time::Duration};

use countersign_protocol::{entropy::Entropy, time::Clock};
use countersign_store::meter::Counter;
use reqwest::{Client, Url, header, redirect::Policy};
use tokio::{
    sync::mpsc::{Receiver, channel},
    time::{MissedTickBehavior, interval},
};

pub use self::layer::TraceLayer;
use self::{layer::Span, payload::Resource};
use super::{Otlp, collect};
use crate::app::App;

/// What became of the spans and messages of this process, which has one exporter, as it has one subscriber.
pub(super) static SENT: Counter = Counter::new();
/// Spans that found the queue full.
pub(super) static DROPPED: Counter = Counter::new();
/// Spans that the collector did not take.
pub(super) static REFUSED: Counter = Counter::new();
/// Messages with metrics that the collector did not take.
pub(super) static REFUSED_METRICS: Counter = Counter::new();

/// Why nothing can be sent.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    /// It is no address of a collector.
    #[error("otlp_endpoint must be an http or https URL without query: {0}")]
    Endpoint(String),
    /// The part is not one.
    #[error("trace_ratio must be a number from 0 to 1")]
    Ratio,
    /// The client cannot be made.
    #[error("the client of the collector does not start")]
    Client(#[source] reqwest::Error),
}

/// The sending end. Runs beside the server.
pub struct Exporter {
    settings: Otlp,
    client: Client,
    traces: Url,
    metrics: Url,
    resource: Resource,
    clock: Arc<dyn Clock>,
    spans: Receiver<Span>,
    failing: bool,
}

impl Exporter {
    /// An exporter, and the layer that feeds it.
    pub fn new(
        settings: Otlp,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<(TraceLayer, Self), OtlpError> {
        if !(0.0..=1.0).contains(&settings.trace_ratio) {
            return Err(OtlpError::Ratio);
        }
        let (traces, metrics) = (address(&settings, "traces")?, address(&settings, "metrics")?);
        // A redirect would send what is secret to somebody else.
        let client = Client::builder().timeout(settings.timeout).redirect(Policy::none());
        let client = client.build().map_err(OtlpError::Client)?;
        let resource = Resource::new(entropy.as_ref());
        let (sender, spans) = channel(settings.queue.max(1));
        let layer = TraceLayer::new(sender, settings.trace_ratio, Arc::clone(&clock), entropy);
        let failing = false;
        let exporter = Self { settings, client, traces, metrics, resource, clock, spans, failing };
        Ok((layer, exporter))
    }

    /// Sends until it is stopped, and then what is still in the queue, for at most one timeout.
    pub async fn run(mut self, app: Arc<App>, stopped: impl Future<Output = ()>) {
        let mut stopped = pin!(stopped);
        let mut batch = Vec::new();
        let mut metrics = interval(self.settings.metrics_interval.max(Duration::from_secs(1)));
        metrics.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let tells_metrics = !self.settings.metrics_interval.is_zero();
        loop {
            tokio::select! {
                () = self.fill(&mut batch) => self.send_spans(&mut batch).await,
                _ = metrics.tick(), if tells_metrics => self.send_metrics(&app).await,
                () = stopped.as_mut() => break,
            }
        }
        self.spans.close();
        let limit = self.settings.timeout;
        // What does not go out by now is lost with the process.
        let _ = tokio::time::timeout(limit, self.finish(&mut batch)).await;
    }

    /// Waits until a batch is full, or its first span has waited for long enough. Keeps what it has when it is dropped.
    async fn fill(&mut self, batch: &mut Vec<Span>) {
        if batch.is_empty() && self.spans.recv_many(batch, self.settings.batch.max(1)).await == 0 {
            // Nobody can send any more.
            return std::future::pending().await;
        }
        let mut late = pin!(tokio::time::sleep(self.settings.interval));
        while let Some(room) = self.settings.batch.checked_sub(batch.len()).filter(|it| *it > 0) {
            tokio::select! {
                () = late.as_mut() => return,
                more = self.spans.recv_many(batch, room) => if more == 0 { return },
            }
        }
    }

    async fn finish(&mut self, batch: &mut Vec<Span>) {
        while !batch.is_empty() || self.spans.recv_many(batch, self.settings.batch.max(1)).await > 0
        {
            self.send_spans(batch).await;
        }
    }

    async fn send_spans(&mut self, batch: &mut Vec<Span>) {
        let body = payload::traces(&self.resource, batch).to_string();
        let is_taken = self.send(self.traces.clone(), body).await;
        let counter = if is_taken { &SENT } else { &REFUSED };
        counter.add(u64::try_from(batch.len()).unwrap_or(u64::MAX));
        batch.clear();
    }

    async fn send_metrics(&mut self, app: &App) {
        let body = payload::metrics(&self.resource, &collect(app), self.clock.now()).to_string();
        if !self.send(self.metrics.clone(), body).await {
            REFUSED_METRICS.add(1);
        }
    }

    /// Sends a message. It is not sent again: the next has newer news, and a queue of old ones would not end.
    async fn send(&mut self, url: Url, body: String) -> bool {
        let request = self.client.post(url).header(header::CONTENT_TYPE, "application/json");
        let answer = request.body(body).send().await.and_then(reqwest::Response::error_for_status);
        // Told when it changes, not for each message.
        match (&answer, self.failing) {
            (Err(error), false) => {
                tracing::warn!(%error, "the collector of traces and metrics does not take them");
            }
            (Ok(_), true) => tracing::info!("the collector takes traces and metrics again"),
            (Err(_), true) | (Ok(_), false) => {}
        }
        self.failing = answer.is_err();
        answer.is_ok()
    }
}

fn address(settings: &Otlp, signal: &str) -> Result<Url, OtlpError> {
    let base = settings.endpoint.trim_end_matches('/');
    let url = Url::parse(&format!("{base}/v1/{signal}")).ok();
    let url = url.filter(|url| {
        matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.has_host()
    });
    url.filter(|url| url.fragment().is_none())
        .ok_or_else(|| OtlpError::Endpoint(settings.endpoint.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_the_base_of_an_address() {
        let url = |endpoint: &str| address(&Otlp::new(endpoint), "traces").map(String::from);
        for endpoint in ["http://127.0.0.1:4318", "http://127.0.0.1:4318/"] {
            assert_eq!(url(endpoint).unwrap(), "http://127.0.0.1:4318/v1/traces");
        }
        assert_eq!(url("https://c.example/otlp").unwrap(), "https://c.example/otlp/v1/traces");
        for endpoint in ["", "127.0.0.1:4318", "grpc://a", "http://a?x=1", "http://a#x"] {
            assert!(url(endpoint).is_err(), "{endpoint}");
        }
    }
}
