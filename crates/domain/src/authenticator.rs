//! Authenticators: what a user can be asked for beside paired phones. The machine decides whether one may vouch.
//!
//! Phones and authenticators are the devices of a user. They share one space of ids, so that policies, flows, sessions and the
//! audit log name both alike.

mod recovery;
mod target;
pub mod totp;

use countersign_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::{
    recovery::{RECOVERY_CODES, RecoveryCode},
    target::{
        MOST_SENDINGS, SENDING_WINDOW_SECONDS, Sending, Target, is_mail_address, is_phone_number,
    },
};
use crate::{
    audit,
    device::{self, Device, Effect, Event},
    environment::Environment,
    id::Id,
    invalid::Invalid,
    lockout::Limit,
    sealed::Sealed,
    user::User,
};

/// How long a new authenticator waits for its first passcode, in seconds.
pub const ACTIVATION_SECONDS: i64 = 1_800;

/// Wrong passcodes that end the activation of an authenticator.
pub const ACTIVATION_FAILURES: u8 = 3;

/// What a user can be asked for beside a paired phone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authenticator {
    /// Its id, among those of all devices.
    pub id: Id<Device>,
    /// The tenant.
    pub environment: Id<Environment>,
    /// Whose it is.
    pub user: Id<User>,
    /// What it is.
    pub kind: Kind,
    /// What the user calls it, at most 100 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nickname: Option<String>,
    /// Its place among the devices of the user, from 0, if the user has ordered them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<u8>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Whether it may vouch.
    pub state: State,
}

/// What an authenticator is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Kind {
    /// An app that shows passcodes (RFC 6238) of this seed.
    Totp { seed: Sealed },
    /// Codes on paper, each of which counts once: the keyed hashes of those that are left, base64url.
    RecoveryCodes { hashes: Vec<String> },
    /// Passcodes by mail.
    Email(Target),
    /// Passcodes by text message.
    Sms(Target),
    /// Passcodes by phone call.
    Voice(Target),
}

impl Kind {
    /// Its name as a type of devices (platform API, section 9.2); recovery codes are our own.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Totp { .. } => "TOTP",
            Self::RecoveryCodes { .. } => "RECOVERY_CODES",
            Self::Email(_) => "EMAIL",
            Self::Sms(_) => "SMS",
            Self::Voice(_) => "VOICE",
        }
    }

    /// What people call one that has no name of its own.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Totp { .. } => "Authenticator app",
            Self::RecoveryCodes { .. } => "Recovery codes",
            Self::Email(_) => "E-mail",
            Self::Sms(_) => "Text message",
            Self::Voice(_) => "Phone call",
        }
    }

    /// Where its passcodes are sent, if they are.
    #[must_use]
    pub const fn target(&self) -> Option<&Target> {
        match self {
            Self::Totp { .. } | Self::RecoveryCodes { .. } => None,
            Self::Email(target) | Self::Sms(target) | Self::Voice(target) => Some(target),
        }
    }

    /// The same with another target; what has none stays as it is.
    #[must_use]
    pub fn with_target(&self, target: Target) -> Self {
        match self {
            Self::Totp { .. } | Self::RecoveryCodes { .. } => self.clone(),
            Self::Email(_) => Self::Email(target),
            Self::Sms(_) => Self::Sms(target),
            Self::Voice(_) => Self::Voice(target),
        }
    }

    /// Without the passcodes that were sent: wrong ones have locked it, however short the lock.
    #[must_use]
    pub fn without_passcodes(&self) -> Self {
        self.target().map_or_else(|| self.clone(), |target| self.with_target(target.spent()))
    }
}

/// Whether an authenticator may vouch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum State {
    /// Its user has not shown yet that it works.
    ActivationRequired { until: Timestamp, failures: u8 },
    /// It is like a phone that is paired.
    Paired { state: device::State },
}

/// The next state and what must be committed with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The next state.
    pub state: State,
    /// What must be committed with it.
    pub effects: Vec<Effect>,
}

/// Why an event does not apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is barred or gone, or the passcode has counted.
    #[error(transparent)]
    Device(#[from] device::Refusal),
    /// It was never activated.
    #[error("the device is not activated")]
    NotActivated,
    /// The time to activate it is over.
    #[error("the time to activate the device is over")]
    TooLate,
}

impl State {
    /// One that waits for its first passcode.
    #[must_use]
    pub const fn new(now: Timestamp) -> Self {
        Self::ActivationRequired { until: now.plus_seconds(ACTIVATION_SECONDS), failures: 0 }
    }

    /// One that vouches from now on. No passcode of this or an earlier step does.
    #[must_use]
    pub const fn paired(step: i64) -> Self {
        Self::Paired { state: device::State::paired(step) }
    }

    /// Its name, for the store.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::ActivationRequired { .. } => "activation_required",
            Self::Paired { state } => match state {
                device::State::Active { .. } => "active",
                device::State::Blocked { .. } => "blocked",
                device::State::Locked { .. } => "locked",
                device::State::Removed { .. } => "removed",
            },
        }
    }
}

/// The whole life of an authenticator. Once it is activated, it is that of a device.
pub fn apply(state: &State, event: Event, now: Timestamp) -> Result<Step, Refusal> {
    let (until, failures) = match state {
        State::ActivationRequired { until, failures } => (*until, *failures),
        State::Paired { state } => {
            let device::Step { state, effects } = device::apply(state, event, now)?;
            return Ok(Step { state: State::Paired { state }, effects });
        }
    };
    match event {
        Event::PasscodeMatched { .. } | Event::PasscodeWrong { .. } if now >= until => {
            Err(Refusal::TooLate)
        }
        Event::PasscodeMatched { step } => {
            let effects = vec![told(audit::Action::DeviceCreated, "activated")];
            Ok(Step { state: State::paired(step), effects })
        }
        Event::PasscodeWrong { limit } => Ok(activation_failed(until, failures, limit, now)),
        Event::Block | Event::Unblock | Event::Unlock => Err(Refusal::NotActivated),
        Event::Remove { reason } | Event::Unpair { reason } => {
            Ok(gone(told(audit::Action::DeviceDeleted, reason), now))
        }
    }
}

fn activation_failed(until: Timestamp, failures: u8, limit: Limit, now: Timestamp) -> Step {
    let failures = failures.saturating_add(1);
    let failed = told(audit::Action::DeviceActivationFailed, "wrong_passcode");
    if failures < limit.failures {
        let state = State::ActivationRequired { until, failures };
        return Step { state, effects: vec![failed] };
    }
    gone(failed, now)
}

fn gone(told: Effect, now: Timestamp) -> Step {
    let state = State::Paired { state: device::State::Removed { at: now } };
    Step { state, effects: vec![told, Effect::Delete] }
}

const fn told(action: audit::Action, reason: &'static str) -> Effect {
    Effect::Audit { action, reason: Some(reason) }
}

impl Authenticator {
    /// Under this name from now on; none: that of its kind.
    pub fn called(&self, nickname: Option<String>) -> Result<Self, Invalid> {
        device::check_nickname(nickname.as_deref())?;
        Ok(Self { nickname, ..self.clone() })
    }

    /// Whether its user has shown that it works, and it can be asked for. Recovery codes that are all spent are no device any more.
    #[must_use]
    pub fn counts(&self) -> bool {
        let is_spent = match &self.kind {
            Kind::RecoveryCodes { hashes } => hashes.is_empty(),
            Kind::Totp { .. } | Kind::Email(_) | Kind::Sms(_) | Kind::Voice(_) => false,
        };
        self.device_state().is_some() && !is_spent
    }

    /// Its state as that of a device, once it is activated.
    #[must_use]
    pub const fn device_state(&self) -> Option<&device::State> {
        match &self.state {
            State::ActivationRequired { .. } => None,
            State::Paired { state } => Some(state),
        }
    }

    /// The step of a passcode that belongs to no time, so that it counts after the last one.
    #[must_use]
    pub fn next_step(&self) -> i64 {
        match &self.state {
            State::Paired {
                state:
                    device::State::Active { last_step, .. }
                    | device::State::Blocked { last_step, .. }
                    | device::State::Locked { last_step, .. },
            } => last_step + 1,
            State::ActivationRequired { .. }
            | State::Paired { state: device::State::Removed { .. } } => 0,
        }
    }
}

/// A device of a user, whatever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnyDevice<'a> {
    /// A paired phone.
    Phone(&'a Device),
    /// Something else.
    Authenticator(&'a Authenticator),
}

impl<'a> AnyDevice<'a> {
    /// All devices of a user, in their order: as the user has put them, then by age. Recovery codes are always the last.
    #[must_use]
    pub fn all(
        phones: impl IntoIterator<Item = &'a Device>,
        authenticators: impl IntoIterator<Item = &'a Authenticator>,
    ) -> Vec<Self> {
        let phones = phones.into_iter().map(Self::Phone);
        let authenticators = authenticators.into_iter().map(Self::Authenticator);
        let mut all: Vec<_> = phones.chain(authenticators).collect();
        all.sort_by_key(|device| device.rank());
        all
    }

    /// Its id.
    #[must_use]
    pub const fn id(self) -> Id<Device> {
        match self {
            Self::Phone(device) => device.id,
            Self::Authenticator(authenticator) => authenticator.id,
        }
    }

    /// Its state, if it was ever activated.
    #[must_use]
    pub const fn state(self) -> Option<&'a device::State> {
        match self {
            Self::Phone(device) => Some(&device.state),
            Self::Authenticator(authenticator) => authenticator.device_state(),
        }
    }

    /// Whether it may vouch now.
    #[must_use]
    pub fn is_usable(self, now: Timestamp) -> bool {
        self.state().is_some_and(|state| state.is_usable(now))
    }

    /// Whether its user has it, so that nobody counts for a user without a device.
    #[must_use]
    pub fn counts(self) -> bool {
        match self {
            Self::Phone(_) => true,
            Self::Authenticator(authenticator) => authenticator.counts(),
        }
    }

    /// Whether it serves only where the others fail.
    #[must_use]
    pub const fn is_last_resort(self) -> bool {
        match self {
            Self::Phone(_) => false,
            Self::Authenticator(authenticator) => {
                matches!(authenticator.kind, Kind::RecoveryCodes { .. })
            }
        }
    }

    /// Whether its passcodes are sent.
    #[must_use]
    pub const fn is_sent_to(self) -> bool {
        match self {
            Self::Phone(_) => false,
            Self::Authenticator(authenticator) => authenticator.kind.target().is_some(),
        }
    }

    fn rank(self) -> (bool, u8, Id<Device>) {
        let (place, id) = match self {
            Self::Phone(device) => device.rank(),
            Self::Authenticator(Authenticator { place, id, .. }) => (place.unwrap_or(u8::MAX), *id),
        };
        (self.is_last_resort(), place, id)
    }
}

#[cfg(test)]
mod tests;
