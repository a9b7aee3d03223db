//! Whether this node can answer requests: for load balancers, which ask often.

use std::time::Duration;

use countersign_protocol::time::Timestamp;
use countersign_store::StoreError;
use tokio::sync::{Mutex, watch};

use super::App;

/// How long an answer of the store holds good, in microseconds: however often it is asked, the store is asked once.
const HOLDS_MICROS: u64 = 1_000_000;

/// How long the store may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// Why requests should go elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unready {
    /// The process has been told to stop.
    Draining,
    /// The store cannot begin and end a transaction.
    StoreUnavailable,
    /// The store did not do so in time.
    StoreSlow,
}

impl Unready {
    /// Its name in answers and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Draining => "draining",
            Self::StoreUnavailable => "store_unavailable",
            Self::StoreSlow => "store_slow",
        }
    }
}

/// What is known of the readiness of this node.
#[derive(Debug, Default)]
pub(crate) struct Readiness {
    draining: watch::Sender<bool>,
    last: Mutex<Option<(Timestamp, Result<(), Unready>)>>,
}

impl App {
    /// Says to load balancers that no more requests should come, and to sockets that they end. Requests that come are still
    /// answered, and those that wait for a phone are answered at once.
    pub fn drain(&self) {
        self.readiness.draining.send_replace(true);
    }

    /// Whether [`App::drain`] was called.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        *self.readiness.draining.borrow()
    }

    /// Waits for [`App::drain`]: nobody waits for a phone on a server that stops.
    pub async fn drained(&self) {
        // The sender is here, so there is an end to wait for.
        let _ = self.readiness.draining.subscribe().wait_for(|draining| *draining).await;
    }

    /// Whether requests should come here.
    pub async fn check_readiness(&self) -> Result<(), Unready> {
        if self.is_draining() {
            return Err(Unready::Draining);
        }
        // Who comes while the store is asked waits for its answer, which is there in time.
        let mut last = self.readiness.last.lock().await;
        let now = self.now();
        let holds = |asked_at: Timestamp| asked_at.micros().abs_diff(now.micros()) < HOLDS_MICROS;
        if let Some((asked_at, answer)) = *last
            && holds(asked_at)
        {
            return answer;
        }
        let answer = match tokio::time::timeout(PATIENCE, self.store.ping()).await {
            // A store with many callers works: to send them all to another node would only fell that one too.
            Ok(Ok(()) | Err(StoreError::Busy)) => Ok(()),
            Ok(Err(error)) => {
                tracing::debug!(%error, "the store is not ready");
                Err(Unready::StoreUnavailable)
            }
            Err(_) => Err(Unready::StoreSlow),
        };
        let changed = last.is_none_or(|(_, before)| before != answer);
        match answer {
            Err(reason) if changed => tracing::warn!(reason = reason.name(), "not ready"),
            Ok(()) if changed && last.is_some() => tracing::info!("ready again"),
            Ok(()) | Err(_) => {}
        }
        *last = Some((now, answer));
        answer
    }
}
