//! Redeems an authorization code (RFC 6749, section 4.1.3), and decides whether the phone is offered to be paired.

use std::sync::Arc;

use countersign_domain::{
    application::{Application, GrantType},
    audit,
    dpop::DpopProof,
    flow::Method,
    grant::{self, Effect, Event, Grant, Terms},
    id::Id,
    installation::Installation,
    pairing::{self, NoOffer, State, Ticket, Voucher},
    user::User,
};
use countersign_protocol::{
    encoding, entropy::random, jose, pairing::PairingClaim, secret::Secret,
};
use countersign_store::{
    Tx, Work, authenticator, device, grant as grants, mfa_policy, mfa_settings, pairing as tickets,
    user,
};

use super::{
    App, Call, Fault, Realm,
    authenticate_client::{ClientCredentials, ClientError},
    check_dpop::{self, DpopRefusal},
    fault::faults,
    issue_tokens::{Issue, Tokens},
    protected_resource::{self, Held},
};

/// A token request of the grant type `authorization_code`.
#[derive(Clone, Debug)]
pub struct ExchangeCode {
    /// Who asks.
    pub client: ClientCredentials,
    /// `code`
    pub code: Secret<String>,
    /// `redirect_uri`
    pub redirect_uri: Option<String>,
    /// `code_verifier`
    pub code_verifier: Option<Secret<String>>,
    /// The proof of the key that the tokens shall be bound to.
    pub dpop: Option<DpopProof>,
    /// The name under which the request is logged.
    pub correlation: String,
}

/// Why there are no tokens.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The client did not prove itself.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The client may not use this grant type.
    #[error("the application may not use authorization codes")]
    UnauthorizedClient,
    /// The code verifier cannot be one (RFC 7636, section 4.1).
    #[error("code_verifier must be 43 to 128 unreserved characters")]
    MalformedVerifier,
    /// Not a code of this environment, or forgotten.
    #[error("code is unknown or has expired")]
    UnknownCode,
    /// It was for a resource of which the application has no scopes any more.
    #[error("nothing is left of what was granted")]
    NothingLeft,
    /// The code does not count.
    #[error(transparent)]
    Grant(#[from] grant::Refusal),
    /// The proof of a key does not count, or there is none.
    #[error(transparent)]
    Dpop(#[from] DpopRefusal),
    /// It could not be decided.
    #[error(transparent)]
    Fault(Fault),
}

faults!(ExchangeError);

impl App {
    /// Redeems a code.
    pub async fn exchange_code(
        self: &Arc<Self>,
        realm: &Arc<Realm>,
        request: ExchangeCode,
    ) -> Result<Tokens, ExchangeError> {
        let code_challenge = request.code_verifier.as_ref().map(challenge).transpose()?;
        let call = self.call(realm.environment, &request.correlation);
        let (ticket, ticket_secret) = (call.new_id(), Secret::new(random(self.entropy.as_ref())));
        let (app, realm) = (Arc::clone(self), Arc::clone(realm));
        let work = Exchange { app, realm, call, request, code_challenge, ticket, ticket_secret };
        let (realm, now) = (Arc::clone(&work.realm), work.call.now);
        let issued = self.store.write(work).await?;
        let issue = issued.ok_or(grant::Refusal::Revoked)?;
        Ok(issue.sign(&realm, now, self.entropy.as_ref())?)
    }
}

/// S256 of a verifier (RFC 7636, section 4.6).
fn challenge(verifier: &Secret<String>) -> Result<String, ExchangeError> {
    let verifier = verifier.expose();
    let unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    if !(43..=128).contains(&verifier.len()) || !verifier.bytes().all(unreserved) {
        return Err(ExchangeError::MalformedVerifier);
    }
    Ok(encoding::encode(jose::digest(verifier)))
}

struct Exchange {
    app: Arc<App>,
    realm: Arc<Realm>,
    call: Call,
    request: ExchangeCode,
    code_challenge: Option<String>,
    ticket: Id<Ticket>,
    ticket_secret: Secret<[u8; 32]>,
}

impl Work for Exchange {
    /// Nothing when the code came a second time: that must be committed, although the request is refused.
    type Output = Option<Issue>;
    type Error = ExchangeError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<Issue>, ExchangeError> {
        let application =
            self.app.authenticate_client(tx, &self.realm, &self.request.client).await?;
        if !application.may(GrantType::AuthorizationCode) {
            return Err(ExchangeError::UnauthorizedClient);
        }
        let key = check_dpop::bind(tx, &application, self.request.dpop.as_ref()).await?;
        let id = self.realm.grant_of(self.request.code.expose());
        let id = id.ok_or(ExchangeError::UnknownCode)?;
        let old = grants::load(tx, self.realm.environment, id, self.call.now).await?;
        let old = old.ok_or(ExchangeError::UnknownCode)?;
        let held = protected_resource::held(tx, &application, old.access.as_ref()).await?;
        let event = Event::Redeem {
            application: application.id,
            redirect_uri: self.request.redirect_uri.clone(),
            code_challenge: self.code_challenge.clone(),
            terms: Terms::of(&application).or_for(held.as_ref().map(Held::token_seconds)),
        };
        let confirmation = old.confirm(key, application.is_public())?;
        let step = grant::apply(&old, &event, self.call.now)?;
        let grant = Grant { state: step.state, confirmation, ..(*old).clone() };
        grants::swap(tx, &old, &grant).await?;
        let (mut issue, mut held) = (None, held);
        for effect in step.effects {
            match effect {
                Effect::IssueTokens { refresh } => {
                    let user = user::load(tx, grant.environment, grant.identity.user).await?;
                    let user = user.filter(|user| user.may_sign_in());
                    let user = user.ok_or(ExchangeError::UnknownCode)?;
                    let pairing = self.pairing(tx, &application, &grant, &user).await?;
                    let whole = Issue::whole(grant.clone(), &application, &user, refresh);
                    let whole = whole.at(held.take(), &user);
                    if whole.is_empty() {
                        return Err(ExchangeError::NothingLeft);
                    }
                    issue = Some(Issue { pairing, key, ..whole });
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

impl Exchange {
    /// What the ID token says about pairing: nothing, unless the request carried a mobile payload.
    async fn pairing(
        &self,
        tx: &mut Tx<'_>,
        application: &Application,
        grant: &Grant,
        user: &User,
    ) -> Result<Option<PairingClaim>, ExchangeError> {
        let Some(installation) = &grant.installation else { return Ok(None) };
        let own = device::find_of_user(tx, user.id, installation.thumbprint).await?;
        if let Some(no_offer) =
            own.and_then(|own| pairing::known(installation, &[own.into_value()]))
        {
            return Ok(Some(claim(no_offer)));
        }
        let devices = device::list_of_user(tx, user.id).await?;
        let authenticators = authenticator::list_of_user(tx, user.id).await?;
        let policy = match grant.identity.mfa_policy {
            Some(id) => mfa_policy::load(tx, grant.environment, id).await?,
            None => None,
        };
        let settings = mfa_settings::load(tx, grant.environment).await?;
        let facts = pairing::Facts {
            policy: policy.as_deref(),
            application,
            installation,
            user,
            voucher: Voucher::SignOn {
                multi_factor: grant.identity.methods.contains(&Method::Mfa),
            },
            devices: &devices,
            authenticators: &authenticators,
            settings: &settings,
        };
        Ok(Some(match pairing::check(facts) {
            Ok(()) => self.offer(tx, application, grant, installation).await?,
            Err(no_offer) => {
                self.audit_no_offer(tx, grant, no_offer).await?;
                claim(no_offer)
            }
        }))
    }

    async fn offer(
        &self,
        tx: &mut Tx<'_>,
        application: &Application,
        grant: &Grant,
        installation: &Installation,
    ) -> Result<PairingClaim, ExchangeError> {
        let gone = || Fault::broken("a pairing is offered without a policy");
        let secret = self.ticket_secret.expose();
        let ticket = Ticket {
            id: self.ticket,
            environment: grant.environment,
            user: grant.identity.user,
            application: application.id,
            key: installation.key,
            mfa_policy: grant.identity.mfa_policy.ok_or_else(gone)?,
            multi_factor: grant.identity.methods.contains(&Method::Mfa),
            secret_hash: self.realm.ticket_hash(self.ticket, secret),
            issued_at: self.call.now,
            state: State::Open,
        };
        tickets::insert(tx, &ticket).await?;
        let mobile = application.mobile.as_ref().ok_or_else(gone)?;
        Ok(PairingClaim::Offered {
            ticket: self.realm.ticket_value(self.ticket, secret),
            jkt: installation.thumbprint,
            expires_at: ticket.expires_at(),
            step_seconds: mobile.passcode_step_seconds.into(),
        })
    }

    /// Two reasons are worth an administrator's eye; the others are everyday.
    async fn audit_no_offer(
        &self,
        tx: &mut Tx<'_>,
        grant: &Grant,
        reason: NoOffer,
    ) -> Result<(), ExchangeError> {
        let action = match reason {
            NoOffer::LimitReached { .. } => audit::Action::DeviceActivationFailed,
            NoOffer::Compromised => audit::Action::DevicePairingFailedCompromised,
            NoOffer::AlreadyPaired | NoOffer::Disabled => return Ok(()),
        };
        let event = audit::Event::failed(action, reason.name());
        let event = event.through(grant.application).about(grant.identity.user);
        Ok(self.call.audit(tx, event).await?)
    }
}

/// Why there is no offer, as the phone is told.
const fn claim(no_offer: NoOffer) -> PairingClaim {
    match no_offer {
        NoOffer::AlreadyPaired => PairingClaim::AlreadyPaired,
        NoOffer::Disabled => PairingClaim::Disabled,
        NoOffer::Compromised => PairingClaim::Compromised,
        NoOffer::LimitReached { .. } => PairingClaim::LimitReached,
    }
}
