//! A clock that can be put forward, so that what takes minutes is shown at once.

use std::sync::atomic::{AtomicI64, Ordering};

use countersign_protocol::time::{Clock, SystemClock, Timestamp};

/// The time of the system, and as much more as it was put forward.
#[derive(Debug, Default)]
pub struct ShiftedClock {
    seconds: AtomicI64,
}

impl ShiftedClock {
    /// Puts the clock forward for everybody who shares it.
    pub fn advance(&self, seconds: i64) {
        self.seconds.fetch_add(seconds, Ordering::Relaxed);
    }
}

impl Clock for ShiftedClock {
    fn now(&self) -> Timestamp {
        SystemClock.now().plus_seconds(self.seconds.load(Ordering::Relaxed))
    }
}
