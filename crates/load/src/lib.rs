//! Phones and clients in great number, and what is measured of the server under them.
//!
//! A scenario is one module with one round of one client: [`device_authorization`], [`push_round`], [`code_flow`], [`refresh`],
//! [`client_credentials`]. [`drive`] plays it over many
//! connections at once and looks at the server's process meanwhile; [`acknowledgement`], [`waiting`] and [`apns`] measure what is no
//! round: how soon a flow goes on, what many that wait cost, what one connection to a push service carries. [`floor`] measures the cryptography of the same round
//! alone, so that the distance between the two is known. [`bank`] is whom the rounds are about; [`seed`] sets it up. [`crash`] kills
//! the server under load, or takes the ground away below it, and holds what it says afterwards against what it said before.

pub mod acknowledgement;
pub mod apns;
pub mod asked;
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
pub mod push_round;
pub mod refresh;
pub mod seed;
pub mod stopwatch;
pub mod waiting;

pub use error::LoadError;
