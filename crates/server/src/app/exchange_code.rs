//! Redeems an authorization code (RFC 6749, section 4.1.3), and decides whether the phone is offered to be paired.

use std::sync::Arc;

use countersign_domain::{
    application::{Application, GrantType, TokenEndpointAuthMethod},
    audit,
    authorization::Scope,
    flow::Method,
    grant::{self, Effect, Event, Grant, TOKEN_SECONDS},
    id::Id,
    installation::Installation,
    pairing::{self, NoOffer, State, Ticket},
    user::User,
};
use countersign_protocol::{
    encoding,
    entropy::random,
    id_token,
    jose::{self, Algorithm},
    pairing::PairingClaim,
    secret::Secret,
    time::Timestamp,
};
use countersign_store::{
    Tx, Work, application, device, grant as grants, mfa_policy, mfa_settings, pairing as tickets,
    user,
};
use serde::Serialize;

use super::{App, Call, Fault, Realm, create_application::open_secret, fault::faults};

/// How a client proves itself at the token endpoint.
#[derive(Clone, Debug)]
pub struct ClientCredentials {
    /// `client_id`
    pub client_id: String,
    /// The way in which it came.
    pub method: TokenEndpointAuthMethod,
    /// `client_secret`, for the ways that have one.
    pub secret: Option<Secret<String>>,
}

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
    /// The name under which the request is logged.
    pub correlation: String,
}

/// What the application gets (RFC 6749, section 5.1; OIDC Core, section 3.1.3.3).
#[derive(Clone, Debug)]
pub struct Tokens {
    /// For userinfo.
    pub access_token: Secret<String>,
    /// Who signed in.
    pub id_token: Secret<String>,
    /// Life of the access token.
    pub expires_in_seconds: i64,
    /// What was granted.
    pub scope: String,
}

/// Why there are no tokens.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The client is unknown, or did not prove itself as registered.
    #[error("client authentication failed")]
    InvalidClient,
    /// The client may not use this grant type.
    #[error("the application may not use authorization codes")]
    UnauthorizedClient,
    /// The code verifier cannot be one (RFC 7636, section 4.1).
    #[error("code_verifier must be 43 to 128 unreserved characters")]
    MalformedVerifier,
    /// Not a code of this environment, or forgotten.
    #[error("code is unknown or has expired")]
    UnknownCode,
    /// The code does not count.
    #[error(transparent)]
    Grant(#[from] grant::Refusal),
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
        let redeemed = self.store.write(work).await?;
        // Signed after the commit: a code that is spent can only lose its tokens, never give them twice.
        let redeemed = redeemed.ok_or(grant::Refusal::Revoked)?;
        Ok(redeemed.sign(&realm, now)?)
    }

    /// The application that a token request comes from.
    async fn authenticate_client(
        &self,
        tx: &mut Tx<'_>,
        realm: &Realm,
        client: &ClientCredentials,
    ) -> Result<Application, ExchangeError> {
        let id = client.client_id.parse().map_err(|_| ExchangeError::InvalidClient)?;
        let application = application::load(tx, realm.environment, id).await?;
        let application = application
            .filter(|application| application.enabled)
            .ok_or(ExchangeError::InvalidClient)?;
        // Exactly the registered way: a public client with a secret, or a secret sent elsewhere, is refused.
        if application.token_endpoint_auth_method != client.method {
            return Err(ExchangeError::InvalidClient);
        }
        let expected = open_secret(&self.vault, &application)?;
        let given =
            client.secret.as_ref().map(|secret| Secret::new(secret.expose().as_bytes().to_vec()));
        if expected == given {
            Ok(application.into_value())
        } else {
            Err(ExchangeError::InvalidClient)
        }
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

/// What is signed once it is committed.
struct Redeemed {
    grant: Grant,
    algorithm: Algorithm,
    pairing: Option<PairingClaim>,
}

impl Work for Exchange {
    /// Nothing when the code came a second time: that must be committed, although the request is refused.
    type Output = Option<Redeemed>;
    type Error = ExchangeError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<Redeemed>, ExchangeError> {
        let application =
            self.app.authenticate_client(tx, &self.realm, &self.request.client).await?;
        if !application.grant_types.contains(&GrantType::AuthorizationCode) {
            return Err(ExchangeError::UnauthorizedClient);
        }
        let id = self.realm.grant_of(self.request.code.expose());
        let id = id.ok_or(ExchangeError::UnknownCode)?;
        let old = grants::load(tx, self.realm.environment, id, self.call.now).await?;
        let old = old.ok_or(ExchangeError::UnknownCode)?;
        let event = Event::Redeem {
            application: application.id,
            redirect_uri: self.request.redirect_uri.clone(),
            code_challenge: self.code_challenge.clone(),
        };
        let step = grant::apply(&old, &event, self.call.now)?;
        let grant = Grant { state: step.state, ..(*old).clone() };
        grants::swap(tx, &old, &grant).await?;
        let mut redeemed = None;
        for effect in step.effects {
            match effect {
                Effect::IssueTokens => {
                    let user = user::load(tx, grant.environment, grant.identity.user).await?;
                    let user = user.filter(|user| user.enabled);
                    let user = user.ok_or(ExchangeError::UnknownCode)?;
                    let pairing = self.pairing(tx, &application, &grant, &user).await?;
                    let algorithm = application.id_token_algorithm;
                    redeemed = Some(Redeemed { grant: grant.clone(), algorithm, pairing });
                }
                Effect::Audit(action) => {
                    let event = audit::Event::failed(action, "code_used_twice");
                    let event = event.through(application.id).about(grant.identity.user);
                    self.call.audit(tx, event).await?;
                }
            }
        }
        Ok(redeemed)
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
        let devices = device::list_of_user(tx, user.id).await?;
        if let Some(no_offer) = pairing::known(installation, &devices) {
            return Ok(Some(claim(no_offer)));
        }
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
            multi_factor: grant.identity.methods.contains(&Method::Mfa),
            devices: &devices,
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

/// `typ` of access tokens (RFC 9068, section 2.1), which keeps them from passing as ID tokens.
pub(super) const ACCESS_TOKEN_TYP: &str = "at+jwt";

#[derive(Serialize)]
struct AccessTokenClaims<'a> {
    iss: &'a str,
    sub: String,
    aud: [&'a str; 1],
    client_id: String,
    scope: &'a str,
    iat: i64,
    exp: i64,
    jti: String,
    auth_time: Option<i64>,
    acr: &'a str,
    env: String,
}

#[derive(Serialize)]
struct IdTokenClaims<'a> {
    iss: &'a str,
    sub: String,
    aud: String,
    iat: i64,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_time: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    acr: &'a str,
    amr: Vec<&'static str>,
    at_hash: String,
    env: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    countersign_pairing: Option<&'a PairingClaim>,
}

impl Redeemed {
    fn sign(&self, realm: &Realm, now: Timestamp) -> Result<Tokens, crate::keys::KeyError> {
        let Grant { identity, application, scopes, acr, .. } = &self.grant;
        let (iat, exp) = (now.unix_seconds(), now.plus_seconds(TOKEN_SECONDS).unix_seconds());
        let auth_time = identity.authenticated_at.map(Timestamp::unix_seconds);
        let (iss, env) = (realm.issuer.as_str(), realm.environment.to_string());
        let scope = Scope::join(scopes);
        let access = AccessTokenClaims {
            iss,
            sub: identity.user.to_string(),
            aud: [iss],
            client_id: application.to_string(),
            scope: &scope,
            iat,
            exp,
            jti: self.grant.id.to_string(),
            auth_time,
            acr,
            env: env.clone(),
        };
        let access_token = realm.keys.sign(Algorithm::Es256, ACCESS_TOKEN_TYP, &access)?;
        // OIDC Core, section 3.1.3.6: the left half of the hash.
        let hash = jose::digest(&access_token);
        let (half, _) = hash.split_at(hash.len() / 2);
        let id = IdTokenClaims {
            iss,
            sub: identity.user.to_string(),
            aud: application.to_string(),
            iat,
            exp,
            auth_time,
            nonce: self.grant.nonce.as_deref(),
            acr,
            amr: identity.methods.iter().map(|method| method.name()).collect(),
            at_hash: encoding::encode(half),
            env,
            countersign_pairing: self.pairing.as_ref(),
        };
        let id_token = realm.keys.sign(self.algorithm, id_token::TYP, &id)?;
        Ok(Tokens {
            access_token: Secret::new(access_token),
            id_token: Secret::new(id_token),
            expires_in_seconds: TOKEN_SECONDS,
            scope,
        })
    }
}
