//! What runs beside requests.

pub(crate) mod expiry;
pub(crate) mod outbox;
pub(crate) mod rotation;
