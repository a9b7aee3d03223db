//! The token that opens APNs (Apple: Establishing a token-based connection to APNs).

use std::sync::{Mutex, PoisonError};

use countersign_protocol::time::{Clock, Timestamp};
use http::HeaderValue;
use serde_json::json;

use super::account::Account;
use crate::jwt;

/// A token older than an hour is refused, one that lives shorter than 20 minutes is taken for abuse.
const RENEWED_AFTER_SECONDS: i64 = 50 * 60;
const KEPT_FOR_SECONDS: i64 = 20 * 60;
/// A token from further in the future was made before the clock was put right.
const CLOCK_TOLERANCE_SECONDS: i64 = 60;

/// Makes the tokens of one account and says which one is to be used. All its connections share it.
pub struct ProviderTokens {
    current: Mutex<Option<ProviderToken>>,
}

/// One token.
#[derive(Debug, Clone)]
pub struct ProviderToken {
    /// The value of `authorization`. Marked as sensitive, so it is not printed.
    pub header: HeaderValue,
    issued_at: Timestamp,
}

impl ProviderTokens {
    pub const fn new() -> Self {
        Self { current: Mutex::new(None) }
    }

    /// The token to use now. `None`: it could not be made a header, which the account's rules exclude.
    pub fn current(&self, account: &Account, clock: &dyn Clock) -> Option<ProviderToken> {
        self.with_current(clock, |current, now| match current {
            Some(token) if token.is_usable(now) => Some(token.clone()),
            _ => {
                *current = issue(account, now);
                current.clone()
            }
        })
    }

    /// Another token instead of one that APNs says has expired. `None`: it cannot have, so the fault is elsewhere.
    pub fn instead_of(
        &self,
        refused: &ProviderToken,
        account: &Account,
        clock: &dyn Clock,
    ) -> Option<ProviderToken> {
        self.with_current(clock, |current, now| {
            if let Some(token) = current.as_ref().filter(|token| token.header != refused.header) {
                return Some(token.clone());
            }
            if now.seconds_since(refused.issued_at) < KEPT_FOR_SECONDS {
                return None;
            }
            *current = issue(account, now);
            current.clone()
        })
    }

    /// Reads the clock under the lock, so that what a slow thread read before another's renewal renews nothing.
    fn with_current<T>(
        &self,
        clock: &dyn Clock,
        decide: impl FnOnce(&mut Option<ProviderToken>, Timestamp) -> T,
    ) -> T {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        decide(&mut current, clock.now())
    }
}

impl ProviderToken {
    fn is_usable(&self, now: Timestamp) -> bool {
        let age = now.seconds_since(self.issued_at);
        (-CLOCK_TOLERANCE_SECONDS..RENEWED_AFTER_SECONDS).contains(&age)
    }
}

fn issue(account: &Account, now: Timestamp) -> Option<ProviderToken> {
    let header = json!({ "alg": "ES256", "kid": account.key_id });
    let claims = json!({ "iss": account.team_id, "iat": now.unix_seconds() });
    let token = jwt::es256(&account.private_key, &header, &claims);
    let mut header = HeaderValue::try_from(format!("bearer {token}")).ok()?;
    header.set_sensitive(true);
    Some(ProviderToken { header, issued_at: now })
}
