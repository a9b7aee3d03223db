//! A transport for systems that bring none.

#[cfg(feature = "reqwest")]
mod reqwest;

#[cfg(feature = "reqwest")]
pub use self::reqwest::{CertificateError, ReqwestTransport};
