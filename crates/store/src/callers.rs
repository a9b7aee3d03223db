//! Limits how many callers are served or wait at a time.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

use crate::{StoreError, meter::Counter, meters::Queue};

pub(crate) struct Callers {
    places: Arc<Semaphore>,
    limit: u32,
    refused: Counter,
}

/// The place of one caller, free again when dropped.
pub(crate) type Place = OwnedSemaphorePermit;

impl Callers {
    pub fn new(limit: usize) -> Self {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX).min(1 << 20);
        Self {
            places: Arc::new(Semaphore::new(limit as usize)),
            limit,
            refused: Counter::default(),
        }
    }

    /// A place, if there is one: nobody waits here.
    pub fn admit(&self) -> Result<Place, StoreError> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|error| match error {
            TryAcquireError::NoPermits => {
                self.refused.add(1);
                StoreError::Busy
            }
            TryAcquireError::Closed => StoreError::unavailable("it is closed"),
        })
    }

    /// How many there are at the moment.
    pub fn queue(&self, name: &'static str) -> Queue {
        let limit = self.limit as usize;
        // A closed queue has no places and no callers.
        let callers = limit.saturating_sub(self.places.available_permits());
        let callers = if self.places.is_closed() { 0 } else { callers };
        Queue { name, callers, limit, refused: self.refused.get() }
    }

    /// Waits until the last caller has left and lets nobody in after.
    pub async fn close(&self) {
        let all = self.places.acquire_many(self.limit).await;
        self.places.close();
        drop(all);
    }
}
