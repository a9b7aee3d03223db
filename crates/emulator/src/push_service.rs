//! Emulated push services: APNs and FCM over real TLS, with their checks, their answers, and the faults that they are seen to have.
//!
//! A test starts [`apns::ApnsServer`] or [`fcm::FcmServer`] in its own process, installs an app to get a token, and waits for what
//! is pushed to it. `countersign emulator` runs both for an operator; [`admin`] is then the way to the phones and the faults.
//! docs/emulator.md explains all of it.

pub mod admin;
pub mod apns;
pub mod authority;
pub mod credentials;
pub mod fault;
pub mod fcm;
pub mod installation;
mod listener;
pub mod mailbox;

use std::sync::Arc;

use countersign_protocol::entropy::{Entropy, random};
use countersign_protocol::time::Clock;

use self::authority::{Authority, AuthorityError};

/// What the services of one emulator share.
#[derive(Clone)]
pub struct Host {
    /// Vouches for their certificates.
    pub authority: Arc<Authority>,
    /// Their time.
    pub clock: Arc<dyn Clock>,
    /// Their randomness, of tokens and message ids.
    pub entropy: Arc<dyn Entropy>,
}

/// One of the emulated services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Apple Push Notification service.
    Apns,
    /// Firebase Cloud Messaging, HTTP v1.
    Fcm,
}

/// Why an emulated service does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken or not of this machine.
    #[error("cannot listen on {0}: {1}")]
    Listen(std::net::SocketAddr, #[source] std::io::Error),
    /// There is no certificate.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
}

/// Bytes in lower-case hexadecimal.
fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A random UUID (RFC 9562 section 5.4).
fn uuid(entropy: &dyn Entropy) -> String {
    uuid::Builder::from_random_bytes(random(entropy)).into_uuid().to_string()
}
