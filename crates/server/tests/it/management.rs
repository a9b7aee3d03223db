//! The management API: what administrators set up.

mod populations;
mod roles;
