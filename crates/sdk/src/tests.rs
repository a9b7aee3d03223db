//! The SDK against a platform in memory that really verifies and really signs.

mod authentication;
mod clock;
mod device_log;
mod errors;
mod id_token;
mod notification_stream;
mod notifications;
mod pairing;
mod pairing_key;
pub mod platform;
mod pull;
mod push_address;
mod push_test;
mod users;
mod world;
