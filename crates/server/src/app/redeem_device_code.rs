//! Answers a device that asks for its tokens (RFC 8628, sections 3.4 and 3.5).

use std::sync::Arc;

use countersign_domain::{
    application::{Application, GrantType},
    device_code::{self, DeviceCode, Effect, Event},
    dpop::DpopProof,
    flow::Identity,
    grant::{self, Grant, Terms},
};
use countersign_protocol::{jwk::Thumbprint, secret::Secret};
use countersign_store::{Tx, Work, device_code as codes, grant as grants, user};

use super::{
    App, Call, Fault, Realm,
    authenticate_client::{ClientCredentials, ClientError},
    check_dpop::{self, DpopRefusal},
    fault::faults,
    issue_tokens::{Issue, Tokens},
    protected_resource::{self, Held},
};

/// A token request of the grant type `urn:ietf:params:oauth:grant-type:device_code`.
#[derive(Clone, Debug)]
pub struct RedeemDeviceCode {
    /// Who asks.
    pub client: ClientCredentials,
    /// `device_code`
    pub device_code: Secret<String>,
    /// The proof of the key that the tokens shall be bound to.
    pub dpop: Option<DpopProof>,
    /// The name under which the request is logged.
    pub correlation: String,
}

/// Why there are no tokens.
#[derive(Debug, thiserror::Error)]
pub enum RedeemDeviceCodeError {
    /// The client did not prove itself.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The client may not use this grant type.
    #[error("the application may not use device codes")]
    UnauthorizedClient,
    /// Not a device code of this environment, or of somebody who may no longer sign in.
    #[error("device_code is unknown")]
    UnknownCode,
    /// Nobody has decided.
    #[error("the user has not decided yet")]
    Pending,
    /// Nobody has decided, and the device asks too often.
    #[error("the device asks too often: wait five seconds longer from now on")]
    SlowDown,
    /// It was for a resource of which the application has no scopes any more.
    #[error("nothing is left of what was granted")]
    NothingLeft,
    /// The device code does not count.
    #[error(transparent)]
    Refused(#[from] device_code::Refusal),
    /// The proof of a key does not count, or there is none.
    #[error(transparent)]
    Dpop(#[from] DpopRefusal),
    /// It could not be decided.
    #[error(transparent)]
    Fault(Fault),
}

faults!(RedeemDeviceCodeError);

/// What is committed before the device is told.
enum Outcome {
    Issue(Box<Issue>),
    Pending,
    SlowDown,
}

impl App {
    /// Gives a device its tokens, once a person has allowed it.
    pub async fn redeem_device_code(
        self: &Arc<Self>,
        realm: &Arc<Realm>,
        request: RedeemDeviceCode,
    ) -> Result<Tokens, RedeemDeviceCodeError> {
        let call = self.call(realm.environment, &request.correlation);
        let (app, now) = (Arc::clone(self), call.now);
        let work = Redeem { app, realm: Arc::clone(realm), call, request };
        match self.store.write(work).await? {
            Outcome::Issue(issue) => Ok(issue.sign(realm, now, self.entropy.as_ref())?),
            Outcome::Pending => Err(RedeemDeviceCodeError::Pending),
            Outcome::SlowDown => Err(RedeemDeviceCodeError::SlowDown),
        }
    }
}

struct Redeem {
    app: Arc<App>,
    realm: Arc<Realm>,
    call: Call,
    request: RedeemDeviceCode,
}

impl Work for Redeem {
    type Output = Outcome;
    type Error = RedeemDeviceCodeError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Outcome, RedeemDeviceCodeError> {
        let application =
            self.app.authenticate_client(tx, &self.realm, &self.request.client).await?;
        if !application.may(GrantType::DeviceCode) {
            return Err(RedeemDeviceCodeError::UnauthorizedClient);
        }
        let key = check_dpop::bind(tx, &application, self.request.dpop.as_ref()).await?;
        let id = self.realm.device_code_of(self.request.device_code.expose());
        let id = id.ok_or(RedeemDeviceCodeError::UnknownCode)?;
        let now = self.call.now;
        // One that is ours and is not there any more was forgotten after its end.
        let old = codes::load(tx, self.realm.environment, id, now).await?;
        let old = old.ok_or(device_code::Refusal::Expired)?;
        let step = device_code::apply(&old, &Event::Poll { application: application.id }, now)?;
        codes::swap(tx, &old, &DeviceCode { state: step.state, ..(*old).clone() }).await?;
        for effect in step.effects {
            match effect {
                Effect::IssueTokens { identity, acr } => {
                    let allowed = Allowed { identity, acr, key };
                    let issue = self.issue(tx, &application, &old, allowed).await?;
                    return Ok(Outcome::Issue(Box::new(issue)));
                }
                Effect::TellPending => return Ok(Outcome::Pending),
                Effect::TellSlowDown => return Ok(Outcome::SlowDown),
                Effect::Audit { .. } => {}
            }
        }
        Err(Fault::broken("a poll of a device has no answer").into())
    }
}

/// What a person has allowed, and the key that the tokens of it are bound to.
struct Allowed {
    identity: Identity,
    acr: String,
    key: Option<Thumbprint>,
}

impl Redeem {
    /// Makes the grant, which is redeemed in the same moment.
    async fn issue(
        &self,
        tx: &mut Tx<'_>,
        application: &Application,
        code: &DeviceCode,
        allowed: Allowed,
    ) -> Result<Issue, RedeemDeviceCodeError> {
        let Allowed { identity, acr, key } = allowed;
        let user = user::load(tx, code.environment, identity.user).await?;
        let user = user.filter(|user| user.may_sign_in());
        let user = user.ok_or(RedeemDeviceCodeError::UnknownCode)?;
        let issued = Grant {
            id: code.id.cast(),
            environment: code.environment,
            application: application.id,
            identity,
            scopes: code.scopes.clone(),
            access: code.access.clone(),
            acr,
            nonce: None,
            redirect_uri: None,
            code_challenge: None,
            installation: None,
            session: None,
            // RFC 9449, section 5: refresh tokens are bound as those of a code are.
            confirmation: key.filter(|_| application.is_public()),
            issued_at: self.call.now,
            state: grant::State::Issued,
        };
        let held = protected_resource::held(tx, application, code.access.as_ref()).await?;
        let event = grant::Event::Redeem {
            application: application.id,
            redirect_uri: None,
            code_challenge: None,
            terms: Terms::of(application).or_for(held.as_ref().map(Held::token_seconds)),
        };
        let broken = || Fault::broken("a grant of a device cannot be redeemed");
        let step = grant::apply(&issued, &event, self.call.now).map_err(|_| broken())?;
        let grant = Grant { state: step.state, ..issued };
        grants::insert_redeemed(tx, &grant).await?;
        let refresh = step.effects.iter().find_map(|effect| match effect {
            grant::Effect::IssueTokens { refresh } => Some(*refresh),
            grant::Effect::Audit { .. } => None,
        });
        let whole = Issue::whole(grant, application, &user, refresh.ok_or_else(broken)?);
        let whole = whole.at(held, &user);
        if whole.is_empty() {
            return Err(RedeemDeviceCodeError::NothingLeft);
        }
        Ok(Issue { key, ..whole })
    }
}
