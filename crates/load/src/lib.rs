//! Phones and clients in great number, and what is measured of the server under them.
//!
//! A scenario is one module with one round of one client: [`device_authorization`], [`code_flow`], [`refresh`],
//! [`client_credentials`]. [`drive`] plays it over many
//! connections at once and looks at the server's process meanwhile; [`floor`] measures the cryptography of the same round
//! alone, so that the distance between the two is known. [`bank`] is whom the rounds are about; [`seed`] sets it up. [`crash`] kills
//! the server under load, or takes the ground away below it, and holds what it says afterwards against what it said before.

pub mod bank;
pub mod client_credentials;
pub mod code_flow;
pub mod connection;
pub mod crash;
pub mod device_authorization;
pub mod disk;
pub mod drive;
pub mod error;
pub mod figures;
pub mod floor;
pub mod group_commit;
pub mod phone;
pub mod process;
pub mod refresh;
pub mod seed;
pub mod stopwatch;

pub use error::LoadError;
