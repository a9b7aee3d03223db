//! Waits until what somebody reads has changed.

use countersign_protocol::time::Timestamp;
use countersign_store::Topic;
use tokio::time::{Duration, Instant};

use super::App;

/// Whoever waits looks again after this long, in case a wake was lost with the node that should have sent it.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Nobody looks more often than this when the time of what is read is about to be over.
const SHORTEST_WAIT: Duration = Duration::from_millis(10);

impl App {
    /// Looks at once, and again when the topic is woken, until `waits_until` sees nothing to wait for, though at the latest after
    /// this long. Else it says until when something can come of what was seen. What other nodes change wakes it too.
    pub(super) async fn await_change<T, E, F: Future<Output = Result<T, E>>>(
        &self,
        (topic, most): (Topic, Duration),
        look: impl Fn() -> F,
        mut waits_until: impl FnMut(&T) -> Option<Timestamp>,
    ) -> Result<T, E> {
        let waiter = self.store.waiter(topic);
        let deadline = Instant::now() + most;
        loop {
            let woken = waiter.woken();
            let seen = look().await?;
            let Some(until) = waits_until(&seen) else { return Ok(seen) };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(seen);
            }
            let micros = until.micros().saturating_sub(self.now().micros()).max(0);
            let next =
                Duration::from_micros(micros.unsigned_abs()).clamp(SHORTEST_WAIT, LONGEST_WAIT);
            tokio::select! {
                () = woken => {}
                () = tokio::time::sleep(left.min(next)) => {}
                () = self.drained() => return Ok(seen),
            }
        }
    }
}
