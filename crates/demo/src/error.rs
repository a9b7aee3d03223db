//! What can keep the demo from starting or going on.

use std::io;

use countersign_emulator::{BrowserError, PhoneError};
use countersign_server::app::{AdministerError, Fault};

/// Why something of the demo does not work.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// Its folder cannot be used.
    #[error("the folder of the demo cannot be used")]
    Folder(#[from] io::Error),
    /// A file in its folder is not what it was.
    #[error("{file} cannot be read")]
    File {
        /// Its name.
        file: String,
        /// Why.
        source: serde_json::Error,
    },
    /// The bank cannot be set up.
    #[error("the bank cannot be set up; if an earlier start broke off, begin anew with --fresh")]
    SetUp(#[from] AdministerError),
    /// A phone does not start.
    #[error(transparent)]
    Phone(#[from] PhoneError),
    /// A phone cannot reach anything.
    #[error("a phone has no network")]
    Network(String),
    /// A push service takes no more phones.
    #[error(transparent)]
    Push(#[from] countersign_emulator::push_service::installation::Full),
    /// The platform does not answer.
    #[error("the platform does not answer")]
    Browser(#[from] BrowserError),
    /// The platform is broken.
    #[error(transparent)]
    Fault(#[from] Fault),
}
