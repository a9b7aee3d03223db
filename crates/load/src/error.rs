//! Why a measurement, or what it needs, did not come about.

use std::io;

use countersign_server::{
    ServeError,
    app::{AdministerError, PushCredentialsError},
};
use countersign_store::StoreError;

/// Why a measurement did not come about. A figure from a run in which something failed would be worth nothing, so the first
/// failure ends the run.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The server does not answer.
    #[error("no answer: {0}")]
    Http(#[from] hyper::Error),
    /// A request cannot be written.
    #[error("not a request: {0}")]
    Request(#[from] hyper::http::Error),
    /// A file, a process or a connection cannot be used.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// What was set up cannot be read or written.
    #[error("not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The data cannot be seeded.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The data cannot be seeded.
    #[error(transparent)]
    Administer(#[from] AdministerError),
    /// The push credentials cannot be stored.
    #[error(transparent)]
    PushCredentials(#[from] PushCredentialsError),
    /// The data cannot be seeded or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A key cannot be made or used.
    #[error("a key cannot be used")]
    Key,
    /// The server says something else than expected.
    #[error("{what}: status {status}, {body}")]
    Unexpected { what: &'static str, status: u16, body: String },
    /// The server takes longer than a round may.
    #[error("a round took longer than {0} s")]
    Slow(u64),
    /// Something else, in words.
    #[error("{0}")]
    Other(String),
}

impl LoadError {
    /// In words.
    pub fn other(what: impl Into<String>) -> Self {
        Self::Other(what.into())
    }
}
