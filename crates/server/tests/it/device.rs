//! `/{environment}/device/v1`: what phones do, by the real SDK.

mod authorization;
mod pairing;
mod proofs;
mod time;
