//! Adds an authenticator app to the own account: shows its seed, and activates it by its first passcode.

use std::sync::Arc;

use countersign_domain::{
    authenticator::{self as authenticators, Authenticator, Kind, State, totp},
    device::{Device, Effect, Event},
    id::Id,
    mfa_policy::{ACTIVATION_LIMIT, Totp},
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
};

/// An authenticator app that waits for its first passcode.
#[derive(Debug)]
pub struct NewAuthenticator {
    /// Its id.
    pub id: Id<Device>,
    /// The seed as people type it.
    pub secret: Secret<String>,
    /// The seed as a camera reads it.
    pub uri: Secret<String>,
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
    /// Makes an authenticator app for the person who is signed in at this browser. It counts once it is activated.
    pub async fn add_authenticator(
        self: &Arc<Self>,
        realm: &Arc<Realm>,
        visit: AccountVisit,
        correlation: &str,
    ) -> Result<Id<Device>, AddOwnDeviceError> {
        let call = self.call(realm.environment, correlation);
        let id = call.new_id();
        let seed: [u8; totp::SEED_BYTES] = random(self.entropy.as_ref());
        let seed = self.vault.seal(totp_place(&id), &seed, self.entropy.as_ref())?;
        let realm = Arc::clone(realm);
        self.store.write(Add { at: At { realm, call, visit }, id, kind: Kind::Totp { seed } }).await
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
    rules: Totp,
}

impl At {
    /// Who is at the page, if that person may add an authenticator app now. This is asked each time: what was proved when it was
    /// made must not serve to activate it beside a device that has come since.
    async fn allowed(&self, tx: &mut Tx<'_>) -> Result<Allowed, AddOwnDeviceError> {
        let Entered::Present(present) = enter(tx, &self.realm, &self.visit, self.call.now).await?
        else {
            return Err(ChangeOwnDeviceError::SignedOut.into());
        };
        let all = Holdings::load(tx, present.user.id).await?;
        require_proof(&present, &all, &self.call)?;
        let policy = policy_of(tx, self.realm.environment, present.mfa_policy).await?;
        let rules = policy.authenticators.open_totp().filter(|_| present.user.mfa_enabled).cloned();
        let rules = rules.ok_or(AddOwnDeviceError::NoPairing)?;
        let settings = mfa_settings::load(tx, self.realm.environment).await?;
        if all.count() >= usize::from(settings.max_allowed_devices) {
            return Err(AddOwnDeviceError::LimitReached);
        }
        Ok(Allowed { present, all, rules })
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
        let Allowed { present, all, .. } = self.at.allowed(tx).await?;
        // One waits at a time, so that they do not pile up.
        for old in all.authenticators.iter().filter(|old| old.device_state().is_none()) {
            authenticator::delete(tx, old).await?;
        }
        let new = Authenticator {
            id: self.id,
            environment: present.user.environment,
            user: present.user.id,
            kind: self.kind.clone(),
            nickname: None,
            place: None,
            created_at: self.at.call.now,
            state: State::new(self.at.call.now),
        };
        authenticator::insert(tx, &new).await?;
        tx.needs_no_audit("nobody vouches by what is not activated");
        Ok(self.id)
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
        let (Allowed { present, rules, .. }, found) = self.at.waiting(tx, self.id).await?;
        let Kind::Totp { seed } = &found.kind else { return Err(ActivateError::Gone) };
        let environment = environment::load(tx, found.environment).await?;
        let issuer = environment.map(|environment| environment.name.clone()).unwrap_or_default();
        let seed = self.app.vault.open(totp_place(&found.id), seed)?;
        let account = present.user.username.as_str();
        Ok(NewAuthenticator {
            id: found.id,
            secret: totp::secret_text(&seed),
            uri: totp::key_uri(&seed, (&issuer, account), &rules.uri_parameters),
        })
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
        let (Allowed { present, rules, .. }, old) = self.at.waiting(tx, self.id).await?;
        let now = self.at.call.now;
        let of = (&self.app.vault, &*old);
        let step = matching_step(of, rules.grace_steps, self.passcode.expose(), now)?;
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
            let new = Authenticator { state: next.state, ..(*old).clone() };
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
