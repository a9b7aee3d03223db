//! The one place that asks how much time has gone by.

use std::time::{Duration, Instant};

/// Counts from its start. Nothing is decided by it but when a measurement ends.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "measuring is what this crate is for")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// How much time has gone by.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    /// The same in microseconds.
    #[must_use]
    pub fn micros(&self) -> u64 {
        u64::try_from(self.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}
