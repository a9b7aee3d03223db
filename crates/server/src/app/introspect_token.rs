//! Tells whether a token counts (RFC 7662), to the application that it was made for and to the workers of its environment.
//! To everybody else a token is as unknown as one that never was.

use std::sync::Arc;

use countersign_domain::{
    application::{Application, Kind},
    grant::{Grant, State},
    id::Id,
    user::User,
};
use countersign_protocol::{secret::Secret, time::Timestamp};
use countersign_store::{Tx, Versioned, Work, application, grant as grants, user};
use serde::Serialize;

use super::{
    App, Fault, Realm,
    access_token::{AccessToken, Live},
    authenticate_client::{ClientCredentials, ClientError},
    fault::faults,
    protected_resource,
};

/// An introspection request.
#[derive(Clone, Debug)]
pub struct IntrospectToken {
    /// Who asks.
    pub client: ClientCredentials,
    /// `token`
    pub token: Secret<String>,
}

/// What is told (RFC 7662, section 2.2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Introspection {
    /// Whether the token counts. If not, nothing else is told.
    pub active: bool,
    /// The claims of an access token.
    #[serde(flatten)]
    pub access: Option<AccessToken>,
    /// What a refresh token stands for.
    #[serde(flatten)]
    pub refresh: Option<RefreshTokenClaims>,
    /// `Bearer` or `DPoP`, for access tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_type: Option<&'static str>,
    /// Name of the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
}

/// What is told of a refresh token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefreshTokenClaims {
    /// The issuer.
    pub iss: String,
    /// The user.
    pub sub: String,
    /// Who got it.
    pub client_id: String,
    /// What was granted.
    pub scope: String,
    /// When it was made.
    pub iat: i64,
    /// When it ends, if it is not used before.
    pub exp: i64,
}

/// Why nothing is told.
#[derive(Debug, thiserror::Error)]
pub enum IntrospectError {
    /// The client did not prove itself; one that cannot is refused in the same way.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// It could not be decided.
    #[error(transparent)]
    Fault(Fault),
}

faults!(IntrospectError);

impl App {
    /// What there is to tell about a token.
    pub async fn introspect_token(
        self: &Arc<Self>,
        realm: &Arc<Realm>,
        request: IntrospectToken,
    ) -> Result<Introspection, IntrospectError> {
        let now = self.now();
        let access = AccessToken::verify(self, request.token.expose(), realm, now).await;
        let (app, realm) = (Arc::clone(self), Arc::clone(realm));
        let client = request.client.clone();
        self.read_for(&client, Introspect { app, realm, request, access, now }).await
    }
}

struct Introspect {
    app: Arc<App>,
    realm: Arc<Realm>,
    request: IntrospectToken,
    access: Option<AccessToken>,
    now: Timestamp,
}

impl Work for Introspect {
    type Output = Introspection;
    type Error = IntrospectError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Introspection, IntrospectError> {
        let client = self.app.authenticate_client(tx, &self.realm, &self.request.client).await?;
        // RFC 7662, section 2.1: whoever asks must be known, else tokens could be tried out here.
        if client.is_public() {
            return Err(ClientError::InvalidClient.into());
        }
        let told = match &self.access {
            Some(token) => self.access_token(tx, &client, token).await?,
            None => self.refresh_token(tx, &client).await?,
        };
        Ok(told.unwrap_or_default())
    }
}

impl Introspect {
    async fn access_token(
        &self,
        tx: &mut Tx<'_>,
        client: &Application,
        token: &AccessToken,
    ) -> Result<Option<Introspection>, IntrospectError> {
        if !may_know(client, token.client_id == client.id) {
            return Ok(None);
        }
        let environment = self.realm.environment;
        let Some(owner) = application::load(tx, environment, token.client_id).await? else {
            return Ok(None);
        };
        // A token for a resource ends with what it stands for: the resource, its scopes and their grant.
        if !self.realm.is_audience_of(token) {
            let audience = token.aud.first().map(String::as_str).unwrap_or_default();
            let scope = token.scope.as_deref().unwrap_or_default();
            if !protected_resource::is_current(tx, &owner, (audience, scope)).await? {
                return Ok(None);
            }
        }
        let username = match token.load_live(tx, self.now).await? {
            None => return Ok(None),
            Some(Live::Application) => None,
            Some(Live::Grant(grant)) => match load_enabled(tx, &grant).await? {
                None => return Ok(None),
                Some(user) => Some(user.into_value().username),
            },
        };
        let (mut access, token_type) = (token.clone(), Some(token.token_type()));
        if username.is_some() {
            access.claims.remove("username");
        }
        let access = Some(access);
        Ok(Some(Introspection { active: true, access, token_type, username, refresh: None }))
    }

    async fn refresh_token(
        &self,
        tx: &mut Tx<'_>,
        client: &Application,
    ) -> Result<Option<Introspection>, IntrospectError> {
        let Some((id, named)) = self.realm.refresh_of(self.request.token.expose()) else {
            return Ok(None);
        };
        let environment = self.realm.environment;
        let grant = grants::load_refreshable(tx, environment, id, self.now).await?;
        let Some(grant) = grant.filter(|grant| may_know(client, grant.application == client.id))
        else {
            return Ok(None);
        };
        if !self.is_there(tx, grant.application).await? {
            return Ok(None);
        }
        let State::Refreshable { generation, rotated_at, refresh_until, .. } = grant.state else {
            return Ok(None);
        };
        // One in its grace is told to be over: whoever asks should take the newest.
        if generation != named || self.now >= refresh_until {
            return Ok(None);
        }
        let Some(user) = load_enabled(tx, &grant).await? else { return Ok(None) };
        let refresh = RefreshTokenClaims {
            iss: self.realm.issuer.clone(),
            sub: user.id.to_string(),
            client_id: grant.application.to_string(),
            scope: grant.scope(),
            iat: rotated_at.unix_seconds(),
            exp: refresh_until.unix_seconds(),
        };
        let username = Some(user.into_value().username);
        let refresh = Some(refresh);
        Ok(Some(Introspection { active: true, refresh, username, ..Introspection::default() }))
    }
}

impl Introspect {
    /// Whether an application is still there. What one got that was deleted counts no longer.
    async fn is_there(
        &self,
        tx: &mut Tx<'_>,
        id: Id<Application>,
    ) -> Result<bool, IntrospectError> {
        Ok(application::load(tx, self.realm.environment, id).await?.is_some())
    }
}

/// A worker acts for the environment, and resource servers ask as workers.
fn may_know(client: &Application, own: bool) -> bool {
    own || client.kind == Kind::Worker
}

async fn load_enabled(
    tx: &mut Tx<'_>,
    grant: &Grant,
) -> Result<Option<Versioned<User>>, IntrospectError> {
    let user = user::load(tx, grant.environment, grant.identity.user).await?;
    Ok(user.filter(|user| user.may_sign_in()))
}
