//! What an operator sees: metrics, log lines, traces. None of it decides anything.

mod collect;
mod external;
mod family;
mod logs;
mod metrics;
mod otlp;
mod process;
mod prometheus;
mod settings;
mod trace;

pub use self::{
    collect::collect,
    family::{Family, Kind, Sample, Value},
    logs::{LogError, subscriber},
    otlp::{Exporter, OtlpError, TraceLayer},
    settings::{LogFormat, Otlp, Settings},
};
pub(crate) use self::{
    collect::{MFA_DECISIONS, PUSHES, TOKENS_ISSUED},
    external::{ExternalId, ExternalIds},
    metrics::{Metrics, Worker},
    prometheus::{MEDIA_TYPE, render},
    trace::TraceContext,
};

/// The target of spans and lines about requests. Targets of this kind stay the same when a module is renamed, so that an
/// operator's filter does.
pub(crate) const REQUEST: &str = "countersign::request";
