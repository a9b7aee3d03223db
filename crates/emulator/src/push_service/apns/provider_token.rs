//! Who may push: teams, their keys, and the tokens that they sign.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use countersign_protocol::jose::{self, Compact};
use countersign_protocol::json;
use countersign_protocol::mobile_payload::PushEnvironment;
use countersign_protocol::time::Timestamp;
use serde::Deserialize;

use super::reason::Reason;

/// A token is good for so long.
const MAX_AGE_SECONDS: i64 = 3_600;

/// A connection may change its token so often.
const MIN_UPDATE_SECONDS: i64 = 1_200;

/// The clock of a provider may be ahead by so much.
const MAX_AHEAD_SECONDS: i64 = 60;

/// A team of developers, with its own keys and apps.
#[derive(Debug, Clone)]
pub struct Team {
    /// Ten characters.
    pub id: String,
    /// Those that sign for it.
    pub keys: Vec<ProviderKey>,
    /// The topics that it may push to. Without any: all.
    pub topics: Vec<String>,
}

/// A key as the team has registered it.
#[derive(Debug, Clone)]
pub struct ProviderKey {
    /// Ten characters.
    pub id: String,
    /// The uncompressed point on P-256.
    pub public_key: Vec<u8>,
    /// It is for one of Apple's worlds alone.
    pub only: Option<PushEnvironment>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    iat: i64,
}

/// What a connection has proved so far.
#[derive(Debug, Default)]
pub struct Proved {
    token: Option<(String, Timestamp)>,
    key_id: Option<String>,
}

impl Proved {
    /// Checks the provider token of a request, and remembers it for the next ones of the connection. Gives the team.
    pub fn check<'a>(
        &mut self,
        token: &str,
        teams: &'a [Team],
        environment: PushEnvironment,
        now: Timestamp,
    ) -> Result<&'a Team, Reason> {
        let (team, key) = verify(token, teams, now)?;
        if key.only.is_some_and(|only| only != environment) {
            return Err(Reason::BadEnvironmentKeyIdInToken);
        }
        if self.key_id.as_ref().is_some_and(|first| *first != key.id) {
            return Err(Reason::UnrelatedKeyIdInToken);
        }
        match &self.token {
            Some((known, _)) if known == token => return Ok(team),
            Some((_, at)) if now.seconds_since(*at) < MIN_UPDATE_SECONDS => {
                return Err(Reason::TooManyProviderTokenUpdates);
            }
            Some(_) | None => {}
        }
        self.token = Some((token.to_owned(), now));
        self.key_id = Some(key.id.clone());
        Ok(team)
    }
}

fn verify<'a>(
    token: &str,
    teams: &'a [Team],
    now: Timestamp,
) -> Result<(&'a Team, &'a ProviderKey), Reason> {
    let invalid = Reason::InvalidProviderToken;
    let Compact { signing_input, header, claims, signature } =
        jose::split(token).map_err(|_| invalid)?;
    let header: Header = json::parse(&header).map_err(|_| invalid)?;
    let claims: Claims = json::parse(&claims).map_err(|_| invalid)?;
    let team = teams.iter().find(|team| team.id == claims.iss).ok_or(invalid)?;
    let key = team.keys.iter().find(|key| key.id == header.kid).ok_or(invalid)?;
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &key.public_key);
    let signed = public.verify(signing_input.as_bytes(), &signature).is_ok();
    let age = now.seconds_since(Timestamp::from_unix_seconds(claims.iat));
    if header.alg != "ES256" || !signed || age < -MAX_AHEAD_SECONDS {
        return Err(invalid);
    }
    if age > MAX_AGE_SECONDS {
        return Err(Reason::ExpiredProviderToken);
    }
    Ok((team, key))
}
