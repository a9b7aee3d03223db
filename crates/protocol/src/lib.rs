//! What an installation and the platform say to each other: `docs/device-protocol.md` as code,
//! without I/O.
//!
//! Start at [`proof`] (how a statement is signed and checked), then [`mobile_payload`], [`pairing`]
//! and [`device_api`] (what is stated). [`id_token`] is what the phone checks in return.

pub mod authentication_code;
pub mod challenge;
pub mod device_api;
pub mod device_log;
pub mod encoding;
pub mod entropy;
pub mod id_token;
pub mod jose;
pub mod json;
pub mod jwk;
pub mod mobile_payload;
pub mod otp;
pub mod pairing;
pub mod pairing_key;
pub mod platform_token;
pub mod private_key;
pub mod proof;
pub mod push;
pub mod secret;
pub mod seed;
pub mod time;

#[cfg(test)]
mod fixture;
