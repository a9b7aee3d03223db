//! Tells who signed in, to the holder of an access token (OIDC Core, section 5.3).

use std::sync::Arc;

use countersign_domain::{
    authorization::Scope,
    claims::{self, Claims},
    dpop::DpopProof,
    id::Id,
    user::User,
};
use countersign_protocol::time::Timestamp;
use countersign_store::{Tx, Work, application, user};
use serde::Serialize;

use super::{
    App, Fault, Realm,
    access_token::{AccessToken, Live},
    check_dpop::{self, DpopRefusal},
    fault::faults,
};

/// What is told: the claims of the scopes (OIDC Core, section 5.4), and those that the application maps itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UserInfo {
    /// The user.
    pub sub: Id<User>,
    /// The claims.
    #[serde(flatten)]
    pub claims: Claims,
}

/// Why nothing is told (RFC 6750, section 3.1).
#[derive(Debug, thiserror::Error)]
pub enum ReadUserInfoError {
    /// Not an access token of this environment, or no longer.
    #[error("the access token is not valid")]
    InvalidToken,
    /// An access token that does not open this.
    #[error("the access token must have the scope openid")]
    InsufficientScope,
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
    const IS_BRIEF: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<UserInfo, ReadUserInfoError> {
        check_dpop::spend(tx, self.token.env, self.dpop.as_ref()).await?;
        let Some(Live::Grant(grant)) = self.token.load_live(tx, self.now).await? else {
            return Err(ReadUserInfoError::InvalidToken);
        };
        let user = user::load(tx, grant.environment, grant.identity.user).await?;
        let user = user.filter(|user| user.may_sign_in());
        let user = user.ok_or(ReadUserInfoError::InvalidToken)?;
        // The scopes of the token, which may be fewer than those of its grant.
        let scopes = Scope::parse_list(self.token.scope.as_deref().unwrap_or_default());
        if !scopes.contains(&Scope::OpenId) {
            return Err(ReadUserInfoError::InsufficientScope);
        }
        let application = application::load(tx, grant.environment, grant.application).await?;
        let application = application.ok_or(ReadUserInfoError::InvalidToken)?;
        let claims = claims::of_user_info(&application, &scopes, &user);
        Ok(UserInfo { sub: user.id, claims })
    }
}
