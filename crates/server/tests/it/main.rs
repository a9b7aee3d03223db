//! The whole server, from request to database: what applications, people and phones see of it.

#![cfg(test)]
#![expect(clippy::large_futures, reason = "a test holds a whole world, and runs once")]

#[path = "../database/mod.rs"]
mod database;
#[macro_use]
mod world;

mod abuse;
mod account;
mod administrators;
mod answers;
mod assets;
mod audit;
mod authentication_code;
mod bars;
mod conformance;
mod console;
mod device;
mod device_authentication;
mod endpoints;
mod flows;
mod fuzz;
mod keys;
mod listener;
mod management;
mod oidc;
mod pairing_key;
mod phone_sign_on;
mod push;
mod signon;
mod telemetry;
