//! The management API: what administrators set up.

mod applications;
mod attributes;
mod environments;
mod groups;
mod populations;
mod push_credentials;
mod roles;
mod users;
