//! Settings of logs, metrics and traces.

use std::{net::SocketAddr, time::Duration};

/// What is told to operators, and where.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How log lines look.
    pub log_format: LogFormat,
    /// Which lines are written: `LEVEL` or `TARGET=LEVEL`, with commas between them. A longer target wins over a shorter.
    pub log_filter: String,
    /// Where metrics and health are served; nowhere unless said. Whoever reaches this address may read them.
    pub listen: Option<SocketAddr>,
    /// Where traces and metrics are sent; nowhere unless said.
    pub otlp: Option<Otlp>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            log_format: LogFormat::Text,
            log_filter: "warn,countersign=info".to_owned(),
            listen: None,
            otlp: None,
        }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for machines.
    Json,
}

/// A collector that speaks OTLP over HTTP.
#[derive(Clone, Debug)]
pub struct Otlp {
    /// Its address, without `/v1/traces`: `http://127.0.0.1:4318`.
    pub endpoint: String,
    /// The part of traces that is kept, from 0 to 1. A caller that has said that its trace is not kept is believed.
    pub trace_ratio: f64,
    /// Spans that wait to be sent; more are dropped and counted.
    pub queue: usize,
    /// The most spans of one message.
    pub batch: usize,
    /// The longest time that a span waits for others.
    pub interval: Duration,
    /// Time between two messages with metrics; zero: none are sent.
    pub metrics_interval: Duration,
    /// How long the collector may take to answer. What it does not take by then is dropped and counted.
    pub timeout: Duration,
}

impl Otlp {
    /// The settings that fit most, for the collector at `endpoint`.
    #[must_use]
    pub fn new(endpoint: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into(),
            trace_ratio: 1.0,
            queue: 4_096,
            batch: 512,
            interval: Duration::from_secs(2),
            metrics_interval: Duration::from_secs(30),
            timeout: Duration::from_secs(5),
        }
    }
}
