//! The management API: what administrators set up.

mod access_control;
mod activities;
mod applications;
mod attributes;
mod devices;
mod environments;
mod groups;
mod keys;
mod mfa_policies;
mod mfa_settings;
mod populations;
mod push_credentials;
mod resources;
mod roles;
mod sessions;
mod sign_on_policies;
mod subscriptions;
mod users;
