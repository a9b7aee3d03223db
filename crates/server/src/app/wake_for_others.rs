//! Wakes who waits here for what other nodes have changed.

use countersign_protocol::time::Timestamp;
use countersign_store::{StoreError, Topic, Tx, Work, wakes};

use super::App;

impl App {
    /// Wakes who waits here for what other nodes have changed lately. Who is woken twice looks twice.
    pub async fn wake_for_others(&self) -> Result<(), StoreError> {
        let since = self.now().minus_seconds(WAKE_SECONDS);
        let topics = self.store.read(ListWakes { since }).await?;
        self.store.wake(&topics);
        Ok(())
    }
}

/// How far back changes of other nodes are looked for, in seconds: clocks of nodes differ, and commits take their time.
const WAKE_SECONDS: i64 = 3;

struct ListWakes {
    since: Timestamp,
}

impl Work for ListWakes {
    type Output = Vec<Topic>;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<Topic>, StoreError> {
        wakes::list(tx, self.since).await
    }
}
