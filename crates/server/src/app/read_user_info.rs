//! Tells who signed in, to the holder of an access token (OIDC Core, section 5.3).

use std::sync::Arc;

use countersign_domain::{authorization::Scope, dpop::DpopProof};
use countersign_protocol::time::Timestamp;
use countersign_store::{Tx, Versioned, Work, spent_jwt, user};
use serde::Serialize;

use super::{
    App, Fault, Realm,
    access_token::{AccessToken, Live},
    check_dpop::DpopRefusal,
    fault::faults,
};

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
    /// The proof that came with it does not count.
    #[error(transparent)]
    Dpop(#[from] DpopRefusal),
    /// It could not be decided.
    #[error(transparent)]
    Fault(Fault),
}

faults!(ReadUserInfoError);

impl App {
    /// The claims about the user of an access token.
    pub async fn read_user_info(
        &self,
        realm: &Arc<Realm>,
        access_token: &str,
        dpop: Option<DpopProof>,
    ) -> Result<UserInfo, ReadUserInfoError> {
        let now = self.now();
        let token = AccessToken::verify(self, access_token, realm, now)
            .await
            .filter(|token| token.aud.contains(&realm.issuer))
            .filter(|token| token.may_come_with(dpop.as_ref().map(|proof| proof.key)))
            .ok_or(ReadUserInfoError::InvalidToken)?;
        let (writes, work) = (dpop.is_some(), Read { token, dpop, now });
        if writes { self.store.write(work).await } else { self.store.read(work).await }
    }
}

struct Read {
    token: AccessToken,
    dpop: Option<DpopProof>,
    now: Timestamp,
}

impl Work for Read {
    type Output = UserInfo;
    type Error = ReadUserInfoError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<UserInfo, ReadUserInfoError> {
        if let Some(proof) = &self.dpop {
            if !spent_jwt::spend(tx, self.token.env, &proof.spent).await? {
                return Err(DpopRefusal::Used.into());
            }
        }
        let Some(Live::Grant(grant)) = self.token.load_live(tx, self.now).await? else {
            return Err(ReadUserInfoError::InvalidToken);
        };
        let user = user::load(tx, grant.environment, grant.identity.user).await?;
        let user = user.filter(|user| user.enabled);
        let user = user.map(Versioned::into_value).ok_or(ReadUserInfoError::InvalidToken)?;
        // The scopes of the token, which may be fewer than those of its grant.
        let scopes = Scope::parse_list(self.token.scope.as_deref().unwrap_or_default());
        let profile = |value: Option<String>| value.filter(|_| scopes.contains(&Scope::Profile));
        Ok(UserInfo {
            sub: user.id.to_string(),
            name: profile(user.name.formatted()),
            given_name: profile(user.name.given.clone()),
            family_name: profile(user.name.family.clone()),
            preferred_username: profile(Some(user.username)),
            updated_at: scopes.contains(&Scope::Profile).then(|| user.updated_at.unix_seconds()),
            email: scopes.contains(&Scope::Email).then_some(user.email),
        })
    }
}
