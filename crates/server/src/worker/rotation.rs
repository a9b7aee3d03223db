//! Lets signing keys follow each other when it is time.

use std::{pin::pin, sync::Arc};

use countersign_domain::audit::Part;
use tokio::time::{MissedTickBehavior, interval};

use crate::app::{App, Origin};

/// Looks every interval until `stopped`. Several nodes may do so: of two that want the same change, one makes it.
pub(crate) async fn run(app: Arc<App>, stopped: impl Future<Output = ()>) {
    let mut stopped = pin!(stopped);
    let mut ticks = interval(app.settings().keys_interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let tend = async {
            ticks.tick().await;
            match Origin::part(Part::Worker).scope(app.tend_keys()).await {
                Ok(0) => {}
                Ok(keys) => tracing::info!(keys, "signing keys have moved on"),
                Err(error) => tracing::warn!(%error, "cannot look after the signing keys"),
            }
        };
        // What is under way is dropped: it is committed or it is not.
        tokio::select! {
            () = &mut stopped => return,
            () = tend => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use countersign_domain::{environment::Environment, id::Id, signing_key::SigningKey};
    use countersign_protocol::{
        entropy::SystemEntropy,
        secret::Secret,
        time::{Clock, Timestamp},
    };

    use super::*;
    use crate::{Parts, Settings, open};

    struct SetClock(AtomicI64);

    impl Clock for SetClock {
        fn now(&self) -> Timestamp {
            Timestamp::from_unix_seconds(self.0.load(Ordering::Relaxed))
        }
    }

    /// Ends when the keys of an environment have come to these states.
    async fn reached(app: &App, environment: Id<Environment>, states: &[&str]) {
        let state = |key: &SigningKey| key.state.name();
        loop {
            let keys = app.list_keys(environment).await.unwrap();
            if keys.iter().map(state).collect::<Vec<_>>() == states {
                return;
            }
        }
    }

    #[tokio::test]
    async fn what_is_due_happens_without_being_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.db");
        let clock = Arc::new(SetClock(AtomicI64::new(1_700_000_000)));
        let app = open(Parts {
            store: countersign_store::Settings::new(file.display().to_string()),
            key_encryption_key: Secret::new([1; 32]),
            clock: Arc::<SetClock>::clone(&clock),
            entropy: Arc::new(SystemEntropy),
            settings: Settings::new("https://id.example"),
        })
        .await
        .unwrap();
        let environment = app.create_environment("e").await.unwrap().id;
        clock.0.fetch_add(90 * 86_400, Ordering::Relaxed);
        let due = ["current", "current", "next", "next"];
        run(Arc::clone(&app), reached(&app, environment, &due)).await;
        clock.0.fetch_add(600, Ordering::Relaxed);
        let due = ["retired", "retired", "current", "current"];
        run(Arc::clone(&app), reached(&app, environment, &due)).await;
    }
}
