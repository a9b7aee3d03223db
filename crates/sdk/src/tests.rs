//! The SDK against a platform in memory that really verifies and really signs.

mod clock;
mod errors;
mod id_token;
mod pairing;
pub mod platform;
mod users;
mod world;
