//! Tells subscriptions of the audit log.

use std::{pin::pin, sync::Arc};

use countersign_domain::{
    audit::Part, environment::Environment, id::Id, subscription::Subscription,
};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use crate::{
    app::{App, Fault, Origin},
    telemetry::Worker,
};

/// Looks every interval until `stopped`, and then lets the calls that are under way end.
pub(crate) async fn run(app: Arc<App>, stopped: impl Future<Output = ()>) {
    let mut stopped = pin!(stopped);
    let meter = app.metrics().worker("subscriptions");
    let mut telling = JoinSet::new();
    let mut looks = interval(app.settings().subscriptions.interval);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let look = async {
            looks.tick().await;
            if let Err(error) = begin(&app, &mut telling, &meter).await {
                meter.failed();
                tracing::warn!(%error, "cannot look for webhooks");
            }
        };
        tokio::select! {
            () = &mut stopped => break,
            () = look => {}
        }
    }
    // Each call has its time limit, and no run begins another one when the server stops.
    while telling.join_next().await.is_some() {}
}

/// Begins a run for each subscription. One whose last run has not ended is passed over.
async fn begin(
    app: &Arc<App>,
    telling: &mut JoinSet<()>,
    meter: &Arc<Worker>,
) -> Result<(), Fault> {
    let mut after = None;
    loop {
        let page = app.list_enabled_subscriptions(after).await?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = Some(*last);
        for (id, environment) in page {
            while telling.len() >= app.settings().subscriptions.concurrency {
                telling.join_next().await;
            }
            telling.spawn(tell(Arc::clone(app), Arc::clone(meter), (id, environment)));
        }
        while telling.try_join_next().is_some() {}
    }
}

async fn tell(
    app: Arc<App>,
    meter: Arc<Worker>,
    (id, environment): (Id<Subscription>, Id<Environment>),
) {
    let told = app.deliver_subscription(id, environment);
    match Origin::part(Part::Worker).scope(told).await {
        Ok(records) => meter.ran(app.now(), records),
        Err(error) => {
            meter.failed();
            tracing::warn!(%error, subscription = %id, "cannot tell a webhook of the audit log");
        }
    }
}
