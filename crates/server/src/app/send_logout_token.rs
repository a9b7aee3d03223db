//! Tells an application that a session has ended (OIDC Back-Channel Logout 1.0).

use countersign_domain::{
    application::Application, environment::Environment, id::Id, outbox::Outcome, session::Session,
    user::User,
};
use countersign_store::{StoreError, Tx, Work, application};
use serde::Serialize;

use super::{App, Fault, Realm};

/// How long a logout token counts, in seconds: section 2.4 recommends at most two minutes.
const TOKEN_SECONDS: i64 = 120;

/// Its type (section 2.4), so that it cannot be taken for an ID token.
const TYP: &str = "logout+jwt";

/// Section 2.4. There is no `nonce`, so that an ID token cannot be taken for it.
#[derive(Serialize)]
struct LogoutToken<'a> {
    iss: &'a str,
    sub: Id<User>,
    aud: Id<Application>,
    iat: i64,
    exp: i64,
    jti: Id<LogoutToken<'a>>,
    events: Events,
    sid: Id<Session>,
}

/// What makes it a logout token.
#[derive(Serialize)]
struct Events {
    #[serde(rename = "http://schemas.openid.net/event/backchannel-logout")]
    logout: NoMembers,
}

/// An empty object: the event says nothing but that it has happened.
#[derive(Serialize)]
struct NoMembers {}

impl App {
    /// One attempt. The token is signed for it, so that one which comes late is neither too old nor under a key that is gone.
    pub(super) async fn send_logout_token(
        &self,
        environment: Id<Environment>,
        application: Id<Application>,
        (user, session): (Id<User>, Id<Session>),
    ) -> Result<Outcome, Fault> {
        let found = self.store.read(Receiver { environment, application }).await?;
        let Some((application, address)) = found.and_then(|application| {
            let address = application.oidc.backchannel_logout_uri.clone()?;
            Some((application, address))
        }) else {
            return Ok(Outcome::Unwanted);
        };
        let Some(realm) = self.realm(environment).await? else { return Ok(Outcome::Unwanted) };
        let token = self.logout_token(&realm, &application, (user, session))?;
        match self.outbound.post_form(&address, &[("logout_token", &token)]).await {
            Ok(200..=299) => Ok(Outcome::Delivered),
            // Section 2.8: the request is invalid or the logout failed, and so it will again.
            Ok(400) => Ok(Outcome::Refused),
            Ok(status) => {
                tracing::info!(application = %application.id, status, "an application does not take a logout token");
                Ok(Outcome::Failed)
            }
            Err(error) if error.is_forbidden() => Ok(Outcome::Forbidden),
            Err(error) => {
                tracing::info!(application = %application.id, %error, "an application cannot be told of a logout");
                Ok(Outcome::Failed)
            }
        }
    }

    fn logout_token(
        &self,
        realm: &Realm,
        application: &Application,
        (user, session): (Id<User>, Id<Session>),
    ) -> Result<String, Fault> {
        let now = self.now();
        let token = LogoutToken {
            iss: &realm.issuer,
            sub: user,
            aud: application.id,
            iat: now.unix_seconds(),
            exp: now.plus_seconds(TOKEN_SECONDS).unix_seconds(),
            jti: self.new_id(),
            events: Events { logout: NoMembers {} },
            sid: session,
        };
        Ok(realm.keys.sign(application.id_token_algorithm, TYP, &token)?)
    }
}

struct Receiver {
    environment: Id<Environment>,
    application: Id<Application>,
}

impl Work for Receiver {
    type Output = Option<Application>;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<Application>, StoreError> {
        let found = application::load(tx, self.environment, self.application).await?;
        Ok(found.map(countersign_store::Versioned::into_value))
    }
}
