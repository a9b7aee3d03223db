//! Wakes who waits here for what other nodes have changed.

use std::collections::HashSet;

use countersign_protocol::time::Timestamp;
use countersign_store::{StoreError, Topic, Tx, Work, wakes};

use super::App;

impl App {
    /// Wakes who waits here for what other nodes have changed lately and is not yet in `heard`.
    pub async fn wake_for_others(&self, heard: &mut Heard) -> Result<(), StoreError> {
        let since = self.now().minus_seconds(WAKE_SECONDS);
        let changes = self.store.read(ListWakes { since }).await?;
        self.store.wake(&heard.news(changes));
        Ok(())
    }
}

/// The changes of the last seconds that are known here: whoever is woken by one again looks for nothing.
#[derive(Debug, Default)]
pub struct Heard(HashSet<(Timestamp, Topic)>);

impl Heard {
    fn news(&mut self, changes: Vec<(Timestamp, Topic)>) -> Vec<Topic> {
        let is_new = |change: &&(Timestamp, Topic)| !self.0.contains(*change);
        let news = changes.iter().filter(is_new).map(|(_, topic)| *topic).collect();
        self.0 = changes.into_iter().collect();
        news
    }
}

/// How far back changes of other nodes are looked for, in seconds: clocks of nodes differ, and commits take their time.
const WAKE_SECONDS: i64 = 3;

struct ListWakes {
    since: Timestamp,
}

impl Work for ListWakes {
    type Output = Vec<(Timestamp, Topic)>;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Self::Output, StoreError> {
        wakes::list(tx, self.since).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_that_is_listed_again_wakes_nobody() {
        let [early, late] = [1, 2].map(Timestamp::from_unix_seconds);
        let [one, other] = [1, 2].map(|byte| Topic::new([byte; 16]));
        let mut heard = Heard::default();
        assert_eq!(heard.news(vec![(early, one)]), [one]);
        assert_eq!(heard.news(vec![(early, one), (late, other)]), [other]);
        assert_eq!(heard.news(vec![(late, one), (late, other)]), [one], "it has changed again");
        assert_eq!(heard.news(Vec::new()), []);
    }
}
