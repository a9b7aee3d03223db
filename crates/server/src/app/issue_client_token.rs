//! Gives an application an access token for itself (RFC 6749, section 4.4), for the platform or for a resource that it was granted
//! scopes of. Nothing is stored: one read, one signature.

use std::sync::Arc;

use countersign_domain::{
    application::{Application, GrantType},
    authorization::Asked,
    claims::Claims,
    dpop::DpopProof,
    id::Id,
    protected_resource::ScopeRefusal,
};
use countersign_protocol::jwk::Thumbprint;
use countersign_store::{Tx, Work};

use super::{
    App, Fault, Realm,
    access_token::{AccessToken, Confirmation},
    authenticate_client::{ClientCredentials, ClientError},
    check_dpop::{self, DpopRefusal},
    fault::faults,
    issue_tokens::{Target, Tokens},
    protected_resource::{self, Held},
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
    /// What is told of users is for those who sign in.
    #[error("scope must name none of the scopes of users: an application asks for itself")]
    OfUsers,
    /// The client may not have what it asks for.
    #[error(transparent)]
    Scope(#[from] ScopeRefusal),
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
        let asked = request.scope.as_deref().map(Asked::parse).unwrap_or_default();
        if !asked.scopes.is_empty() {
            return Err(ClientTokenError::OfUsers);
        }
        let (app, realm) = (Arc::clone(self), Arc::clone(realm));
        let writes = request.client.are_spent() || request.dpop.is_some();
        let work = Authenticate { app, realm, request };
        let realm = Arc::clone(&work.realm);
        let Authenticated { application, key, target, seconds } =
            if writes { self.store.write(work).await } else { self.store.read(work).await }?;
        let token = self.client_token(&realm, &application, seconds);
        let (aud, scope, claims) = match target {
            None => (token.aud, String::new(), token.claims),
            Some(target) => (vec![target.audience], target.scopes.join(" "), target.claims),
        };
        let token = AccessToken {
            aud,
            scope: Some(scope.clone()).filter(|scope| !scope.is_empty()),
            claims,
            cnf: key.map(|jkt| Confirmation { jkt }),
            ..token
        };
        Ok(Tokens {
            token_type: token.token_type(),
            access_token: token.sign(&realm)?,
            id_token: None,
            refresh_token: None,
            expires_in_seconds: seconds.into(),
            scope,
        })
    }

    /// One for the platform itself.
    fn client_token(&self, realm: &Realm, application: &Application, seconds: u32) -> AccessToken {
        let (id, now): (Id<AccessToken>, _) = (self.new_id(), self.now());
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
            claims: Claims::new(),
        }
    }
}

struct Authenticate {
    app: Arc<App>,
    realm: Arc<Realm>,
    request: IssueClientToken,
}

/// Who asked, and what the token is for.
struct Authenticated {
    application: Application,
    /// The key that the token is bound to.
    key: Option<Thumbprint>,
    /// None: the platform itself.
    target: Option<Target>,
    /// Life of the token.
    seconds: u32,
}

impl Work for Authenticate {
    type Output = Authenticated;
    type Error = ClientTokenError;
    const IS_BRIEF: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Authenticated, ClientTokenError> {
        let IssueClientToken { client, scope, dpop } = &self.request;
        let application = self.app.authenticate_client(tx, &self.realm, client).await?;
        let key = check_dpop::bind(tx, &application, dpop.as_ref()).await?;
        if !application.may(GrantType::ClientCredentials) {
            return Err(ClientTokenError::UnauthorizedClient);
        }
        let access = protected_resource::access(tx, &application, scope.as_deref()).await??;
        let held = protected_resource::held(tx, &application, access.as_ref()).await?;
        let usual = application.oidc.access_token_seconds;
        let seconds = held.as_ref().map_or(usual, Held::token_seconds);
        let target = held.map(|held| Target::of(held, None));
        Ok(Authenticated { application, key, target, seconds })
    }
}
