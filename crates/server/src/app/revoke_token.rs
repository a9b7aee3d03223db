//! Takes back a token that its application no longer needs (RFC 7009). A refresh token takes all that came of its sign-on
//! along; an access token goes alone.

use std::sync::Arc;

use countersign_domain::{
    audit,
    grant::{self, Effect, Event, Grant},
    id::Id,
};
use countersign_protocol::secret::Secret;
use countersign_store::{Tx, Work, grant as grants, revoked_token};

use super::{
    App, Call, Fault, Realm,
    access_token::AccessToken,
    authenticate_client::{ClientCredentials, ClientError},
    fault::faults,
};

/// A revocation request.
#[derive(Clone, Debug)]
pub struct RevokeToken {
    /// Who asks.
    pub client: ClientCredentials,
    /// `token`
    pub token: Secret<String>,
    /// The name under which the request is logged.
    pub correlation: String,
}

/// Why a token was not taken back. A token that is unknown, over or another application's is no error (RFC 7009, section
/// 2.2): there is nothing to learn here about tokens of others.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// The client did not prove itself.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// It could not be decided.
    #[error(transparent)]
    Fault(Fault),
}

faults!(RevokeError);

impl App {
    /// Takes back a token, if it is one of the client.
    pub async fn revoke_token(
        self: &Arc<Self>,
        realm: &Arc<Realm>,
        request: RevokeToken,
    ) -> Result<(), RevokeError> {
        let call = self.call(realm.environment, &request.correlation);
        let access = AccessToken::verify(self, request.token.expose(), realm, call.now).await;
        let (app, realm) = (Arc::clone(self), Arc::clone(realm));
        self.store.write(Revoke { app, realm, call, request, access }).await
    }
}

struct Revoke {
    app: Arc<App>,
    realm: Arc<Realm>,
    call: Call,
    request: RevokeToken,
    access: Option<AccessToken>,
}

impl Work for Revoke {
    type Output = ();
    type Error = RevokeError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), RevokeError> {
        let client = self.app.authenticate_client(tx, &self.realm, &self.request.client).await?;
        if let Some(token) = &self.access {
            if token.client_id == client.id {
                revoked_token::insert(tx, token.key()).await?;
            }
            return Ok(());
        }
        // An older refresh token than the newest will do: who gives it up gives up its successors.
        match self.realm.refresh_of(self.request.token.expose()) {
            Some((id, _)) => {
                let event = Event::Revoke { application: client.id };
                self.revoke_grant(tx, id, &event).await
            }
            None => Ok(()),
        }
    }
}

impl Revoke {
    async fn revoke_grant(
        &self,
        tx: &mut Tx<'_>,
        id: Id<Grant>,
        event: &Event,
    ) -> Result<(), RevokeError> {
        let now = self.call.now;
        let Some(old) = grants::load_refreshable(tx, self.realm.environment, id, now).await? else {
            return Ok(());
        };
        let Ok(step) = grant::apply(&old, event, now) else { return Ok(()) };
        grants::swap(tx, &old, &Grant { state: step.state, ..(*old).clone() }).await?;
        for effect in step.effects {
            match effect {
                Effect::Audit { action, reason } => {
                    let event = audit::Event::of(action, Some(reason)).through(old.application);
                    self.call.audit(tx, event.about(old.identity.user)).await?;
                }
                Effect::IssueTokens { .. } => {
                    return Err(Fault::broken("a revocation gives tokens").into());
                }
            }
        }
        Ok(())
    }
}
