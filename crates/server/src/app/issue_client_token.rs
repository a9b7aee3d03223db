//! Gives an application an access token for itself (RFC 6749, section 4.4). Nothing is stored: one read, one signature.

use std::sync::Arc;

use countersign_domain::{
    application::{Application, GrantType},
    dpop::DpopProof,
    id::Id,
};
use countersign_protocol::{jwk::Thumbprint, time::Timestamp};
use countersign_store::{Tx, Work};

use super::{
    App, Fault, Realm,
    access_token::{AccessToken, Confirmation},
    authenticate_client::{ClientCredentials, ClientError},
    check_dpop::{self, DpopRefusal},
    fault::faults,
    issue_tokens::Tokens,
};

/// A token request of the grant type `client_credentials`.
#[derive(Clone, Debug)]
pub struct IssueClientToken {
    /// Who asks.
    pub client: ClientCredentials,
    /// `scope`
    pub scope: Option<String>,
    /// The proof of the key that the token shall be bound to.
    pub dpop: Option<DpopProof>,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum ClientTokenError {
    /// The client did not prove itself.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The client may not use this grant type.
    #[error("the application may not use client credentials")]
    UnauthorizedClient,
    /// There is no resource whose scopes an application could have for itself.
    #[error("scope must be absent: an application has no scopes of its own")]
    NoScopes,
    /// The proof of a key does not count, or there is none.
    #[error(transparent)]
    Dpop(#[from] DpopRefusal),
    /// It could not be decided.
    #[error(transparent)]
    Fault(Fault),
}

faults!(ClientTokenError);

impl App {
    /// An access token for the application itself.
    pub async fn issue_client_token(
        self: &Arc<Self>,
        realm: &Arc<Realm>,
        request: IssueClientToken,
    ) -> Result<Tokens, ClientTokenError> {
        if request.scope.is_some() {
            return Err(ClientTokenError::NoScopes);
        }
        let (app, realm) = (Arc::clone(self), Arc::clone(realm));
        let writes = request.client.are_spent() || request.dpop.is_some();
        let work = Authenticate { app, realm, client: request.client, dpop: request.dpop };
        let realm = Arc::clone(&work.realm);
        let authenticated =
            if writes { self.store.write(work).await } else { self.store.read(work).await };
        let (application, key) = authenticated?;
        if !application.may(GrantType::ClientCredentials) {
            return Err(ClientTokenError::UnauthorizedClient);
        }
        let seconds = application.oidc.access_token_seconds;
        let token = self.client_token(&realm, &application, self.now());
        let token = AccessToken { cnf: key.map(|jkt| Confirmation { jkt }), ..token };
        Ok(Tokens {
            token_type: token.token_type(),
            access_token: token.sign(&realm)?,
            id_token: None,
            refresh_token: None,
            expires_in_seconds: seconds.into(),
            scope: String::new(),
        })
    }

    fn client_token(
        &self,
        realm: &Realm,
        application: &Application,
        now: Timestamp,
    ) -> AccessToken {
        let id: Id<AccessToken> = self.new_id();
        let seconds = application.oidc.access_token_seconds;
        AccessToken {
            iss: realm.issuer.clone(),
            // RFC 9068, section 2.2: without a user, the client is the subject.
            sub: application.id.to_string(),
            aud: vec![realm.platform_base.clone(), realm.issuer.clone()],
            client_id: application.id,
            scope: None,
            iat: now.unix_seconds(),
            exp: now.plus_seconds(seconds.into()).unix_seconds(),
            jti: id.to_string(),
            auth_time: None,
            acr: None,
            sid: None,
            env: realm.environment,
            cnf: None,
        }
    }
}

struct Authenticate {
    app: Arc<App>,
    realm: Arc<Realm>,
    client: ClientCredentials,
    dpop: Option<DpopProof>,
}

impl Work for Authenticate {
    /// The application, and the key that its token is bound to.
    type Output = (Application, Option<Thumbprint>);
    type Error = ClientTokenError;
    const IS_BRIEF: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Self::Output, ClientTokenError> {
        let application = self.app.authenticate_client(tx, &self.realm, &self.client).await?;
        let key = check_dpop::bind(tx, &application, self.dpop.as_ref()).await?;
        Ok((application, key))
    }
}
