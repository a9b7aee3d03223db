//! What runs beside requests.

pub(crate) mod expiry;
