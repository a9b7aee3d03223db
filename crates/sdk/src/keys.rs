//! The platform's public keys: found through discovery, kept for a day, asked for again when a new
//! one turns up.

use std::sync::{Arc, Mutex};

use countersign_protocol::challenge::StatementError;
use countersign_protocol::device_api::ServerTimeError;
use countersign_protocol::id_token::IdTokenError;
use countersign_protocol::jwk::JwkSet;
use countersign_protocol::platform_token::TokenError;
use countersign_protocol::time::Timestamp;
use serde::Deserialize;
use url::Url;

use crate::error::Error;
use crate::installation::{Installation, lock};

/// A withdrawn key is forgotten after this long at the latest.
const MAX_AGE_SECONDS: i64 = 24 * 60 * 60;

/// Tokens with invented key ids cannot make the SDK ask more often than this.
const MIN_INTERVAL_SECONDS: i64 = 60;

/// The keys of one issuer.
pub struct PlatformKeys {
    issuer: String,
    fetched: Mutex<Option<Fetched>>,
}

#[derive(Clone)]
struct Fetched {
    keys: Arc<JwkSet>,
    at: Timestamp,
}

/// What OpenID Connect Discovery publishes, as far as it is used here.
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

impl PlatformKeys {
    pub fn new(issuer: &str) -> Self {
        Self { issuer: issuer.to_owned(), fetched: Mutex::new(None) }
    }

    /// The keys, fetched only when none are known or those known are a day old.
    pub async fn known(&self, installation: &Installation) -> Result<Arc<JwkSet>, Error> {
        match self.younger_than(MAX_AGE_SECONDS, installation) {
            Some(keys) => Ok(keys),
            None => self.fetch(installation).await,
        }
    }

    /// The keys as they are now, unless that was asked less than a minute ago.
    pub async fn newer(&self, installation: &Installation) -> Result<Option<Arc<JwkSet>>, Error> {
        match self.younger_than(MIN_INTERVAL_SECONDS, installation) {
            Some(_) => Ok(None),
            None => self.fetch(installation).await.map(Some),
        }
    }

    fn younger_than(&self, seconds: i64, installation: &Installation) -> Option<Arc<JwkSet>> {
        let fetched = lock(&self.fetched).clone()?;
        // A clock that was set back makes the age negative, and the keys old.
        let age = installation.platform.clock.now().seconds_since(fetched.at);
        (0..seconds).contains(&age).then_some(fetched.keys)
    }

    async fn fetch(&self, installation: &Installation) -> Result<Arc<JwkSet>, Error> {
        let discovery: Discovery =
            installation.fetch(format!("{}/.well-known/openid-configuration", self.issuer)).await?;
        check(&discovery, &self.issuer)?;
        let keys: Arc<JwkSet> = Arc::new(installation.fetch(discovery.jwks_uri).await?);
        let at = installation.platform.clock.now();
        *lock(&self.fetched) = Some(Fetched { keys: Arc::clone(&keys), at });
        Ok(keys)
    }
}

/// OpenID Connect Discovery section 4.3: the issuer must be the one asked. The keys come from the
/// same origin, so they are under the same certificate.
fn check(discovery: &Discovery, issuer: &str) -> Result<(), Error> {
    if discovery.issuer != issuer {
        return Err(Error::Discovery(format!("issuer must be {issuer}")));
    }
    let origin = |text| Url::parse(text).map(|url| url.origin());
    match (origin(&discovery.jwks_uri), origin(issuer)) {
        (Ok(keys), Ok(own)) if keys == own => Ok(()),
        _ => Err(Error::Discovery("jwks_uri must be of the issuer's origin".to_owned())),
    }
}

/// An error that may come from a key set being too old.
pub trait KeySetError {
    /// What is wrong with the token as such.
    fn token(&self) -> Option<&TokenError>;
}

impl KeySetError for IdTokenError {
    fn token(&self) -> Option<&TokenError> {
        match self {
            Self::Token(error) => Some(error),
            _ => None,
        }
    }
}

impl KeySetError for ServerTimeError {
    fn token(&self) -> Option<&TokenError> {
        match self {
            Self::Token(error) => Some(error),
            _ => None,
        }
    }
}

impl KeySetError for StatementError {
    fn token(&self) -> Option<&TokenError> {
        match self {
            Self::Token(error) => Some(error),
            Self::Compact(_) | Self::NotOurs => None,
        }
    }
}
