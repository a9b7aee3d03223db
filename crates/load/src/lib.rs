//! Phones and clients in great number, and what is measured of the server under them.
//!
//! A scenario is one module with one round of one client: [`device_authorization`]. [`drive`] plays it over many
//! connections at once and looks at the server's process meanwhile; [`floor`] measures the cryptography of the same round
//! alone, so that the distance between the two is known. [`bank`] sets up whom the rounds are about.

pub mod bank;
pub mod connection;
pub mod device_authorization;
pub mod disk;
pub mod drive;
pub mod error;
pub mod figures;
pub mod floor;
pub mod group_commit;
pub mod phone;
pub mod process;
pub mod seed;
pub mod stopwatch;

pub use error::LoadError;
