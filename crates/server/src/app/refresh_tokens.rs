//! Renews tokens by a refresh token (RFC 6749, section 6).

use std::sync::Arc;

use countersign_domain::{
    application::{Application, GrantType},
    audit,
    dpop::DpopProof,
    grant::{self, Effect, Event, Grant, Terms},
};
use countersign_protocol::secret::Secret;
use countersign_store::{Tx, Versioned, Work, grant as grants, user};

use super::{
    App, Call, Fault, Realm,
    admit::admits,
    authenticate_client::{ClientCredentials, ClientError},
    check_dpop::{self, DpopRefusal},
    fault::faults,
    issue_tokens::{Issue, Tokens},
    protected_resource::{self, Held},
};

/// A token request of the grant type `refresh_token`.
#[derive(Clone, Debug)]
pub struct RefreshTokens {
    /// Who asks.
    pub client: ClientCredentials,
    /// `refresh_token`
    pub refresh_token: Secret<String>,
    /// `scope`; none: all that was granted.
    pub scope: Option<String>,
    /// The proof of the key that the tokens shall be bound to.
    pub dpop: Option<DpopProof>,
    /// The name under which the request is logged.
    pub correlation: String,
}

/// Why there are no tokens.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// The client did not prove itself.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The client may not use this grant type.
    #[error("the application may not use refresh tokens")]
    UnauthorizedClient,
    /// Not a refresh token of this environment, or forgotten, or of somebody who may no longer sign in.
    #[error("refresh_token is unknown or has expired")]
    UnknownToken,
    /// More than was granted.
    #[error("scope must name none but those that were granted")]
    WiderScope,
    /// It was for a resource of which the application has no scopes any more.
    #[error("nothing is left of what was granted")]
    NothingLeft,
    /// The refresh token does not count.
    #[error(transparent)]
    Grant(#[from] grant::Refusal),
    /// The proof of a key does not count, or there is none.
    #[error(transparent)]
    Dpop(#[from] DpopRefusal),
    /// It could not be decided.
    #[error(transparent)]
    Fault(Fault),
}

faults!(RefreshError);

impl App {
    /// Renews tokens.
    pub async fn refresh_tokens(
        self: &Arc<Self>,
        realm: &Arc<Realm>,
        request: RefreshTokens,
    ) -> Result<Tokens, RefreshError> {
        let call = self.call(realm.environment, &request.correlation);
        let (app, now) = (Arc::clone(self), call.now);
        let work = Refresh { app, realm: Arc::clone(realm), call, request };
        let issue = self.store.write(work).await?.ok_or(grant::Refusal::Revoked)?;
        Ok(issue.sign(realm, now, self.entropy.as_ref())?)
    }
}

struct Refresh {
    app: Arc<App>,
    realm: Arc<Realm>,
    call: Call,
    request: RefreshTokens,
}

impl Work for Refresh {
    /// Nothing when the token was used before: that must be committed, although the request is refused.
    type Output = Option<Issue>;
    type Error = RefreshError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<Issue>, RefreshError> {
        let application =
            self.app.authenticate_client(tx, &self.realm, &self.request.client).await?;
        if !application.may(GrantType::RefreshToken) {
            return Err(RefreshError::UnauthorizedClient);
        }
        let key = check_dpop::bind(tx, &application, self.request.dpop.as_ref()).await?;
        let named = self.realm.refresh_of(self.request.refresh_token.expose());
        let (id, generation) = named.ok_or(RefreshError::UnknownToken)?;
        let now = self.call.now;
        let old = grants::load_refreshable(tx, self.realm.environment, id, now).await?;
        let old = old.ok_or(RefreshError::UnknownToken)?;
        let held = protected_resource::held(tx, &application, old.access.as_ref()).await?;
        let terms = Terms::of(&application).or_for(held.as_ref().map(Held::token_seconds));
        let event = Event::Refresh { application: application.id, generation, terms };
        let confirmation = old.confirm(key, application.is_public())?;
        let step = grant::apply(&old, &event, now)?;
        let grant = Grant { state: step.state, confirmation, ..(*old).clone() };
        if grant != *old {
            grants::swap(tx, &old, &grant).await?;
        }
        let (mut issue, mut held) = (None, held);
        for effect in step.effects {
            match effect {
                Effect::IssueTokens { refresh } => {
                    let left = (&old, held.take());
                    let whole = self.issue(tx, &application, left, refresh).await?;
                    issue = Some(Issue { key, ..whole });
                }
                Effect::Audit { action, reason } => {
                    let event = audit::Event::of(action, Some(reason));
                    let event = event.through(application.id).about(grant.identity.user);
                    self.call.audit(tx, event).await?;
                }
            }
        }
        Ok(issue)
    }
}

impl Refresh {
    /// A refusal here rolls the rotation back: the token was not spent.
    async fn issue(
        &self,
        tx: &mut Tx<'_>,
        application: &Application,
        (grant, held): (&Versioned<Grant>, Option<Held>),
        refresh: Option<u32>,
    ) -> Result<Issue, RefreshError> {
        let user = user::load(tx, grant.environment, grant.identity.user).await?;
        let user = user.filter(|user| user.may_sign_in()).ok_or(RefreshError::UnknownToken)?;
        if !admits(tx, application.oidc.access_control.as_ref(), user.id).await? {
            return Err(RefreshError::UnknownToken);
        }
        let asked = self.request.scope.as_deref().unwrap_or_default();
        let (scopes, access) = grant.narrowed(asked).ok_or(RefreshError::WiderScope)?;
        let held = match (&access, held) {
            // Of all that was granted, whatever is left.
            (access, held) if *access == grant.access => held,
            (None, _) => None,
            (Some(access), held) => {
                let held = held.and_then(|held| held.narrowed(access.scopes.clone()));
                Some(held.ok_or(RefreshError::WiderScope)?)
            }
        };
        // OIDC Core, section 12.2: the ID token should not have the nonce of the sign-on.
        let grant = Grant { nonce: None, scopes, access, ..(**grant).clone() };
        let issue = Issue::whole(grant, application, &user, refresh).at(held, &user);
        if issue.is_empty() { Err(RefreshError::NothingLeft) } else { Ok(issue) }
    }
}
