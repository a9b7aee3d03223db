//! Traces and metrics as a collector gets them, and what happens where there is none.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Json, Router, extract::State, routing::post};
use countersign_protocol::{
    entropy::SystemEntropy,
    time::{Clock, Timestamp},
};
use countersign_server::telemetry::{
    Exporter, Otlp, Settings, TraceLayer, Value as Number, collect, subscriber,
};
use serde_json::Value;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tracing::subscriber::{DefaultGuard, set_default};

use crate::world::{World, get, with};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

struct SetClock;

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_seconds(1_767_603_600)
    }
}

/// What a collector was told.
#[derive(Clone, Default)]
struct Collector {
    traces: Arc<Mutex<Vec<Value>>>,
    metrics: Arc<Mutex<Vec<Value>>>,
}

impl Collector {
    async fn start() -> (Self, String) {
        let collector = Self::default();
        let traces = async |State(it): State<Self>, Json(body): Json<Value>| {
            it.traces.lock().unwrap().push(body);
            Json(serde_json::json!({}))
        };
        let metrics = async |State(it): State<Self>, Json(body): Json<Value>| {
            it.metrics.lock().unwrap().push(body);
            Json(serde_json::json!({}))
        };
        let router = Router::new()
            .route("/v1/traces", post(traces))
            .route("/v1/metrics", post(metrics))
            .with_state(collector.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (collector, endpoint)
    }

    fn spans(&self) -> Vec<Value> {
        let bodies = self.traces.lock().unwrap();
        let spans = bodies.iter().flat_map(|body| {
            let told = &body["resourceSpans"][0]["scopeSpans"][0]["spans"];
            told.as_array().unwrap().clone()
        });
        spans.collect()
    }
}

fn exporter(settings: Otlp) -> (TraceLayer, Exporter) {
    Exporter::new(settings, Arc::new(SetClock), Arc::new(SystemEntropy)).unwrap()
}

/// Traces what happens on this thread. Nothing is logged.
fn trace(layer: TraceLayer) -> DefaultGuard {
    let settings = Settings { log_filter: "off".to_owned(), ..Settings::default() };
    set_default(subscriber(&settings, io::sink, Some(layer)).unwrap())
}

struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

fn run(exporter: Exporter, w: &World) -> Running {
    let (stop, stopped) = oneshot::channel();
    let app = Arc::clone(&w.server);
    let until = async move { stopped.await.unwrap_or_default() };
    Running { stop, task: tokio::spawn(exporter.run(app, until)) }
}

impl Running {
    /// Lets it send what it has.
    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }
}

/// An authorization request that belongs to a trace.
async fn authorize(w: &World, sampled: &str) {
    let url = w.app().authorize_url(&w.app().request());
    let parent = format!("00-{TRACE}-00f067aa0ba902b7-{sampled}");
    w.wire.send(with(get(&url), "traceparent", &parent)).await.must_be(302);
}

fn attribute<'v>(span: &'v Value, name: &str) -> &'v Value {
    let attributes = span["attributes"].as_array().unwrap();
    attributes.iter().find(|it| it["key"] == name).map_or(&Value::Null, |it| &it["value"])
}

fn spans_told(w: &World, outcome: &str) -> f64 {
    let families = collect(&w.server);
    let spans = families.iter().find(|it| it.name == "countersign_otlp_spans_total").unwrap();
    let told = |labels: &[(&str, String)]| labels.iter().any(|(_, value)| value == outcome);
    match spans.samples.iter().find(|sample| told(&sample.labels)).unwrap().value {
        Number::Number(value) => value,
        Number::Distribution { .. } => panic!("a counter"),
    }
}

#[tokio::test]
async fn a_request_and_its_use_cases_go_on_with_the_trace_of_their_caller() {
    let w = World::new().await;
    let (collector, endpoint) = Collector::start().await;
    let (layer, exporter) = exporter(Otlp::new(endpoint));
    let guard = trace(layer);
    authorize(&w, "01").await;
    drop(guard);
    run(exporter, &w).stop().await;
    let spans = collector.spans();
    let request = spans.iter().find(|span| span["kind"] == 2).expect("a span of the request");
    assert_eq!(request["name"], "GET /{environment}/as/authorize");
    assert_eq!(request["traceId"], TRACE);
    assert_eq!(request["parentSpanId"], "00f067aa0ba902b7");
    assert_eq!(attribute(request, "http.response.status_code")["intValue"], "302");
    assert_eq!(attribute(request, "correlation.id")["stringValue"].as_str().unwrap().len(), 36);
    assert_eq!(request["startTimeUnixNano"], "1767603600000000000");
    assert_eq!(request["status"], serde_json::json!({}));
    let names: Vec<_> = spans.iter().map(|span| span["name"].as_str().unwrap()).collect();
    assert!(names.iter().any(|name| name.starts_with("write ")), "{names:?}");
    for span in spans.iter().filter(|span| span["kind"] == 1) {
        assert_eq!(
            (&span["traceId"], &span["parentSpanId"]),
            (&request["traceId"], &request["spanId"])
        );
    }
    assert!(
        !collector.traces.lock().unwrap()[0].to_string().contains("code_challenge"),
        "no query"
    );
    assert!(spans_told(&w, "sent") >= 2.0);
}

#[tokio::test]
async fn a_trace_that_its_caller_does_not_keep_is_not_kept() {
    let w = World::new().await;
    let (collector, endpoint) = Collector::start().await;
    let (layer, exporter) = exporter(Otlp::new(endpoint));
    let guard = trace(layer);
    authorize(&w, "00").await;
    drop(guard);
    run(exporter, &w).stop().await;
    assert_eq!(collector.spans(), [] as [Value; 0]);
}

#[tokio::test]
async fn metrics_are_sent_as_they_are_scraped() {
    let w = World::new().await;
    let (collector, endpoint) = Collector::start().await;
    let settings = Otlp { metrics_interval: Duration::from_secs(1), ..Otlp::new(endpoint) };
    let (_layer, exporter) = exporter(settings);
    w.app().sign_in("ann").await;
    let running = run(exporter, &w);
    while collector.metrics.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    running.stop().await;
    let body = collector.metrics.lock().unwrap()[0].clone();
    let told = body["resourceMetrics"][0]["scopeMetrics"][0]["metrics"].as_array().unwrap().clone();
    let names: Vec<_> = told.iter().map(|it| it["name"].as_str().unwrap()).collect();
    let scraped: Vec<_> = collect(&w.server).iter().map(|family| family.name).collect();
    assert_eq!(names, scraped);
    let metric = |name: &str| told.iter().find(|it| it["name"] == name).unwrap();
    let tokens = metric("countersign_tokens_issued_total");
    assert_eq!(tokens["sum"]["dataPoints"][0]["asDouble"], 1.0);
    assert_eq!(
        (&tokens["sum"]["isMonotonic"], &tokens["sum"]["aggregationTemporality"]),
        (&true.into(), &2.into())
    );
    let commits =
        &metric("countersign_store_commit_duration_seconds")["histogram"]["dataPoints"][0];
    let bounds = commits["explicitBounds"].as_array().unwrap().len();
    assert_eq!(commits["bucketCounts"].as_array().unwrap().len(), bounds + 1);
}

#[tokio::test]
async fn without_a_collector_spans_are_lost_and_counted_and_requests_are_answered() {
    let w = World::new().await;
    // A port that nobody listens on any more.
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (layer, exporter) = exporter(Otlp::new(format!("http://{free}")));
    let before = spans_told(&w, "refused");
    let guard = trace(layer);
    authorize(&w, "01").await;
    drop(guard);
    run(exporter, &w).stop().await;
    assert!(spans_told(&w, "refused") > before);
}

#[tokio::test]
async fn a_full_queue_drops_spans_and_never_makes_a_request_wait() {
    let w = World::new().await;
    let settings = Otlp { queue: 1, ..Otlp::new("http://127.0.0.1:9") };
    // The exporter is there and does not run.
    let (layer, _exporter) = exporter(settings);
    let before = spans_told(&w, "dropped");
    let guard = trace(layer);
    authorize(&w, "01").await;
    drop(guard);
    assert!(spans_told(&w, "dropped") > before);
}

#[tokio::test]
async fn a_collector_that_does_not_answer_holds_up_the_end_for_its_time_limit_only() {
    let w = World::new().await;
    // Connections are accepted by the system, and nobody reads them.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let settings = Otlp { timeout: Duration::from_millis(50), ..Otlp::new(endpoint) };
    let (layer, exporter) = exporter(settings);
    let guard = trace(layer);
    authorize(&w, "01").await;
    drop(guard);
    let ended = tokio::time::timeout(Duration::from_secs(20), run(exporter, &w).stop()).await;
    assert!(ended.is_ok());
}
