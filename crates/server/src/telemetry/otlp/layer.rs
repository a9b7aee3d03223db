//! Turns the program's spans into those of a trace.

use std::{fmt, sync::Arc};

use countersign_protocol::{
    entropy::{Entropy, random},
    time::{Clock, Timestamp},
};
use tokio::sync::mpsc::Sender;
use tracing::{
    Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use super::DROPPED;
use crate::telemetry::{REQUEST, TraceContext};

/// The field of a request's span that carries the caller's trace context. It is not told itself.
const CONTEXT: &str = "traceparent";

/// A span that has ended.
#[derive(Debug)]
pub(super) struct Span {
    pub trace: u128,
    pub id: u64,
    pub parent: Option<u64>,
    pub name: &'static str,
    /// Whether it answers a caller from outside.
    pub is_request: bool,
    pub started_at: Timestamp,
    pub ended_at: Timestamp,
    pub fields: Fields,
}

/// Names and values of a span.
#[derive(Debug, Default)]
pub(super) struct Fields {
    pub told: Vec<(&'static str, FieldValue)>,
    context: Option<TraceContext>,
}

#[derive(Debug)]
pub(super) enum FieldValue {
    Text(String),
    Int(i64),
}

/// Listens to the program's spans and puts those that are sampled into the queue of an exporter.
pub struct TraceLayer {
    queue: Sender<Span>,
    /// A trace is kept if its id, read as a number, is below this. So all its parts are, on every node.
    below: u64,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl TraceLayer {
    pub(super) fn new(
        queue: Sender<Span>,
        ratio: f64,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self { queue, below: below(ratio), clock, entropy }
    }

    /// Whether a trace that begins or goes on here is kept.
    fn is_kept(&self, trace: u128, context: Option<TraceContext>) -> bool {
        let asked = context.is_none_or(|context| context.sampled);
        // The right half is the random one (W3C Trace Context, level 2, section 3.2.2.3).
        let right = trace & u128::from(u64::MAX);
        asked && right >> 1 < u128::from(self.below)
    }
}

/// The part of 2^63 ids that is kept.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the ratio was checked to be from 0 to 1"
)]
const fn below(ratio: f64) -> u64 {
    (ratio * 9_223_372_036_854_775_808.0) as u64
}

impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for TraceLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let above = span.parent().and_then(|parent| {
            parent.extensions().get::<Span>().map(|span| (span.trace, Some(span.id)))
        });
        let (trace, parent) = match above {
            Some(above) => above,
            // Only requests begin a trace: what is inside one that is not kept is not kept either.
            None if span.metadata().target() != REQUEST => return,
            None => {
                let begun = || (u128::from_be_bytes(random(self.entropy.as_ref())), None);
                let given = fields.context.map(|given| (given.trace, Some(given.parent)));
                let (trace, parent) = given.unwrap_or_else(begun);
                if !self.is_kept(trace, fields.context) {
                    return;
                }
                (trace, parent)
            }
        };
        let now = self.clock.now();
        span.extensions_mut().insert(Span {
            trace,
            id: u64::from_be_bytes(random(self.entropy.as_ref())).max(1),
            parent,
            name: span.name(),
            is_request: span.metadata().target() == REQUEST,
            started_at: now,
            ended_at: now,
            fields,
        });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(span) = span.extensions_mut().get_mut::<Span>() {
            values.record(&mut span.fields);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(ended) = span.extensions_mut().remove::<Span>() else { return };
        if self.queue.try_send(Span { ended_at: self.clock.now(), ..ended }).is_err() {
            DROPPED.add(1);
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == CONTEXT {
            self.context = TraceContext::parse(value);
        } else {
            self.told.push((field.name(), FieldValue::Text(value.to_owned())));
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.told.push((field.name(), FieldValue::Int(value)));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.record_i64(field, i64::try_from(value).unwrap_or(i64::MAX));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use countersign_protocol::entropy::SystemEntropy;
    use tokio::sync::mpsc::channel;

    use super::*;

    struct Stopped;

    impl Clock for Stopped {
        fn now(&self) -> Timestamp {
            Timestamp::from_unix_seconds(7)
        }
    }

    fn kept(ratio: f64, trace: u128, sampled: Option<bool>) -> bool {
        let (queue, _) = channel(1);
        let layer = TraceLayer::new(queue, ratio, Arc::new(Stopped), Arc::new(SystemEntropy));
        let context = sampled.map(|sampled| TraceContext { trace, parent: 1, sampled });
        layer.is_kept(trace, context)
    }

    #[test]
    fn a_ratio_keeps_that_part_of_all_traces() {
        let ids = [0, u128::MAX / 3, u128::from(u64::MAX / 4), u128::from(u64::MAX), u128::MAX];
        assert!(ids.iter().all(|id| kept(1.0, *id, None)));
        assert!(!ids.iter().any(|id| kept(0.0, *id, None)));
        assert!(kept(0.5, u128::from(u64::MAX / 2 - 1), None));
        assert!(!kept(0.5, u128::from(u64::MAX / 2 + 1), None));
    }

    #[test]
    fn a_caller_can_refuse_to_be_traced_and_cannot_insist() {
        assert!(!kept(1.0, 1, Some(false)));
        assert!(!kept(0.0, 1, Some(true)));
    }
}
