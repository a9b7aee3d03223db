//! Ends challenges that nobody has answered in time, and wakes who waits for what other nodes have changed.

use std::{pin::pin, sync::Arc, time::Duration};

use countersign_domain::audit::Part;
use countersign_store::Engine;
use tokio::time::{MissedTickBehavior, interval};

use crate::app::{App, Fault, Heard, Origin};

/// How often overdue challenges are looked for. Whoever waits for one ends it to the moment; this is for those that nobody
/// waits for.
const OVERDUE_INTERVAL: Duration = Duration::from_secs(1);

/// How often changes of other nodes are looked for: whoever waits goes on within 250 ms of them.
const WAKE_INTERVAL: Duration = Duration::from_millis(200);

/// Works until `stopped`.
pub(crate) async fn run(app: Arc<App>, stopped: impl Future<Output = ()>) {
    let mut stopped = pin!(stopped);
    let mut overdue = interval(OVERDUE_INTERVAL);
    let mut woken = interval(WAKE_INTERVAL);
    overdue.set_missed_tick_behavior(MissedTickBehavior::Delay);
    woken.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard = Heard::default();
    let meter = app.metrics().worker("challenges");
    let shares = app.store().engine() == Engine::Postgres;
    loop {
        let work = async {
            tokio::select! {
                _ = overdue.tick() => {
                    let end = async {
                        Ok(app.end_all_overdue().await? + app.expire_authentication_codes().await?)
                    };
                    let ended: Result<u64, Fault> = Origin::part(Part::Worker).scope(end).await;
                    match ended {
                        Ok(ended) => meter.ran(app.now(), ended),
                        Err(error) => {
                            meter.failed();
                            tracing::warn!(%error, "cannot end challenges that are overdue");
                        }
                    }
                }
                _ = woken.tick(), if shares => {
                    if let Err(error) = app.wake_for_others(&mut heard).await {
                        tracing::warn!(%error, "cannot see what other nodes change");
                    }
                }
            }
        };
        // What is under way is dropped: it is committed or it is not.
        tokio::select! {
            () = &mut stopped => return,
            () = work => {}
        }
    }
}
