//! The management API: what administrators set up.

mod environments;
mod populations;
mod roles;
mod users;
