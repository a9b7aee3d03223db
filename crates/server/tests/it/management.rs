//! The management API: what administrators set up.

mod applications;
mod environments;
mod groups;
mod populations;
mod roles;
mod users;
