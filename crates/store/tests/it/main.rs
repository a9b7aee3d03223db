//! The store on both engines: what they must agree on, who wins a race, and what happens when something breaks.

#![cfg(test)]

#[macro_use]
mod engines;

mod audit_cost;
mod backup;
mod conformance;
mod faults;
mod gate;
mod lockouts;
mod machines;
mod meters;
mod migrations;
mod outbox;
mod races;
mod statements;
