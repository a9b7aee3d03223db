//! Tells open pages that they are no longer true.

use std::sync::Arc;

use countersign_protocol::time::{Clock, SystemClock};
use tokio::sync::watch;

/// The version of something that pages show.
#[derive(Clone)]
pub struct Feed {
    version: Arc<watch::Sender<i64>>,
}

impl Feed {
    /// A feed whose versions are not those of an earlier start.
    pub fn new() -> Self {
        Self { version: Arc::new(watch::Sender::new(SystemClock.now().micros())) }
    }

    /// The version now.
    pub fn version(&self) -> i64 {
        *self.version.borrow()
    }

    /// Something has changed.
    pub fn bump(&self) {
        self.version.send_modify(|version| *version += 1);
    }

    /// Hears of changes from now on.
    pub fn hear(&self) -> watch::Receiver<i64> {
        self.version.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_hears_is_told_of_a_change() {
        let feed = Feed::new();
        let (before, mut heard) = (feed.version(), feed.hear());
        assert!(!heard.has_changed().unwrap());
        feed.bump();
        assert!(heard.has_changed().unwrap());
        assert_eq!(*heard.borrow_and_update(), before + 1);
    }
}
