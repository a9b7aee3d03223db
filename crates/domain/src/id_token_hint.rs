//! `id_token_hint`: one of our own ID tokens, which comes back to say who is meant (OIDC Core, section 3.1.2.1).

use countersign_protocol::{id_token, jwk::JwkSet, platform_token, time::Timestamp};
use serde::Deserialize;

use crate::{application::Application, id::Id, user::User};

/// How long after it was issued a token still counts as a hint, in seconds: 90 days. That it has expired is no matter
/// (OIDC RP-Initiated Logout, section 2), since it opens nothing.
pub const MAX_SECONDS: i64 = 90 * 86_400;

/// Whom a hint names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdTokenHint {
    /// The user.
    pub user: Id<User>,
    /// The session, if the token names one.
    pub session: Option<String>,
    /// The `acr` of the sign-on.
    pub acr: Option<String>,
    /// The application that the token was made for.
    pub application: Id<Application>,
}

/// Why a hint does not count. The text names the claim and the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not an ID token, or not signed by this environment.
    #[error("must be an ID token that was signed here")]
    NotOurs,
    /// Of another environment.
    #[error("iss must be this issuer")]
    OtherIssuer,
    /// Made for another application.
    #[error("aud must be the client_id")]
    OtherApplication,
    /// Too old.
    #[error("iat must not be longer than 90 days ago")]
    TooOld,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: Id<User>,
    aud: Id<Application>,
    iat: i64,
    sid: Option<String>,
    acr: Option<String>,
}

/// Verifies a hint that `application` sends; nothing for the application where the request may leave it out, as a sign-off
/// may.
///
/// # Errors
/// A [`Refusal`] if it is not an ID token under `keys`, of `issuer`, for the application, issued within [`MAX_SECONDS`].
pub fn id_token_hint(
    token: &str,
    keys: &JwkSet,
    issuer: &str,
    application: Option<Id<Application>>,
    now: Timestamp,
) -> Result<IdTokenHint, Refusal> {
    // The kind keeps access tokens out, which other servers see.
    let claims: Claims =
        platform_token::verify(token, keys, id_token::TYP).map_err(|_| Refusal::NotOurs)?;
    if claims.iss != issuer {
        return Err(Refusal::OtherIssuer);
    }
    if application.is_some_and(|application| application != claims.aud) {
        return Err(Refusal::OtherApplication);
    }
    if now.seconds_since(Timestamp::from_unix_seconds(claims.iat)) > MAX_SECONDS {
        return Err(Refusal::TooOld);
    }
    let Claims { sub: user, aud: application, sid: session, acr, .. } = claims;
    Ok(IdTokenHint { user, session, acr, application })
}

#[cfg(test)]
mod tests;
