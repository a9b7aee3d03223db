//! Seals the audit log of every environment, and deletes what was kept long enough.

use std::{pin::pin, sync::Arc, time::Duration};

use countersign_domain::{audit::Part, environment::Environment, id::Id};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::app::{App, Fault, Origin};

/// Runs until `stopped`. A run that fails is told and tried again at the next.
pub(crate) async fn run(app: Arc<App>, stopped: impl Future<Output = ()>) {
    let mut stopped = pin!(stopped);
    let mut seals = ticks(app.settings().audit_seal_interval);
    let mut deletions = ticks(app.settings().audit_retention_interval);
    loop {
        let task = tokio::select! {
            () = &mut stopped => return,
            _ = seals.tick() => Task::Seal,
            _ = deletions.tick() => Task::Delete,
        };
        let done = Origin::part(Part::Worker).scope(every_environment(&app, task));
        let done = tokio::select! {
            () = &mut stopped => return,
            done = done => done,
        };
        match done {
            Ok(0) => {}
            Ok(records) => tracing::debug!(?task, records, "took care of the audit log"),
            Err(error) => tracing::warn!(?task, %error, "could not take care of the audit log"),
        }
    }
}

fn ticks(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

#[derive(Clone, Copy, Debug)]
enum Task {
    Seal,
    Delete,
}

/// Does the task for one environment after the other, and returns how many records it has sealed or deleted.
async fn every_environment(app: &App, task: Task) -> Result<u64, Fault> {
    let (mut after, mut records) = (None, 0);
    loop {
        let page = app.list_environments(after).await?;
        let Some(last) = page.last() else { return Ok(records) };
        after = Some(*last);
        for environment in page {
            records += one(app, task, environment).await?;
        }
    }
}

async fn one(app: &App, task: Task, environment: Id<Environment>) -> Result<u64, Fault> {
    match task {
        Task::Seal => app.seal_audit(environment).await,
        Task::Delete => app.retain_audit(environment).await,
    }
}
