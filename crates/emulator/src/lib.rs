//! Stand-ins for what cannot run on a development machine: phones built on the real SDK, push services that reach them, a
//! browser, and a clock that can be put forward.

mod backend;
mod browser;
mod clock;
mod mail_server;
mod payload;
mod phone;
pub mod push_service;

pub use backend::{Backend, Reply};
pub use browser::{Browser, BrowserError, Page};
pub use clock::ShiftedClock;
pub use mail_server::{MailServer, MailServerError, ReceivedMail};
pub use payload::payload;
pub use phone::{Phone, PhoneConfig, PhoneError};
