//! Stand-ins for what cannot run on a development machine: phones built on the real SDK, and a
//! browser.

mod browser;
mod phone;

pub use browser::{Browser, BrowserError, Page};
pub use phone::{Phone, PhoneConfig, PhoneError};
