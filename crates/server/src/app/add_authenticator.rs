//! Adds an authenticator to the own account: shows a seed or sends a passcode, and activates it by the first passcode.

use std::sync::Arc;

use countersign_domain::{
    authenticator::{self as authenticators, Authenticator, Kind, State, Target, totp},
    device::{Device, Effect, Event},
    id::Id,
    mfa_policy::{ACTIVATION_LIMIT, MfaPolicy},
    user::User,
};
use countersign_protocol::{entropy::random, secret::Secret};
use countersign_store::{Tx, Versioned, Work, authenticator, environment, mfa_settings, user};

use super::{
    AddOwnDeviceError, App, Call, Fault, Realm,
    asked_device::{matching_step, totp_place},
    change_authenticator::tell,
    change_own_device::{ChangeOwnDeviceError, on_behalf_of, require_proof},
    fault::faults,
    holdings::Holdings,
    read_account::{AccountVisit, Entered, Present, enter, policy_of},
    send_passcode::begin,
};
use crate::keys::KeyError;

/// What a person wants to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewKind {
    /// An authenticator app.
    Totp,
    /// A mail address.
    Email(String),
    /// A phone number for text messages.
    Sms(String),
    /// A phone number for calls.
    Voice(String),
}

/// An authenticator that waits for its first passcode.
#[derive(Debug)]
pub struct NewAuthenticator {
    /// Its id.
    pub id: Id<Device>,
    /// What its user needs to activate it.
    pub shown: Shown,
}

/// What a person is shown to activate an authenticator.
#[derive(Debug)]
pub enum Shown {
    /// The seed of an app: as people type it, and as a camera reads it.
    Seed { secret: Secret<String>, uri: Secret<String> },
    /// To which address or number a passcode was sent.
    Sent { to: String },
}

/// Why an authenticator is not active.
#[derive(Debug, thiserror::Error)]
pub enum ActivateError {
    /// The person may not add devices now.
    #[error(transparent)]
    Refused(AddOwnDeviceError),
    /// The passcode is not the one of now.
    #[error("the passcode is wrong")]
    WrongPasscode,
    /// There is none that waits, its time is over, or too many passcodes were wrong.
    #[error("there is no device of this id that waits to be activated")]
    Gone,
    /// It could not be decided.
    #[error(transparent)]
    Fault(Fault),
}

faults!(ActivateError);

impl From<AddOwnDeviceError> for ActivateError {
    fn from(error: AddOwnDeviceError) -> Self {
        match error {
            AddOwnDeviceError::Fault(fault) => Self::Fault(fault),
            refused => Self::Refused(refused),
        }
    }
}

impl App {
    /// Makes an authenticator for the person who is signed in at this browser. It counts once it is activated.
    pub async fn add_authenticator(
        self: &Arc<Self>,
        realm: &Arc<Realm>,
        (visit, new): (AccountVisit, NewKind),
        correlation: &str,
    ) -> Result<Id<Device>, AddOwnDeviceError> {
        let call = self.call(realm.environment, correlation);
        let id = call.new_id();
        let kind = self.kind_of(id, new)?;
        let realm = Arc::clone(realm);
        self.store.write(Add { at: At { realm, call, visit }, id, kind }).await
    }

    fn kind_of(&self, id: Id<Device>, new: NewKind) -> Result<Kind, AddOwnDeviceError> {
        let number = |number: String| {
            // As people write it down.
            let bare: String = number.chars().filter(|c| !" -()./".contains(*c)).collect();
            let target = authenticators::is_phone_number(&bare).then(|| Target::new(bare));
            target.ok_or(AddOwnDeviceError::BadAddress)
        };
        let (mails, calls) = (self.mailer.is_on(), self.hooks.is_on());
        Ok(match new {
            NewKind::Totp => {
                let seed: [u8; totp::SEED_BYTES] = random(self.entropy.as_ref());
                let seed = self.vault.seal(totp_place(&id), &seed, self.entropy.as_ref())?;
                Kind::Totp { seed }
            }
            NewKind::Email(_) if !mails => return Err(AddOwnDeviceError::NoPairing),
            NewKind::Sms(_) | NewKind::Voice(_) if !calls => {
                return Err(AddOwnDeviceError::NoPairing);
            }
            NewKind::Email(address) if authenticators::is_mail_address(&address) => {
                Kind::Email(Target::new(address))
            }
            NewKind::Email(_) => return Err(AddOwnDeviceError::BadAddress),
            NewKind::Sms(text) => Kind::Sms(number(text)?),
            NewKind::Voice(text) => Kind::Voice(number(text)?),
        })
    }

    /// Sends another passcode to one that waits for its first.
    pub async fn send_activation(
        &self,
        realm: &Arc<Realm>,
        (visit, id): (AccountVisit, Id<Device>),
        correlation: &str,
    ) -> Result<(), ActivateError> {
        let call = self.call(realm.environment, correlation);
        let realm = Arc::clone(realm);
        self.store.write(SendAgain { at: At { realm, call, visit }, id }).await
    }

    /// The authenticator app of this id, as long as it waits to be activated by the person who is signed in at this browser.
    pub async fn read_new_authenticator(
        self: &Arc<Self>,
        realm: &Arc<Realm>,
        (visit, id): (AccountVisit, Id<Device>),
    ) -> Result<Option<NewAuthenticator>, Fault> {
        let call = self.call(realm.environment, "");
        let (app, realm) = (Arc::clone(self), Arc::clone(realm));
        match self.store.read(Read { app, at: At { realm, call, visit }, id }).await {
            Ok(found) => Ok(Some(found)),
            Err(ActivateError::Fault(fault)) => Err(fault),
            Err(_) => Ok(None),
        }
    }

    /// Activates it by a passcode that it shows.
    pub async fn activate_authenticator(
        self: &Arc<Self>,
        realm: &Arc<Realm>,
        (visit, id, passcode): (AccountVisit, Id<Device>, Secret<String>),
        correlation: &str,
    ) -> Result<(), ActivateError> {
        let call = self.call(realm.environment, correlation);
        let (app, realm) = (Arc::clone(self), Arc::clone(realm));
        let activate = Activate { app, at: At { realm, call, visit }, id, passcode };
        self.store.write(activate).await?
    }
}

/// A browser at the page.
struct At {
    realm: Arc<Realm>,
    call: Call,
    visit: AccountVisit,
}

/// What somebody has and may add, who has proved enough for that.
struct Allowed {
    present: Box<Present>,
    all: Holdings,
    policy: MfaPolicy,
}

impl At {
    /// Who is at the page, if that person may add something of this kind now. This is asked each time: what was proved when it was
    /// made must not serve to activate it beside a device that has come since.
    async fn allowed(&self, tx: &mut Tx<'_>) -> Result<Allowed, AddOwnDeviceError> {
        let Entered::Present(present) = enter(tx, &self.realm, &self.visit, self.call.now).await?
        else {
            return Err(ChangeOwnDeviceError::SignedOut.into());
        };
        let all = Holdings::load(tx, present.user.id).await?;
        require_proof(&present, &all, &self.call)?;
        let policy = policy_of(tx, self.realm.environment, present.mfa_policy).await?;
        if !present.user.mfa_enabled {
            return Err(AddOwnDeviceError::NoPairing);
        }
        let settings = mfa_settings::load(tx, self.realm.environment).await?;
        if all.count() >= usize::from(settings.max_allowed_devices) {
            return Err(AddOwnDeviceError::LimitReached);
        }
        Ok(Allowed { present, all, policy })
    }

    /// The one of this id that waits.
    async fn waiting(
        &self,
        tx: &mut Tx<'_>,
        id: Id<Device>,
    ) -> Result<(Allowed, Versioned<Authenticator>), ActivateError> {
        let mut allowed = self.allowed(tx).await?;
        let waits = |found: &Versioned<Authenticator>| match found.state {
            State::ActivationRequired { until, .. } => found.id == id && self.call.now < until,
            State::Paired { .. } => false,
        };
        let place = allowed.all.authenticators.iter().position(waits);
        let found = allowed.all.authenticators.swap_remove(place.ok_or(ActivateError::Gone)?);
        if !allowed.policy.authenticators.is_open(&found.kind) {
            return Err(ActivateError::Refused(AddOwnDeviceError::NoPairing));
        }
        Ok((allowed, found))
    }
}

struct Add {
    at: At,
    id: Id<Device>,
    kind: Kind,
}

impl Work for Add {
    type Output = Id<Device>;
    type Error = AddOwnDeviceError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Id<Device>, AddOwnDeviceError> {
        let Allowed { present, all, policy } = self.at.allowed(tx).await?;
        let accepted = &policy.authenticators;
        if !accepted.is_open(&self.kind) {
            return Err(AddOwnDeviceError::NoPairing);
        }
        let mut new = Authenticator {
            id: self.id,
            environment: present.user.environment,
            user: present.user.id,
            kind: self.kind.clone(),
            nickname: None,
            place: None,
            created_at: self.at.call.now,
            state: State::new(self.at.call.now),
        };
        // One waits at a time, so that they do not pile up. What was sent for the one before counts for the next: else whoever
        // asks again and again could have anybody sent any number of messages.
        let mut sent = Vec::new();
        for old in all.authenticators.iter().filter(|old| old.device_state().is_none()) {
            sent.extend(
                old.kind.target().map(|target| target.spent().sendings).unwrap_or_default(),
            );
            authenticator::delete(tx, old).await?;
        }
        if let Some(target) = new.kind.target().cloned() {
            new.kind = new.kind.with_target(Target { sendings: sent, ..target });
        }
        if let Some(rules) = accepted.messages(&new.kind) {
            let flow = self.at.visit.flow;
            let begun = begin(tx, &self.at.call, (&new, rules), flow).await?;
            new.kind = begun.ok_or(AddOwnDeviceError::TooManyPasscodes)?;
        }
        authenticator::insert(tx, &new).await?;
        tx.needs_no_audit("nobody vouches by what is not activated");
        Ok(self.id)
    }
}

struct SendAgain {
    at: At,
    id: Id<Device>,
}

impl Work for SendAgain {
    type Output = ();
    type Error = ActivateError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), ActivateError> {
        let (Allowed { policy, .. }, old) = self.at.waiting(tx, self.id).await?;
        let rules = policy.authenticators.messages(&old.kind).ok_or(ActivateError::Gone)?;
        let begun = begin(tx, &self.at.call, (&old, rules), self.at.visit.flow).await?;
        let kind = begun.ok_or(ActivateError::Refused(AddOwnDeviceError::TooManyPasscodes))?;
        authenticator::swap(tx, &old, &Authenticator { kind, ..(*old).clone() }).await?;
        tx.needs_no_audit("nobody vouches by what is not activated");
        Ok(())
    }
}

struct Read {
    app: Arc<App>,
    at: At,
    id: Id<Device>,
}

impl Work for Read {
    type Output = NewAuthenticator;
    type Error = ActivateError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<NewAuthenticator, ActivateError> {
        let (Allowed { present, policy, .. }, found) = self.at.waiting(tx, self.id).await?;
        if let Some(target) = found.kind.target() {
            let shown = Shown::Sent { to: target.address.clone() };
            return Ok(NewAuthenticator { id: found.id, shown });
        }
        let Kind::Totp { seed } = &found.kind else { return Err(ActivateError::Gone) };
        let rules = policy.authenticators.open_totp().ok_or(ActivateError::Gone)?;
        let environment = environment::load(tx, found.environment).await?;
        let issuer = environment.map(|environment| environment.name.clone()).unwrap_or_default();
        let seed = self.app.vault.open(totp_place(&found.id), seed)?;
        let account = present.user.username.as_str();
        let secret = totp::secret_text(&seed);
        let uri = totp::key_uri(&seed, (&issuer, account), &rules.uri_parameters);
        Ok(NewAuthenticator { id: found.id, shown: Shown::Seed { secret, uri } })
    }
}

struct Activate {
    app: Arc<App>,
    at: At,
    id: Id<Device>,
    passcode: Secret<String>,
}

impl Work for Activate {
    /// A wrong passcode is counted, so it is committed.
    type Output = Result<(), ActivateError>;
    type Error = ActivateError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Result<(), ActivateError>, ActivateError> {
        let (Allowed { present, policy, .. }, old) = self.at.waiting(tx, self.id).await?;
        let now = self.at.call.now;
        let step = self.matching_step(&policy, &old)?;
        let event = match step {
            Some(step) => Event::PasscodeMatched { step },
            None => Event::PasscodeWrong { limit: ACTIVATION_LIMIT },
        };
        let next =
            authenticators::apply(&old.state, event, now).map_err(|_| ActivateError::Gone)?;
        let is_gone = next.effects.contains(&Effect::Delete);
        if is_gone {
            authenticator::delete(tx, &old).await?;
        } else {
            let kind = if step.is_some() { old.kind.without_passcodes() } else { old.kind.clone() };
            let new = Authenticator { state: next.state, kind, ..(*old).clone() };
            authenticator::swap(tx, &old, &new).await?;
        }
        let call = on_behalf_of(&self.at.call, &present);
        tell(tx, &call, &old, &next.effects).await?;
        if step.is_some() {
            // Two devices that take the last place at once meet at the user's row: one of them counts again.
            let changed = User { updated_at: now, ..(*present.user).clone() };
            user::swap(tx, &present.user, &changed).await?;
            return Ok(Ok(()));
        }
        Ok(Err(if is_gone { ActivateError::Gone } else { ActivateError::WrongPasscode }))
    }
}

impl Activate {
    /// Of which step the passcode is, if it is right.
    fn matching_step(
        &self,
        policy: &MfaPolicy,
        of: &Authenticator,
    ) -> Result<Option<i64>, KeyError> {
        let (now, text) = (self.at.call.now, self.passcode.expose());
        let accepted = &policy.authenticators;
        if let (Some(target), Some(rules)) = (of.kind.target(), accepted.messages(&of.kind)) {
            let sending = target.good_for(self.at.visit.flow, rules.life_seconds, now);
            let right = |sending| self.at.realm.is_sent_passcode(sending, text.trim());
            return Ok(sending.is_some_and(right).then_some(0));
        }
        let grace_steps = accepted.totp.as_ref().map_or(0, |rules| rules.grace_steps);
        matching_step((&self.app.vault, of), grace_steps, text, now)
    }
}
