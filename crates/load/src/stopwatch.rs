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

    /// How many microseconds after this one another was started; 0 if it was not.
    #[must_use]
    pub fn micros_until(&self, later: Self) -> u64 {
        let between = later.0.saturating_duration_since(self.0);
        u64::try_from(between.as_micros()).unwrap_or(u64::MAX)
    }

    /// How much time has gone by, in microseconds.
    #[must_use]
    pub fn micros(&self) -> u64 {
        u64::try_from(self.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}
