//! The ID token as the phone checks it (OpenID Connect Core section 3.1.3.7).

use serde::Deserialize;

use crate::jwk::JwkSet;
use crate::pairing::PairingClaim;
use crate::platform_token::{self, TokenError};
use crate::time::{Timestamp, unix_seconds};

/// `typ` of an ID token's header.
pub const TYP: &str = "JWT";

/// How far `iat` may lie ahead of the phone's clock.
pub const MAX_AHEAD_SECONDS: i64 = 60;

/// What the caller knows that the token must say.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The issuer `I`.
    pub issuer: &'a str,
    /// The application (the OIDC client).
    pub audience: &'a str,
    /// The nonce of the authorize request, when the caller knows it.
    pub nonce: Option<&'a str>,
    /// How long ago the token may have been issued, when that matters.
    pub max_age_seconds: Option<i64>,
}

/// What a verified ID token says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct IdTokenClaims {
    iss: String,
    aud: Audience,
    azp: Option<String>,
    #[serde(with = "unix_seconds")]
    exp: Timestamp,
    /// When it was issued.
    #[serde(with = "unix_seconds")]
    pub iat: Timestamp,
    /// The user.
    pub sub: String,
    /// When the user was authenticated, seconds since the epoch.
    pub auth_time: Option<i64>,
    /// By which means (RFC 8176).
    #[serde(default)]
    pub amr: Vec<String>,
    /// By which policy.
    pub acr: Option<String>,
    /// The nonce of the authorize request.
    pub nonce: Option<String>,
    /// What became of the mobile payload.
    pub countersign_pairing: Option<PairingClaim>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// The rule that an ID token breaks.
#[derive(Debug, thiserror::Error)]
pub enum IdTokenError {
    /// It is not a good token of the platform.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Another platform or environment issued it.
    #[error("iss must be {expected}")]
    WrongIssuer {
        /// The only accepted value.
        expected: String,
    },
    /// It is for another application.
    #[error("aud must have {expected}, and azp must be it when there are several")]
    WrongAudience {
        /// The only accepted value.
        expected: String,
    },
    /// `exp` has passed.
    #[error("exp has passed")]
    Expired,
    /// `iat` is ahead of the clock by more than [`MAX_AHEAD_SECONDS`].
    #[error("iat is in the future")]
    IssuedInFuture,
    /// `iat` is longer ago than asked for.
    #[error("iat must be at most {max_age_seconds} s ago")]
    TooOld {
        /// The oldest accepted age.
        max_age_seconds: i64,
    },
    /// It answers another authorize request.
    #[error("nonce must be the one of the request")]
    WrongNonce,
}

/// The claims of `jws`, when it is an ID token as `expected` at `now`, signed by one of `keys`.
pub fn verify(
    jws: &str,
    keys: &JwkSet,
    expected: &Expected<'_>,
    now: Timestamp,
) -> Result<IdTokenClaims, IdTokenError> {
    let claims: IdTokenClaims = platform_token::verify(jws, keys, TYP)?;
    if claims.iss != expected.issuer {
        return Err(IdTokenError::WrongIssuer { expected: expected.issuer.to_owned() });
    }
    if !is_for(&claims, expected.audience) {
        return Err(IdTokenError::WrongAudience { expected: expected.audience.to_owned() });
    }
    if claims.exp <= now {
        return Err(IdTokenError::Expired);
    }
    if claims.iat > now.plus_seconds(MAX_AHEAD_SECONDS) {
        return Err(IdTokenError::IssuedInFuture);
    }
    if let Some(max_age_seconds) = expected.max_age_seconds
        && now.seconds_since(claims.iat) > max_age_seconds
    {
        return Err(IdTokenError::TooOld { max_age_seconds });
    }
    if expected.nonce.is_some() && claims.nonce.as_deref() != expected.nonce {
        return Err(IdTokenError::WrongNonce);
    }
    Ok(claims)
}

fn is_for(claims: &IdTokenClaims, audience: &str) -> bool {
    let azp_fits = |absent| claims.azp.as_deref().map_or(absent, |azp| azp == audience);
    match &claims.aud {
        Audience::One(one) => one == audience && azp_fits(true),
        Audience::Several(several) => {
            several.iter().any(|one| one == audience) && azp_fits(several.len() == 1)
        }
    }
}

#[cfg(test)]
mod tests;
