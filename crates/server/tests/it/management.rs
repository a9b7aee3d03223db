//! The management API: what administrators set up.

mod activities;
mod environments;
mod groups;
mod populations;
mod roles;
mod subscriptions;
mod users;
