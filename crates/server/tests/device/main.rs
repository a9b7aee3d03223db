//! Attacks on the device API: broken proofs, statements that come twice, and many that come at once.

#![cfg(test)]

#[path = "../database/mod.rs"]
mod database;
#[macro_use]
mod world;

mod draft;
mod pairing;
mod proofs;
mod races;
mod scene;
mod shapes;
mod single_use;
