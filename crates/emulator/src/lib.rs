//! Stand-ins for what cannot run on a development machine: phones built on the real SDK, a browser, and a clock that can
//! be put forward.

mod browser;
mod clock;
mod phone;

pub use browser::{Browser, BrowserError, Page};
pub use clock::ShiftedClock;
pub use phone::{Phone, PhoneConfig, PhoneError};
