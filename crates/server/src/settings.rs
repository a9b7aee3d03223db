//! Settings: every limit and address of the server, each with its default.

use std::time::Duration;

use countersign_domain::{
    invalid::{Check, Invalid},
    outbox,
    password::Requirements,
    session::Lifetimes,
    signing_key,
};
use ipnet::IpNet;

use crate::{hook, limits, mail, outbound, passwords};

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
    /// How long the server goes on answering when it stops while nothing is refused: clients that use their connections
    /// again are told to open another one, elsewhere. It ends as soon as there are no connections.
    pub linger: Duration,
    /// How long open connections may then finish what they do.
    pub drain_timeout: Duration,
    /// What a client may ask of a connection.
    pub connections: Connections,
    /// The sockets by which phones are told what they are asked.
    pub sockets: Sockets,
    /// Proxies whose word on the client's address counts (`X-Forwarded-For`).
    pub trusted_proxies: Vec<IpNet>,
    /// What a password that a person chooses must be.
    pub new_passwords: Requirements,
    /// Password hashing.
    pub passwords: passwords::Settings,
    /// How long sessions last.
    pub sessions: Lifetimes,
    /// Who may ask how often.
    pub limits: limits::Settings,
    /// Wrong user codes of devices that one environment takes on this node in a minute. The codes have 34 bits: at the default,
    /// and with a thousand of them waiting, somebody who guesses all the time finds one in a year and a half.
    pub user_code_guesses: u32,
    /// Wrong numeric pairing keys that one environment takes on this node in a minute. There are 10^12: at the default, and with a
    /// thousand keys that can be used all the time, somebody who guesses all the time finds one in sixty years.
    pub pairing_key_guesses: u32,
    /// Calls to addresses that clients have registered.
    pub outbound: outbound::Settings,
    /// Push services: where they are, and how long they may take.
    pub push: countersign_push::Settings,
    /// Whether a `DPoP` proof must repeat a nonce that the server has handed out (RFC 9449, section 8). It costs each client a
    /// second request every five minutes.
    pub dpop_nonce_required: bool,
    /// Mail, if passcodes go out by it.
    pub mail: Option<mail::Settings>,
    /// The hook for text messages and phone calls, if passcodes go out by it.
    pub hook: Option<hook::Settings>,
    /// How often and how long what must be sent after a commit is tried. A lease must outlast a call.
    pub outbox: outbox::Rules,
    /// Messages that this node sends at once, 1 to 1,000.
    pub outbox_concurrency: u32,
    /// The longest time between two looks for messages of other nodes, and of nodes that have died. What this node commits
    /// is sent at once.
    pub outbox_interval: Duration,
    /// Webhooks.
    pub subscriptions: Subscriptions,
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

/// Proxies between may not bear a request that is silent for longer.
const LONGEST_WAIT: Duration = Duration::from_secs(25);

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
            linger: Duration::from_millis(500),
            drain_timeout: Duration::from_secs(10),
            connections: Connections::default(),
            sockets: Sockets::default(),
            trusted_proxies: Vec::new(),
            new_passwords: Requirements::default(),
            passwords: passwords::Settings::default(),
            sessions: Lifetimes::default(),
            limits: limits::Settings::default(),
            user_code_guesses: 30,
            pairing_key_guesses: 30,
            outbound: outbound::Settings::default(),
            push: countersign_push::Settings::default(),
            dpop_nonce_required: false,
            mail: None,
            hook: None,
            outbox: outbox::Rules::default(),
            outbox_concurrency: 32,
            outbox_interval: Duration::from_secs(15),
            subscriptions: Subscriptions::default(),
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

    /// The longest that a request may wait for something to happen, so that its answer still comes in time.
    pub(crate) fn longest_wait(&self) -> Duration {
        self.request_timeout.saturating_sub(Duration::from_secs(2)).min(LONGEST_WAIT)
    }

    /// The bounds that the rest of the system relies on.
    pub(crate) fn validate(&self) -> Result<(), Invalid> {
        self.keys.validate()?;
        self.new_passwords.validate()?;
        self.subscriptions.validate()?;
        self.validate_outbox()
    }

    /// The bounds of the outbox.
    pub fn validate_outbox(&self) -> Result<(), Invalid> {
        self.outbox.validate()?;
        let mut check = Check::default();
        check.range(self.outbox_concurrency.into(), "outbox.concurrency", 1, 1_000);
        // Else a message would be sent again while it is being sent.
        let mail = self.mail.as_ref().map_or(Duration::ZERO, |mail| mail.timeout);
        let hook = self.hook.as_ref().map_or(Duration::ZERO, |hook| hook.timeout);
        let call = self.outbound.timeout.max(self.longest_push()).max(mail).max(hook);
        let call = i64::try_from(call.as_secs()).unwrap_or(i64::MAX);
        let lease = i64::from(self.outbox.lease_seconds);
        check.range(lease, "outbox.lease_seconds", call.saturating_add(5), 3_600);
        check.finish()
    }

    /// How long a push may take. Its service may have to be asked for an access token first.
    const fn longest_push(&self) -> Duration {
        let countersign_push::Settings { connect_timeout, request_timeout, .. } = &self.push;
        connect_timeout.saturating_add(request_timeout.saturating_mul(2))
    }

    /// Whether browsers talk to the server by TLS, so that cookies may insist on it.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.base_url.starts_with("https://")
    }
}

/// Limits of the connections that clients open, so that slow or many of them cost little.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// Open connections; more wait in the queue of the operating system.
    pub most: usize,
    /// Open connections from one address (IPv6: one /64); more are closed at once. Trusted proxies are exempt.
    pub most_per_address: usize,
    /// How long the head of a request may take from its first byte.
    pub header_timeout: Duration,
    /// How long a TLS handshake may take.
    pub handshake_timeout: Duration,
    /// How long a connection may wait for its next request, and for a client to read what was written.
    pub idle_timeout: Duration,
    /// The slowest that a request body may come, after a grace of five seconds, in bytes a second; 0: as slow as it likes.
    pub body_bytes_per_second: u32,
    /// Requests at a time on one HTTP/2 connection.
    pub streams: u32,
    /// HTTP/2 streams that a client may reset before the server has taken them up; more close the connection
    /// (CVE-2023-44487).
    pub resets: usize,
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            most: 8_192,
            most_per_address: 512,
            header_timeout: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            body_bytes_per_second: 1_024,
            streams: 100,
            resets: 20,
        }
    }
}

/// How webhooks are told of the audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscriptions {
    /// Time between two looks at what is new, at most 60 seconds.
    pub interval: Duration,
    /// How long a receiver may take to answer, at most 25 seconds: a node has a webhook for itself for no longer than it knows.
    pub timeout: Duration,
    /// Webhooks that this node tells at once, 1 to 1,000.
    pub concurrency: usize,
}

impl Default for Subscriptions {
    fn default() -> Self {
        Self { interval: Duration::from_secs(2), timeout: Duration::from_secs(10), concurrency: 16 }
    }
}

impl Subscriptions {
    fn validate(&self) -> Result<(), Invalid> {
        let seconds = |span: Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
        let mut check = Check::default();
        check.range(seconds(self.interval), "webhooks.interval_seconds", 0, 60);
        // A lease must outlast it.
        check.range(seconds(self.timeout), "webhooks.timeout_seconds", 0, 25);
        let concurrency = i64::try_from(self.concurrency).unwrap_or(i64::MAX);
        check.range(concurrency, "webhooks.concurrency", 1, 1_000);
        check.finish()
    }
}

/// Limits of the sockets by which phones are told what they are asked. Each holds a connection too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sockets {
    /// Open sockets on this node.
    pub most: usize,
    /// How long a phone may take to say who it is.
    pub proof_timeout: Duration,
    /// Time between two pings: shorter than what proxies and mobile networks bear without traffic.
    pub ping_interval: Duration,
    /// How long a phone may take to answer a ping, and to take what is sent.
    pub pong_timeout: Duration,
    /// How long a phone may take to answer a close. A server that ends waits for no longer.
    pub close_timeout: Duration,
    /// Time between two looks at what waits, in case a wake was lost with the node that should have sent it.
    pub look_interval: Duration,
}

impl Default for Sockets {
    fn default() -> Self {
        Self {
            most: 4_096,
            proof_timeout: Duration::from_secs(10),
            ping_interval: Duration::from_secs(25),
            pong_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(1),
            look_interval: Duration::from_secs(30),
        }
    }
}
