//! What runs beside requests.

pub(crate) mod audit;
pub(crate) mod challenges;
pub(crate) mod expiry;
pub(crate) mod outbox;
pub(crate) mod rotation;
pub(crate) mod subscription;
