//! Tells who signed in, to the holder of an access token (OIDC Core, section 5.3).

use std::sync::Arc;

use countersign_domain::{
    authorization::Scope,
    grant::{Grant, State},
    id::Id,
    user::User,
};
use countersign_protocol::time::Timestamp;
use countersign_store::{Tx, Versioned, Work, grant as grants, user};
use serde::{Deserialize, Serialize};

use super::{App, Fault, Realm, fault::faults, issue_tokens::ACCESS_TOKEN_TYP};

/// The claims of the scopes that were granted (OIDC Core, section 5.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UserInfo {
    /// The user.
    pub sub: String,
    /// Full name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Given name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given_name: Option<String>,
    /// Family name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family_name: Option<String>,
    /// User name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_username: Option<String>,
    /// When the user last changed, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<i64>,
    /// Mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

/// Why nothing is told. All of them are `invalid_token` (RFC 6750, section 3.1).
#[derive(Debug, thiserror::Error)]
pub enum ReadUserInfoError {
    /// Not an access token of this environment, or no longer.
    #[error("the access token is not valid")]
    InvalidToken,
    /// It could not be decided.
    #[error(transparent)]
    Fault(Fault),
}

faults!(ReadUserInfoError);

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Vec<String>,
    sub: Id<User>,
    jti: Id<Grant>,
    exp: i64,
}

impl App {
    /// The claims about the user of an access token.
    pub async fn read_user_info(
        &self,
        realm: &Arc<Realm>,
        access_token: &str,
    ) -> Result<UserInfo, ReadUserInfoError> {
        let claims: Option<Claims> = self.verify_own(realm, access_token, ACCESS_TOKEN_TYP).await;
        let claims = claims.ok_or(ReadUserInfoError::InvalidToken)?;
        let now = self.now();
        let ours = claims.iss == realm.issuer && claims.aud.contains(&realm.issuer);
        if !ours || claims.exp <= now.unix_seconds() {
            return Err(ReadUserInfoError::InvalidToken);
        }
        self.store.read(Read { realm: Arc::clone(realm), claims, now }).await
    }
}

struct Read {
    realm: Arc<Realm>,
    claims: Claims,
    now: Timestamp,
}

impl Work for Read {
    type Output = UserInfo;
    type Error = ReadUserInfoError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<UserInfo, ReadUserInfoError> {
        let environment = self.realm.environment;
        let grant = grants::load(tx, environment, self.claims.jti, self.now).await?;
        let grant = grant.ok_or(ReadUserInfoError::InvalidToken)?;
        let State::Redeemed { .. } = grant.state else {
            return Err(ReadUserInfoError::InvalidToken);
        };
        let user = user::load(tx, environment, self.claims.sub).await?;
        let user = user.filter(|user| user.enabled && user.id == grant.identity.user);
        let user = user.map(Versioned::into_value).ok_or(ReadUserInfoError::InvalidToken)?;
        let profile =
            |value: Option<String>| value.filter(|_| grant.scopes.contains(&Scope::Profile));
        Ok(UserInfo {
            sub: user.id.to_string(),
            name: profile(user.name.formatted()),
            given_name: profile(user.name.given.clone()),
            family_name: profile(user.name.family.clone()),
            preferred_username: profile(Some(user.username)),
            updated_at: grant
                .scopes
                .contains(&Scope::Profile)
                .then(|| user.updated_at.unix_seconds()),
            email: grant.scopes.contains(&Scope::Email).then_some(user.email),
        })
    }
}
