//! What is said to the collector: the JSON encoding of OTLP (specification, section "JSON Protobuf Encoding").

use countersign_protocol::{
    entropy::{Entropy, random},
    time::Timestamp,
};
use serde_json::{Value as Json, json};

use super::layer::{FieldValue, Fields, Span};
use crate::telemetry::family::{Family, Kind, Sample, Value, number};

/// `SPAN_KIND_INTERNAL` and `SPAN_KIND_SERVER`.
const INTERNAL: u8 = 1;
const SERVER: u8 = 2;

/// `STATUS_CODE_ERROR`. Where nothing failed, the status stays unset.
const ERROR: u8 = 2;

/// `AGGREGATION_TEMPORALITY_CUMULATIVE`.
const CUMULATIVE: u8 = 2;

/// Who speaks.
pub(super) struct Resource {
    /// Another for each start, so that a collector tells nodes and restarts apart.
    instance: String,
}

impl Resource {
    pub fn new(entropy: &dyn Entropy) -> Self {
        Self { instance: format!("{:032x}", u128::from_be_bytes(random(entropy))) }
    }

    fn json(&self) -> Json {
        json!({ "attributes": [
            attribute("service.name", "countersign"),
            attribute("service.version", env!("CARGO_PKG_VERSION")),
            attribute("service.instance.id", &self.instance),
        ] })
    }
}

/// The body of a message to `/v1/traces`.
pub(super) fn traces(resource: &Resource, spans: &[Span]) -> Json {
    let spans: Vec<_> = spans.iter().map(span).collect();
    json!({ "resourceSpans": [{
        "resource": resource.json(),
        "scopeSpans": [{ "scope": scope(), "spans": spans }],
    }] })
}

fn span(span: &Span) -> Json {
    let attributes: Vec<_> = span.fields.told.iter().map(field).collect();
    let mut told = json!({
        "traceId": format!("{:032x}", span.trace),
        "spanId": format!("{:016x}", span.id),
        "name": name(span),
        "kind": if span.is_request { SERVER } else { INTERNAL },
        "startTimeUnixNano": nanos(span.started_at),
        "endTimeUnixNano": nanos(span.ended_at),
        "attributes": attributes,
        "status": {},
    });
    if let Some(parent) = span.parent {
        told = with(told, "parentSpanId", format!("{parent:016x}"));
    }
    let status = span.fields.int("http.response.status_code").unwrap_or_default();
    if status >= 500 {
        told = with(told, "status", json!({ "code": ERROR }));
    }
    told
}

/// `POST /{environment}/as/token` for a request, `write Exchange` for a use case.
fn name(span: &Span) -> String {
    let Fields { told, .. } = &span.fields;
    let text = |wanted| {
        told.iter().find_map(|(name, value)| match value {
            FieldValue::Text(text) if *name == wanted => Some(text.as_str()),
            FieldValue::Text(_) | FieldValue::Int(_) => None,
        })
    };
    let work = || text("work").map(|path| path.rsplit("::").next().unwrap_or(path));
    match (span.is_request, text("http.request.method"), text("http.route")) {
        (true, Some(method), Some(route)) => format!("{method} {route}"),
        (true, Some(method), None) => method.to_owned(),
        (true, None, _) => span.name.to_owned(),
        (false, ..) => work().map_or(span.name.to_owned(), |work| format!("{} {work}", span.name)),
    }
}

impl Fields {
    fn int(&self, wanted: &str) -> Option<i64> {
        self.told.iter().find_map(|(name, value)| match value {
            FieldValue::Int(value) if *name == wanted => Some(*value),
            FieldValue::Text(_) | FieldValue::Int(_) => None,
        })
    }
}

fn field((name, value): &(&str, FieldValue)) -> Json {
    match value {
        FieldValue::Text(text) => attribute(name, text),
        // 64-bit integers are strings in this encoding.
        FieldValue::Int(value) => {
            json!({ "key": name, "value": { "intValue": value.to_string() } })
        }
    }
}

/// The body of a message to `/v1/metrics`.
pub(super) fn metrics(resource: &Resource, families: &[Family], now: Timestamp) -> Json {
    let metrics: Vec<_> = families.iter().map(|family| metric(family, now)).collect();
    json!({ "resourceMetrics": [{
        "resource": resource.json(),
        "scopeMetrics": [{ "scope": scope(), "metrics": metrics }],
    }] })
}

fn metric(family: &Family, now: Timestamp) -> Json {
    let points: Vec<_> = family.samples.iter().map(|sample| point(sample, now)).collect();
    let told = json!({ "name": family.name, "description": family.meaning });
    let (shape, value) = match family.kind {
        Kind::Counter => (
            "sum",
            json!({ "aggregationTemporality": CUMULATIVE, "isMonotonic": true, "dataPoints": points }),
        ),
        Kind::Gauge => ("gauge", json!({ "dataPoints": points })),
        Kind::Histogram => {
            ("histogram", json!({ "aggregationTemporality": CUMULATIVE, "dataPoints": points }))
        }
    };
    with(told, shape, value)
}

fn point(sample: &Sample, now: Timestamp) -> Json {
    let labels = sample.labels.iter().map(|(name, value)| attribute(name, value));
    let told = json!({ "attributes": labels.collect::<Vec<_>>(), "timeUnixNano": nanos(now) });
    match &sample.value {
        Value::Number(value) => with(told, "asDouble", *value),
        Value::Distribution { values, per_unit } => {
            let bounds: Vec<_> = values.bounds.iter().map(|it| number(*it) / per_unit).collect();
            let counts: Vec<_> = values.counts.iter().map(u64::to_string).collect();
            let told = with(told, "explicitBounds", bounds);
            let told = with(told, "bucketCounts", counts);
            let told = with(told, "count", values.count().to_string());
            with(told, "sum", number(values.sum) / per_unit)
        }
    }
}

/// An object with one more member.
fn with(mut object: Json, name: &str, value: impl Into<Json>) -> Json {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), value.into());
    }
    object
}

fn attribute(name: &str, value: &str) -> Json {
    json!({ "key": name, "value": { "stringValue": value } })
}

fn scope() -> Json {
    json!({ "name": "countersign", "version": env!("CARGO_PKG_VERSION") })
}

fn nanos(time: Timestamp) -> String {
    (i128::from(time.micros()) * 1_000).to_string()
}
