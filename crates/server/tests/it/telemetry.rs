//! What operators see: health, metrics, log lines, traces.

mod health;
mod logs;
mod metrics;
mod traces;
