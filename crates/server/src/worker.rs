//! What runs beside requests.

pub(crate) mod expiry;
pub(crate) mod rotation;
