//! Sends what is in the outbox, as soon as it is committed.

use std::{pin::pin, sync::Arc, time::Duration};

use countersign_domain::audit::Part;
use countersign_protocol::time::Timestamp;
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, sleep},
};

use crate::{
    app::{App, Fault, Origin},
    telemetry::Worker,
};

/// Sends until `stopped`, and then ends what is under way. It looks when a commit of this node wakes it, when the next message is
/// due, and every interval, for what other nodes have left.
pub(crate) async fn run(app: Arc<App>, stopped: impl Future<Output = ()>) {
    let mut stopped = pin!(stopped);
    let mut sending = JoinSet::new();
    let meter = app.metrics().worker("outbox");
    if let Err(error) = app.take_over_messages().await {
        tracing::warn!(%error, "cannot take over what a process of before has left to send");
    }
    let mut looks = tokio::time::interval(interval(&app));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let free = places(&app, &sending);
        let wait = match free {
            0 => interval(&app),
            _ => begin(&app, &mut sending, free, &meter).await,
        };
        tokio::select! {
            () = &mut stopped => break,
            () = app.store().outbox_woken() => {}
            Some(_) = sending.join_next() => {}
            () = sleep(wait) => {}
            _ = looks.tick() => measure(&app, &meter).await,
        }
        // Those that ended together make room together.
        while sending.try_join_next().is_some() {}
    }
    // Each has its time limit. What does not end before the server does is sent again by whoever comes next.
    while sending.join_next().await.is_some() {}
}

fn places(app: &App, sending: &JoinSet<()>) -> u32 {
    let taken = u32::try_from(sending.len()).unwrap_or(u32::MAX);
    app.settings().outbox_concurrency.saturating_sub(taken)
}

fn interval(app: &App) -> Duration {
    app.settings().outbox_interval
}

/// Begins to send as many as there are places for, and tells how long there is nothing more to begin.
async fn begin(app: &Arc<App>, sending: &mut JoinSet<()>, free: u32, meter: &Worker) -> Duration {
    let due = match app.lease_messages(free).await {
        Ok(due) => due,
        Err(error) => {
            meter.failed();
            tracing::warn!(%error, "cannot look into the outbox");
            return interval(app);
        }
    };
    meter.ran(app.now(), due.leased.len() as u64);
    let is_full = due.leased.len() >= free as usize;
    for leased in due.leased {
        let app = Arc::clone(app);
        sending.spawn(async move {
            let sending = Origin::part(Part::Worker).scope(app.send_message(leased));
            let sent: Result<(), Fault> = sending.await;
            if let Err(error) = sent {
                tracing::warn!(%error, "cannot tell what became of a message");
            }
        });
    }
    // Without a place nothing can begin, however much is due.
    if is_full { interval(app) } else { until(app, due.next_at) }
}

/// Tells how much there is to be sent, by this node and by others.
async fn measure(app: &App, meter: &Worker) {
    match app.outbox_depth().await {
        Ok(depth) => meter.left(depth.messages),
        Err(error) => tracing::warn!(%error, "cannot measure the outbox"),
    }
}

fn until(app: &App, next_at: Option<Timestamp>) -> Duration {
    let Some(at) = next_at else { return interval(app) };
    let micros = at.micros().saturating_sub(app.now().micros()).max(MIN_WAIT_MICROS);
    Duration::from_micros(micros.unsigned_abs()).min(interval(app))
}

/// Of two nodes that want the same messages one may get none, and should not ask again at once.
const MIN_WAIT_MICROS: i64 = 10_000;
