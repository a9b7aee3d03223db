//! Settings: every limit and address of the server, each with its default.

use std::time::Duration;

use countersign_domain::{session::Lifetimes, signing_key};

use crate::{limits, outbound, passwords};

/// What the server is told when it is made.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Scheme and authority of every address that the server hands out, without a slash at the end: `https://id.example.org`.
    pub base_url: String,
    /// The most bytes of a request body.
    pub body_bytes: usize,
    /// The most bytes of path and query of a request.
    pub target_bytes: usize,
    /// The most bytes of the header fields of a request, names and values.
    pub header_bytes: usize,
    /// How long a request may take, body and answer, in all.
    pub request_timeout: Duration,
    /// How long open connections may finish what they do when the server stops.
    pub drain_timeout: Duration,
    /// Password hashing.
    pub passwords: passwords::Settings,
    /// How long sessions last.
    pub sessions: Lifetimes,
    /// Who may ask how often.
    pub limits: limits::Settings,
    /// Wrong user codes of devices that one environment takes on this node in a minute. The codes have 34 bits: at the default,
    /// and with a thousand of them waiting, somebody who guesses all the time finds one in a year and a half.
    pub user_code_guesses: u32,
    /// Calls to addresses that clients have registered.
    pub outbound: outbound::Settings,
    /// Whether a `DPoP` proof must repeat a nonce that the server has handed out (RFC 9449, section 8). It costs each client a
    /// second request every five minutes.
    pub dpop_nonce_required: bool,
    /// Rows that one sweep of the expiry worker deletes from one table.
    pub expiry_batch: u32,
    /// Time between two sweeps.
    pub expiry_interval: Duration,
    /// How long signing keys are published, before and after they sign, and after how many days they are replaced.
    pub keys: signing_key::Rules,
    /// Time between two looks at whether a signing key is due to be replaced.
    pub keys_interval: Duration,
    /// Time between two runs that seal the audit log.
    pub audit_seal_interval: Duration,
    /// The most records under one seal of the audit log.
    pub audit_seal_batch: u32,
    /// How long audit records are kept.
    pub audit_retention: Duration,
    /// Time between two runs that delete audit records that were kept long enough.
    pub audit_retention_interval: Duration,
}

impl Settings {
    /// The defaults for a server at this address.
    #[must_use]
    pub fn new(base_url: impl Into<String>) -> Self {
        Self {
            base_url: base_url.into(),
            body_bytes: 64 * 1024,
            target_bytes: 16 * 1024,
            header_bytes: 16 * 1024,
            request_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(10),
            passwords: passwords::Settings::default(),
            sessions: Lifetimes::default(),
            limits: limits::Settings::default(),
            user_code_guesses: 30,
            outbound: outbound::Settings::default(),
            dpop_nonce_required: false,
            expiry_batch: 1_000,
            expiry_interval: Duration::from_secs(30),
            keys: signing_key::Rules::default(),
            keys_interval: Duration::from_secs(30),
            audit_seal_interval: Duration::from_secs(5),
            audit_seal_batch: 2_000,
            audit_retention: Duration::from_hours(730 * 24),
            audit_retention_interval: Duration::from_hours(1),
        }
    }

    /// Whether browsers talk to the server by TLS, so that cookies may insist on it.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.base_url.starts_with("https://")
    }
}
