//! What the SDK asks of the system it runs on: five traits, injected once.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use countersign_protocol::entropy::Entropy;
use countersign_protocol::jwk::EcPublicKey;
use countersign_protocol::secret::Secret;
use countersign_protocol::time::Clock;

/// The most bytes of an answer's body that the SDK reads.
pub const MAX_BODY_BYTES: usize = 256 * 1024;

/// The system that the SDK runs on.
#[derive(Clone)]
pub struct Platform {
    /// Sends requests.
    pub transport: Arc<dyn Transport>,
    /// Holds the keys of the installation.
    pub key_store: Arc<dyn KeyStore>,
    /// Keeps what must survive a restart.
    pub storage: Arc<dyn Storage>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Gives random bytes.
    pub entropy: Arc<dyn Entropy>,
}

impl fmt::Debug for Platform {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Platform").finish_non_exhaustive()
    }
}

/// The most bytes of a message on a socket that the SDK reads.
pub const MAX_MESSAGE_BYTES: usize = MAX_BODY_BYTES;

/// Sends HTTP requests. Follows no redirect, checks certificates, reads at most [`MAX_BODY_BYTES`],
/// and gives up after a while, which [`Request::wait_seconds`] makes longer: the SDK itself never waits.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends `request` once.
    async fn send(&self, request: Request) -> Result<Response, TransportError>;

    /// Opens a WebSocket (RFC 6455) at `url`, `wss://...`, that speaks the subprotocol `protocol` and no other. It checks
    /// certificates as [`Self::send`] does, sends no `Origin`, and gives up after a while.
    ///
    /// A transport that has none leaves this out: the SDK then asks for what a socket would have told.
    async fn open_socket(
        &self,
        url: &str,
        protocol: &str,
    ) -> Result<Box<dyn Socket>, TransportError> {
        let _ = (url, protocol);
        Err(TransportError::NoSockets)
    }
}

/// An open WebSocket. It answers pings by itself, and notices when the other side is silent for more than a minute: the
/// platform pings every 25 seconds.
#[async_trait]
pub trait Socket: Send {
    /// Sends a text message.
    async fn send_text(&mut self, text: &str) -> Result<(), TransportError>;

    /// Waits for the next text message, of at most [`MAX_MESSAGE_BYTES`]. A wait that is given up loses no message.
    async fn receive_text(&mut self) -> Result<Received, TransportError>;

    /// Closes it politely, without waiting for long.
    async fn close(&mut self);
}

/// What comes by a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// A message.
    Text(String),
    /// The platform has closed the socket.
    Closed {
        /// Why (RFC 6455 section 7.4), if it has said so.
        code: Option<u16>,
    },
}

/// An HTTP request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What to do.
    pub method: Method,
    /// Where: an absolute URL.
    pub url: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// Empty for GET.
    pub body: Vec<u8>,
    /// For how many seconds the platform was asked to hold its answer back. The transport's time limit is longer by them.
    pub wait_seconds: u8,
}

/// An HTTP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Read.
    Get,
    /// State something.
    Post,
}

/// An HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Names, in any case, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// The value of the header `name`, in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// The request may or may not have arrived.
    #[error("no answer: {0}")]
    NoAnswer(String),
    /// The transport has no sockets.
    #[error("the transport has no sockets")]
    NoSockets,
    /// The server could not prove who it is.
    #[error("the server is not trusted: {0}")]
    NotTrusted(String),
    /// The answer is longer than [`MAX_BODY_BYTES`].
    #[error("the answer is longer than {MAX_BODY_BYTES} bytes")]
    TooLong,
}

/// Holds the P-256 keys of the installation; the private halves need never leave it.
#[async_trait]
pub trait KeyStore: Send + Sync {
    /// The public halves. Makes the keys when there are none.
    async fn ensure(&self) -> Result<PublicKeys, KeyStoreError>;

    /// The ES256 signature of `message` by the possession key: r and s, 64 bytes (RFC 7518 section
    /// 3.4). Asks nobody.
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyStoreError>;

    /// The ES256 signature of `message` by the user-verification key, in the form of that of [`Self::sign`], once the store
    /// itself has verified the person: by finger, face or the code of the phone.
    ///
    /// `reason` is what to show meanwhile: the text of the challenge, in the language of the phone, or [`PAIRING_REASON`].
    ///
    /// # Errors
    /// [`KeyStoreError::NotVerified`] when the person refused, failed or did nothing for too long.
    async fn sign_verified(&self, message: &[u8], reason: &str) -> Result<Vec<u8>, KeyStoreError>;

    /// What the agreement key and `peer` agree on: the x coordinate (SEC 1 section 3.3.1).
    async fn agree(&self, peer: &EcPublicKey) -> Result<Secret<[u8; 32]>, KeyStoreError>;

    /// Forgets all keys. The next [`Self::ensure`] makes another installation.
    async fn wipe(&self) -> Result<(), KeyStoreError>;
}

/// The public halves of an installation's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKeys {
    /// Signs every proof; its thumbprint names the installation.
    pub possession: EcPublicKey,
    /// What the platform seals to.
    pub agreement: EcPublicKey,
    /// Signs approvals, when the person was verified; `None` when the phone cannot verify its user. Then nothing is approved
    /// on it.
    pub verification: Option<EcPublicKey>,
}

/// The reason that a key store is given at pairing. The SDK has no texts of its own, so a store for people knows this one and
/// shows the app's in its place.
pub const PAIRING_REASON: &str = "countersign.reason.pairing";

/// Why a key store does not do what it is asked to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyStoreError {
    /// It cannot.
    #[error("the key store failed: {0}")]
    Failed(String),
    /// It could not verify the person.
    #[error("the person was not verified")]
    NotVerified,
}

/// Keeps small named blobs. They hold passcode seeds, so an implementation encrypts them at rest.
///
/// Not async, because the state is locked while it is saved: an implementation writes a local file
/// and no more.
pub trait Storage: Send + Sync {
    /// The blob `name`, if there is one.
    fn load(&self, name: &str) -> Result<Option<Secret<Vec<u8>>>, StorageError>;

    /// Replaces the blob `name` wholly or, on failure, not at all.
    fn save(&self, name: &str, blob: &[u8]) -> Result<(), StorageError>;

    /// Removes the blob `name`, if there is one.
    fn delete(&self, name: &str) -> Result<(), StorageError>;
}

/// A storage that cannot do what it is asked to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the storage failed: {0}")]
pub struct StorageError(pub String);
