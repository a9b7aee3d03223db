//! Pairs an installation by the ticket of its ID token, or spends the ticket when the person says no.

use std::sync::Arc;

use countersign_domain::{
    application::Application,
    audit::{self, Mentionable},
    device::{AddressState, Device, State as DeviceState},
    id::Id,
    installation::Installation,
    pairing::{self, Effect, Event, NoOffer, State, Ticket},
    user::{Name as UserName, User},
};
use countersign_protocol::{
    challenge::{VerificationKey, VerificationKeyError},
    device_api::DeviceRequest,
    entropy::random,
    jose::Part,
    jwk::EcPublicKey,
    mobile_payload::PushService,
    otp,
    pairing::{
        Authenticator, AuthenticatorKind, AuthenticatorStatus, DenialResponse, DenialStatus, Name,
        PairingDenial, PairingRequest, PairingResponse, Reference, UserFacts, passcode_proof_holds,
    },
    proof::{Peeked, ProofError, Verified},
    secret::Secret,
    seed::{self, Seed},
    time::Timestamp,
};
use countersign_store::{
    StoreError, Tx, Versioned, Work, application, device, mfa_policy, mfa_settings,
    pairing as tickets, push_credentials, user,
};
use serde::Deserialize;

use super::{
    App, DeviceCall, DeviceCallError, Fault, Realm,
    deliver_push::{MISSING_DEVICE_TOKEN, MISSING_PUSH_CREDENTIALS, PUSH_DISABLED},
    installation::{Proved, answer, open_seed, peek_at, seed_place, spend},
    realm::split_handle,
};
use crate::keys::KeyError;

/// Why an installation was not paired.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// The proof does not count.
    #[error(transparent)]
    Call(#[from] DeviceCallError),
    /// The user-verification key has not shown itself.
    #[error("proof.verification {0}")]
    Verification(VerificationKeyError),
    /// No such ticket.
    #[error("proof.ticket is not one of this environment")]
    UnknownTicket,
    /// The app is another than the one that the ticket was made for.
    #[error("proof.app.id must be the application that the ticket was made for")]
    OtherApplication,
    /// The ticket does not allow it.
    #[error(transparent)]
    Ticket(#[from] pairing::Refusal),
    /// The policy, the user's devices or the phone no longer allow it.
    #[error(transparent)]
    NoOffer(#[from] NoOffer),
}

impl From<StoreError> for PairError {
    fn from(error: StoreError) -> Self {
        Self::Call(error.into())
    }
}

impl From<Fault> for PairError {
    fn from(fault: Fault) -> Self {
        Self::Call(fault.into())
    }
}

impl From<KeyError> for PairError {
    fn from(error: KeyError) -> Self {
        Self::Call(error.into())
    }
}

impl App {
    /// Pairs an installation: what `POST D/pairings` answers.
    pub async fn approve_pairing(
        self: &Arc<Self>,
        realm: &Arc<Realm>,
        request: DeviceCall,
    ) -> Result<String, PairError> {
        let peeked = peek_at::<PairingRequest>(realm, &request, self.now())?;
        let key = self.key_of_ticket(realm, &peeked).await?;
        let proof = self.verify(realm, peeked, &key)?;
        let verification = verification_key(realm, &proof, self.now())?;
        let call = self.call(realm.environment, &request.correlation);
        let (device, secret) = (call.new_id(), Secret::new(random::<20>(self.entropy.as_ref())));
        let proved = Proved { realm: Arc::clone(realm), call, proof };
        let (app, call) = (Arc::clone(self), proved.call.clone());
        let paired = self.store.write(Approve { app, proved, verification, device, secret }).await;
        // The transaction of a refusal is gone; the audit log shall know all the same.
        match &paired {
            Err(PairError::NoOffer(why)) => {
                let failed = audit::Action::DeviceActivationFailed;
                self.note(call, audit::Event::failed(failed, why.name())).await?;
            }
            Err(PairError::Call(DeviceCallError::Clash)) => self.note_clash(call).await?,
            _ => {}
        }
        paired
    }

    /// Spends the ticket of a person who said no: what `POST D/pairings/denials` answers.
    pub async fn deny_pairing(
        &self,
        realm: &Arc<Realm>,
        request: DeviceCall,
    ) -> Result<String, PairError> {
        let peeked = peek_at::<PairingDenial>(realm, &request, self.now())?;
        let key = self.key_of_ticket(realm, &peeked).await?;
        let proof = self.verify(realm, peeked, &key)?;
        let call = self.call(realm.environment, &request.correlation);
        let proved = Proved { realm: Arc::clone(realm), call: call.clone(), proof };
        let answered = self.store.write(Deny(proved)).await;
        if let Err(PairError::Call(DeviceCallError::Clash)) = &answered {
            self.note_clash(call).await?;
        }
        answered
    }

    /// The key that a ticket is bound to. The ticket is read before the signature is checked, since it says which key must
    /// have made it.
    async fn key_of_ticket<P: DeviceRequest>(
        &self,
        realm: &Arc<Realm>,
        peeked: &Peeked<P>,
    ) -> Result<EcPublicKey, PairError> {
        #[derive(Deserialize)]
        struct Bearing {
            ticket: Secret<String>,
        }
        let in_claims = |source| ProofError::Json { part: Part::Claims, source };
        let Bearing { ticket } = peeked
            .unverified_claims()
            .map_err(|error| realm.refuse(in_claims(error), self.now()))?;
        let ticket =
            self.store.read(FindTicket { realm: Arc::clone(realm), value: ticket }).await?;
        Ok(ticket.ok_or(PairError::UnknownTicket)?.key)
    }
}

/// The user-verification key that a pairing request brings, if it is one.
fn verification_key(
    realm: &Realm,
    proof: &Verified<PairingRequest>,
    now: Timestamp,
) -> Result<Option<EcPublicKey>, PairError> {
    let body = proof.body();
    let Some(jws) = &body.verification else { return Ok(None) };
    let of = (proof.thumbprint(), body.nonce.as_str());
    let address = PairingRequest::address(&realm.device_base);
    let key = VerificationKey::verify(jws, of, &address, now);
    key.map(Some).map_err(PairError::Verification)
}

struct FindTicket {
    realm: Arc<Realm>,
    value: Secret<String>,
}

impl Work for FindTicket {
    type Output = Option<Versioned<Ticket>>;
    type Error = StoreError;
    const IS_BRIEF: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Self::Output, StoreError> {
        load(tx, &self.realm, &self.value).await
    }
}

/// The ticket of this value, if the secret in it is right.
async fn load(
    tx: &mut Tx<'_>,
    realm: &Realm,
    value: &Secret<String>,
) -> Result<Option<Versioned<Ticket>>, StoreError> {
    let Some((id, secret)) = split_handle(value.expose()) else { return Ok(None) };
    let id = Id::from_bytes(id);
    let ticket = tickets::load(tx, realm.environment, id).await?;
    Ok(ticket.filter(|ticket| realm.owns_ticket(id, &secret, &ticket.secret_hash)))
}

struct Approve {
    app: Arc<App>,
    proved: Proved<PairingRequest>,
    /// The key that signs for the person, which has shown itself.
    verification: Option<EcPublicKey>,
    device: Id<Device>,
    secret: Secret<[u8; 20]>,
}

impl Work for Approve {
    type Output = String;
    type Error = PairError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<String, PairError> {
        let Proved { realm, call, proof } = &self.proved;
        if let Some(answer) = spend(tx, &self.proved.key()).await? {
            return Ok(answer);
        }
        realm.check_nonce(&proof.body().nonce, call.now)?;
        let ticket = load(tx, realm, &proof.body().ticket).await?;
        let ticket = ticket.ok_or(PairError::UnknownTicket)?;
        if proof.body().app.id != ticket.application.to_string() {
            return Err(PairError::OtherApplication);
        }
        let event = Event::Approve { thumbprint: proof.thumbprint(), device: self.device };
        let step = pairing::apply(&ticket, &event, call.now)?;
        // The ticket first: who claims it alone looks at the devices. Else another approval could slip in between, and its
        // device be taken for an older one.
        if step.state != ticket.state {
            let claimed = Ticket { state: step.state.clone(), ..(*ticket).clone() };
            tickets::swap(tx, &ticket, &claimed).await?;
        }
        let mut paired = None;
        for effect in &step.effects {
            match effect {
                Effect::CreateDevice(id) => paired = Some(self.pair(tx, &ticket, *id).await?),
                Effect::Audit { action, reason } => {
                    let event = audit::Event::of(*action, *reason);
                    let event = match &paired {
                        // The names are at hand.
                        Some(Paired { device, user, application }) => {
                            event.about(user.clone()).through(application.clone()).on(device)
                        }
                        None => event.about(ticket.user).through(ticket.application),
                    };
                    call.audit(tx, event).await?;
                }
            }
        }
        let paired = match (paired, &step.state) {
            (Some(paired), _) => paired.device,
            // The phone has lost the answer and asks again with a new proof.
            (None, State::Claimed { device, .. }) => {
                let device = device::load(tx, realm.environment, *device).await?;
                let usable = device.filter(|device| device.is_usable(call.now));
                usable.ok_or(pairing::Refusal::Spent)?.into_value()
            }
            (None, State::Open | State::Denied { .. } | State::Expired) => {
                return Err(Fault::broken("an approved ticket is not claimed").into());
            }
        };
        let response = self.respond(tx, &paired).await?;
        Ok(answer(tx, &self.proved.key(), &response).await?)
    }
}

/// A new device, and whose it is.
struct Paired {
    device: Device,
    user: Option<audit::Mention<User>>,
    application: Option<audit::Mention<Application>>,
}

impl Approve {
    /// Makes the device, if everything still allows it.
    async fn pair(
        &self,
        tx: &mut Tx<'_>,
        ticket: &Ticket,
        id: Id<Device>,
    ) -> Result<Paired, PairError> {
        let environment = ticket.environment;
        let gone = || Fault::broken("a ticket refers to something that is gone");
        let application = application::load(tx, environment, ticket.application).await?;
        let application = application.ok_or_else(gone)?;
        let user = user::load(tx, environment, ticket.user).await?.ok_or(NoOffer::Disabled)?;
        let policy = mfa_policy::load(tx, environment, ticket.mfa_policy).await?;
        let settings = mfa_settings::load(tx, environment).await?;
        let devices = device::list_of_user(tx, user.id).await?;
        let installation = self.installation(ticket);
        let facts = pairing::Facts {
            policy: policy.as_deref(),
            application: &application,
            installation: &installation,
            user: &user,
            multi_factor: ticket.multi_factor,
            devices: &devices,
            settings: &settings,
        };
        pairing::check(facts)?;
        let mobile = application.mobile.clone().ok_or(NoOffer::Disabled)?;
        let now = self.proved.call.now;
        let step_seconds = mobile.passcode_step_seconds;
        let present = otp::step_at(step_seconds.into(), now);
        let seed = self.app.vault.seal(
            seed_place(&id),
            self.secret.expose(),
            self.app.entropy.as_ref(),
        )?;
        let device = Device {
            id,
            environment,
            user: user.id,
            installation,
            verification: self.verification,
            address: AddressState::Live,
            contact_at: None,
            nickname: None,
            seed,
            passcode_step_seconds: step_seconds,
            place: None,
            created_at: now,
            // The seed is new: every code in the window is of after the pairing.
            state: DeviceState::paired(present - i64::from(mobile.passcode_grace_steps) - 1),
        };
        // Two phones that take the last place at once meet at the user's row: one of them counts again.
        user::swap(tx, &user, &User { updated_at: now, ..(*user).clone() }).await?;
        device::insert(tx, &device).await?;
        let (user, application) = ((&*user).mention(), (&*application).mention());
        Ok(Paired { device, user, application })
    }

    fn installation(&self, ticket: &Ticket) -> Installation {
        let body = self.proved.proof.body();
        Installation {
            thumbprint: self.proved.proof.thumbprint(),
            key: *self.proved.proof.key(),
            application: ticket.application,
            platform: body.app.platform,
            package: body.app.package.clone(),
            version: body.app.version.clone(),
            device: body.dev.clone(),
            push: body.push.clone(),
        }
    }

    async fn respond(
        &self,
        tx: &mut Tx<'_>,
        device: &Device,
    ) -> Result<PairingResponse, PairError> {
        let user = user::load(tx, device.environment, device.user).await?;
        let user = user.ok_or_else(|| Fault::broken("a device has no user"))?;
        let body = self.proved.proof.body();
        let seed = open_seed(&self.app.vault, device)?;
        let secret: [u8; 20] = seed
            .expose()
            .as_slice()
            .try_into()
            .map_err(|_| Fault::broken("a seed has not twenty bytes"))?;
        let step_seconds = device.passcode_step_seconds.into();
        let seed =
            Seed { device: device.id.to_string(), secret: Secret::new(secret), step_seconds };
        Ok(PairingResponse {
            device: Reference { id: device.id.to_string() },
            environment: Reference { id: device.environment.to_string() },
            user: user_facts(&user),
            authenticators: vec![self.push(tx, device).await?, self.passcode(step_seconds)],
            seed: Some(seed::seal(&seed, &body.agreement, self.app.entropy.as_ref())),
        })
    }

    /// Whether the phone can be asked by push, as far as that is known without asking it.
    async fn push(&self, tx: &mut Tx<'_>, device: &Device) -> Result<Authenticator, PairError> {
        let push = self.proved.proof.body().push.as_ref();
        let (code, message) = match push {
            None => (MISSING_DEVICE_TOKEN, "the app has given no push address"),
            Some(push) if !push.enabled => (PUSH_DISABLED, "the app has switched push off"),
            Some(_) if device.verification.is_none() => {
                ("MissingVerificationKey", "the phone has no key that asks its user")
            }
            Some(push) => {
                let native = device.installation.application;
                let services = push_credentials::list_services(tx, native).await?;
                if push.service == PushService::Direct || services.contains(&push.service) {
                    return Ok(completed(AuthenticatorKind::Push));
                }
                (MISSING_PUSH_CREDENTIALS, "the application has no push credentials")
            }
        };
        Ok(failed(AuthenticatorKind::Push, code, message))
    }

    fn passcode(&self, step_seconds: i64) -> Authenticator {
        let (body, now) = (self.proved.proof.body(), self.proved.call.now);
        let holds = |windows| {
            let ticket = body.ticket.expose().as_bytes();
            passcode_proof_holds(ticket, step_seconds, windows, &body.passcode, now)
        };
        if holds(PASSCODE_GRACE_STEPS) {
            return completed(AuthenticatorKind::OneTimePasscode);
        }
        let (code, message) = if holds(u8::MAX) {
            ("UnSynchronizedClock", "the clock of the device is off by more than a passcode allows")
        } else {
            ("InvalidOneTimePasscode", "the passcode proof is wrong")
        };
        failed(AuthenticatorKind::OneTimePasscode, code, message)
    }
}

/// How many steps the clock of a phone may be off at pairing. Tighter than later checks, since clocks drift apart.
const PASSCODE_GRACE_STEPS: u8 = 1;

const fn completed(kind: AuthenticatorKind) -> Authenticator {
    let status = AuthenticatorStatus::Completed;
    Authenticator { kind, status, error_code: None, error_message: None }
}

fn failed(kind: AuthenticatorKind, code: &str, message: &str) -> Authenticator {
    Authenticator {
        kind,
        status: AuthenticatorStatus::Failed,
        error_code: Some(code.to_owned()),
        error_message: Some(message.to_owned()),
    }
}

/// A user as a phone may name one.
pub(super) fn user_facts(user: &User) -> UserFacts {
    let name = name(&user.name);
    UserFacts { id: user.id.to_string(), username: Some(user.username.clone()), name }
}

/// A name as a phone may show it.
pub(super) fn name(name: &UserName) -> Name {
    Name { given: name.given.clone(), family: name.family.clone() }
}

struct Deny(Proved<PairingDenial>);

impl Work for Deny {
    type Output = String;
    type Error = PairError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<String, PairError> {
        let Self(proved) = self;
        let Proved { realm, call, proof } = proved;
        if let Some(answer) = spend(tx, &proved.key()).await? {
            return Ok(answer);
        }
        realm.check_nonce(&proof.body().nonce, call.now)?;
        let ticket = load(tx, realm, &proof.body().ticket).await?;
        let ticket = ticket.ok_or(PairError::UnknownTicket)?;
        let event = Event::Deny { thumbprint: proof.thumbprint() };
        let step = pairing::apply(&ticket, &event, call.now)?;
        for effect in &step.effects {
            let Effect::Audit { action, reason } = effect else { continue };
            let event = audit::Event::of(*action, *reason);
            call.audit(tx, event.about(ticket.user).through(ticket.application)).await?;
        }
        if step.state != ticket.state {
            tickets::swap(tx, &ticket, &Ticket { state: step.state, ..(*ticket).clone() }).await?;
        }
        let response = DenialResponse { status: DenialStatus::Denied };
        Ok(answer(tx, &proved.key(), &response).await?)
    }
}
