//! Makes a device of an installation that shows by what it may be paired, a ticket or a pairing key, and tests whether it can be
//! reached.

use std::{sync::Arc, time::Duration};

use countersign_domain::{
    application::Application,
    audit::{self, Mentionable},
    device::{AddressState, Device, State as DeviceState},
    id::Id,
    installation::Installation,
    mfa_policy::MfaPolicy,
    pairing::{self, NoOffer, Voucher},
    pairing_key,
    user::{Name as UserName, User},
};
use countersign_protocol::{
    challenge::{VerificationKey, VerificationKeyError},
    entropy::random,
    jwk::EcPublicKey,
    mobile_payload::PushService,
    otp,
    pairing::{
        Authenticator, AuthenticatorKind, AuthenticatorStatus, Name, Pair, PairingFacts,
        PairingResponse, Reference, UserFacts, passcode_proof_holds,
    },
    push::Hint,
    secret::Secret,
    seed::{self, Seed},
};
use countersign_push::{Answer, Outcome, Style};
use countersign_store::{
    StoreError, Tx, Versioned, Work, authenticator, device, mfa_policy, mfa_settings,
    push_credentials, spent_proof, user,
};

use super::{
    App, DeviceCallError, Fault,
    deliver_push::{MISSING_DEVICE_TOKEN, MISSING_PUSH_CREDENTIALS, PUSH_DISABLED, Recipient},
    installation::{Proved, answer, open_seed, seed_place},
};
use crate::{keys::KeyError, limits::Limited};

/// Why an installation was not paired.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// The proof does not count.
    #[error(transparent)]
    Call(#[from] DeviceCallError),
    /// Somebody seems to guess pairing keys.
    #[error(transparent)]
    Limited(#[from] Limited),
    /// The user-verification key has not shown itself.
    #[error("proof.verification {0}")]
    Verification(VerificationKeyError),
    /// No such ticket.
    #[error("proof.ticket is not one of this environment")]
    UnknownTicket,
    /// No such pairing key.
    #[error("there is no such pairing key")]
    UnknownKey,
    /// The app is another than the one that the ticket was made for.
    #[error("proof.app.id must be the application that the ticket was made for")]
    OtherApplication,
    /// The ticket does not allow it.
    #[error(transparent)]
    Ticket(#[from] pairing::Refusal),
    /// The pairing key does not allow it.
    #[error(transparent)]
    Key(#[from] pairing_key::Refusal),
    /// The policy, the user's devices or the phone do not allow it, or no longer.
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

/// A statement by which an installation is to be paired, on its way into the transaction.
pub(super) struct Pairing<P> {
    pub proved: Proved<P>,
    /// The id that the device would get.
    pub device: Id<Device>,
    app: Arc<App>,
    /// The key that signs for the person, which has shown itself.
    verification: Option<EcPublicKey>,
    /// The seed that its passcodes would have.
    secret: Secret<[u8; 20]>,
}

/// What a device rests on.
pub(super) struct Ground {
    pub application: Application,
    pub user: Versioned<User>,
    pub mfa_policy: Id<MfaPolicy>,
    pub voucher: Voucher,
}

/// A new device, and whose it is.
pub(super) struct Paired {
    pub device: Device,
    user: Option<audit::Mention<User>>,
    application: Option<audit::Mention<Application>>,
}

impl Paired {
    /// What has happened, to whom.
    pub fn tell(&self, event: audit::Event) -> audit::Event {
        event.about(self.user.clone()).through(self.application.clone()).on(&self.device)
    }
}

/// What a phone is answered, and what is still to be found out for it.
pub(super) struct Answered {
    /// As it is kept with the proof.
    json: String,
    test: Option<Box<Test>>,
}

/// A new device that a test message may reach.
struct Test {
    proof: spent_proof::Key,
    response: PairingResponse,
    to: Recipient,
}

impl Answered {
    /// What the same proof was answered before.
    pub const fn again(json: String) -> Self {
        Self { json, test: None }
    }
}

impl<P: Pair> Pairing<P> {
    /// Checks what the statement brings.
    pub fn new(app: &Arc<App>, proved: Proved<P>) -> Result<Self, PairError> {
        let PairingFacts { nonce, verification, .. } = proved.proof.body().facts();
        let of = (proved.proof.thumbprint(), nonce);
        let address = P::address(&proved.realm.device_base);
        let verify = |jws| VerificationKey::verify(jws, of, &address, proved.call.now);
        let verification = verification.map(verify).transpose();
        let verification = verification.map_err(PairError::Verification)?;
        let secret = Secret::new(random::<20>(app.entropy.as_ref()));
        let device = proved.call.new_id();
        Ok(Self { app: Arc::clone(app), device, verification, secret, proved })
    }

    fn facts(&self) -> PairingFacts<'_> {
        self.proved.proof.body().facts()
    }

    /// Makes the device, if everything allows it.
    pub async fn pair(&self, tx: &mut Tx<'_>, ground: Ground) -> Result<Paired, PairError> {
        let Ground { application, user, mfa_policy: policy, voucher } = ground;
        let environment = user.environment;
        let policy = mfa_policy::load(tx, environment, policy).await?;
        let settings = mfa_settings::load(tx, environment).await?;
        let devices = device::list_of_user(tx, user.id).await?;
        let authenticators = authenticator::list_of_user(tx, user.id).await?;
        let installation = self.installation(application.id);
        let facts = pairing::Facts {
            policy: policy.as_deref(),
            application: &application,
            installation: &installation,
            user: &user,
            voucher,
            devices: &devices,
            authenticators: &authenticators,
            settings: &settings,
        };
        pairing::check(facts)?;
        let mobile = application.mobile.clone().ok_or(NoOffer::Disabled)?;
        let now = self.proved.call.now;
        let step_seconds = mobile.passcode_step_seconds;
        let present = otp::step_at(step_seconds.into(), now);
        let seed = self.app.vault.seal(
            seed_place(&self.device),
            self.secret.expose(),
            self.app.entropy.as_ref(),
        )?;
        let device = Device {
            id: self.device,
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
            logs: None,
            updated_at: None,
            created_at: now,
            // The seed is new: every code in the window is of after the pairing.
            state: DeviceState::paired(present - i64::from(mobile.passcode_grace_steps) - 1),
        };
        // Two phones that take the last place at once meet at the user's row: one of them counts again.
        user::swap(tx, &user, &User { updated_at: now, ..(*user).clone() }).await?;
        device::insert(tx, &device).await?;
        let (user, application) = ((&*user).mention(), (&application).mention());
        Ok(Paired { device, user, application })
    }

    fn installation(&self, application: Id<Application>) -> Installation {
        let PairingFacts { app, dev, push, .. } = self.facts();
        Installation {
            thumbprint: self.proved.proof.thumbprint(),
            key: *self.proved.proof.key(),
            application,
            platform: app.platform,
            package: app.package.clone(),
            version: app.version.clone(),
            device: dev.clone(),
            push: push.cloned(),
        }
    }

    /// The device of this id, if it can be used.
    pub async fn usable(
        &self,
        tx: &mut Tx<'_>,
        id: Id<Device>,
    ) -> Result<Option<Device>, StoreError> {
        let found = device::load(tx, self.proved.realm.environment, id).await?;
        let usable = found.filter(|device| device.is_usable(self.proved.call.now));
        Ok(usable.map(Versioned::into_value))
    }

    /// Answers the phone, and keeps the answer with its proof.
    pub async fn respond(
        &self,
        tx: &mut Tx<'_>,
        device: &Device,
        is_new: bool,
    ) -> Result<Answered, PairError> {
        let user = user::load(tx, device.environment, device.user).await?;
        let user = user.ok_or_else(|| Fault::broken("a device has no user"))?;
        let seed = open_seed(&self.app.vault, device)?;
        let secret: [u8; 20] = seed
            .expose()
            .as_slice()
            .try_into()
            .map_err(|_| Fault::broken("a seed has not twenty bytes"))?;
        let step_seconds = device.passcode_step_seconds.into();
        let seed =
            Seed { device: device.id.to_string(), secret: Secret::new(secret), step_seconds };
        let push = self.push(tx, device).await?;
        let is_open = push.status == AuthenticatorStatus::Unknown;
        let response = PairingResponse {
            device: Reference { id: device.id.to_string() },
            environment: Reference { id: device.environment.to_string() },
            user: user_facts(&user),
            authenticators: vec![push, self.passcode(step_seconds)],
            seed: Some(seed::seal(&seed, self.facts().agreement, self.app.entropy.as_ref())),
        };
        let proof = self.proved.key();
        let json = answer(tx, &proof, &response).await?;
        let to = if is_open && is_new { Recipient::of(tx, device.clone()).await? } else { None };
        let test = to.map(|to| Box::new(Test { proof, response, to }));
        Ok(Answered { json, test })
    }

    /// Whether the phone can be asked by push, as far as that is known before a test.
    async fn push(&self, tx: &mut Tx<'_>, device: &Device) -> Result<Authenticator, PairError> {
        let (code, message) = match self.facts().push {
            None => (MISSING_DEVICE_TOKEN, "the app has given no push address"),
            Some(push) if !push.enabled => (PUSH_DISABLED, "the app has switched push off"),
            Some(_) if device.verification.is_none() => {
                ("MissingVerificationKey", "the phone has no key that asks its user")
            }
            Some(push) if push.service == PushService::Direct => {
                return Ok(completed(AuthenticatorKind::Push));
            }
            Some(push) => {
                let native = device.installation.application;
                let services = push_credentials::list_services(tx, native).await?;
                if services.contains(&push.service) {
                    return Ok(unknown(AuthenticatorKind::Push));
                }
                (MISSING_PUSH_CREDENTIALS, "the application has no push credentials")
            }
        };
        Ok(failed(AuthenticatorKind::Push, code, message))
    }

    fn passcode(&self, step_seconds: i64) -> Authenticator {
        let (facts, now) = (self.facts(), self.proved.call.now);
        let step_seconds = facts.step_seconds.unwrap_or(step_seconds);
        let holds = |windows| {
            let secret = facts.secret.as_bytes();
            passcode_proof_holds(secret, step_seconds, windows, facts.passcode, now)
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

/// How long the answer to a phone waits for what its push service says to the test message.
const TEST_WAIT: Duration = Duration::from_secs(5);

/// How long a push service may keep the test message, in seconds.
const TEST_SECONDS: i64 = 60;

impl App {
    /// Sends a test message to a new device, now that it is committed, and answers the phone with what became of it. The result
    /// is for the phone alone: an address that is nobody's is found out by the first message that somebody needs.
    pub(super) async fn test_paired(&self, answered: Answered) -> Result<String, Fault> {
        let Answered { json, test } = answered;
        let Some(test) = test else { return Ok(json) };
        let Test { proof, mut response, to } = *test;
        let hint = Hint::Test { id: response.device.id.clone() };
        let expires_at = self.now().plus_seconds(TEST_SECONDS);
        let sending = self.send_hint(&to, hint, Style::Silent, expires_at);
        let push = match tokio::time::timeout(TEST_WAIT, sending).await {
            Err(_elapsed) => return Ok(json),
            Ok(Err(error)) => {
                tracing::warn!(%error, "cannot test whether a new device can be reached");
                return Ok(json);
            }
            Ok(Ok(answer)) => of_test(answer),
        };
        response.authenticators.retain(|other| other.kind != AuthenticatorKind::Push);
        response.authenticators.insert(0, push);
        let tested = serde_json::to_string(&response);
        let json = tested.map_err(|_| Fault::broken("an answer has no JSON"))?;
        // The phone is paired whether or not this is kept.
        if let Err(error) = self.store.write(Amend { proof, json: json.clone() }).await {
            tracing::warn!(%error, "cannot keep the result of a test message");
        }
        Ok(json)
    }
}

/// What the answer to a test message says of the way to the app.
fn of_test(answer: Answer) -> Authenticator {
    let status = match answer.outcome {
        Outcome::Accepted => return completed(AuthenticatorKind::Push),
        // Another time it may do.
        Outcome::Retry { .. } | Outcome::Unreachable => AuthenticatorStatus::Unknown,
        Outcome::Unregistered { .. }
        | Outcome::Expired
        | Outcome::Misconfigured(_)
        | Outcome::Rejected(_) => AuthenticatorStatus::Failed,
    };
    let error_code = Some(answer.raw.reason);
    let error_message = Some("the push service has not taken a test message".to_owned());
    Authenticator { kind: AuthenticatorKind::Push, status, error_code, error_message }
}

/// Whoever sends the same proof again is told the result of the test too.
struct Amend {
    proof: spent_proof::Key,
    json: String,
}

impl Work for Amend {
    type Output = ();
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        spent_proof::amend(tx, &self.proof, &self.json).await
    }
}

const fn completed(kind: AuthenticatorKind) -> Authenticator {
    let status = AuthenticatorStatus::Completed;
    Authenticator { kind, status, error_code: None, error_message: None }
}

const fn unknown(kind: AuthenticatorKind) -> Authenticator {
    let status = AuthenticatorStatus::Unknown;
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
