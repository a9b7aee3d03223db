//! Forgets what has ended: flows, grants, tickets and proofs that no longer count.

use std::{pin::pin, sync::Arc};

use countersign_domain::{flow::Flow, grant::Grant, pairing::Ticket};
use countersign_protocol::time::Timestamp;
use countersign_store::{StoreError, Tx, Work, machine, spent_proof};
use tokio::time::{MissedTickBehavior, interval};

use crate::app::App;

/// Sweeps every interval until `stopped`. A sweep that fails is told and tried again at the next.
pub(crate) async fn run(app: Arc<App>, stopped: impl Future<Output = ()>) {
    let mut stopped = pin!(stopped);
    let mut ticks = interval(app.settings().expiry_interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = &mut stopped => return,
            _ = ticks.tick() => {}
        }
        match sweep(&app).await {
            Ok(0) => {}
            Ok(rows) => tracing::debug!(rows, "forgot what has ended"),
            Err(error) => tracing::warn!(%error, "could not forget what has ended"),
        }
    }
}

/// One sweep over every table. Bounded, so that it never holds the writer for long.
pub(crate) async fn sweep(app: &App) -> Result<u64, StoreError> {
    app.store().write(Sweep { now: app.now(), batch: app.settings().expiry_batch.into() }).await
}

struct Sweep {
    now: Timestamp,
    batch: i64,
}

impl Work for Sweep {
    type Output = u64;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<u64, StoreError> {
        let Self { now, batch } = *self;
        let flows = machine::delete_expired::<Flow>(tx, now, batch).await?;
        let grants = machine::delete_expired::<Grant>(tx, now, batch).await?;
        let tickets = machine::delete_expired::<Ticket>(tx, now, batch).await?;
        let proofs = spent_proof::delete_expired(tx, now).await?;
        Ok(flows + grants + tickets + proofs)
    }
}
