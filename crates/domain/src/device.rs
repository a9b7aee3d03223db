//! Devices: installations paired to a user. The machine decides whether one may vouch.

use countersign_protocol::{jwk::EcPublicKey, mobile_payload::PushAddress, time::Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    audit,
    environment::Environment,
    id::Id,
    installation::Installation,
    invalid::{Check, Invalid},
    lockout::Limit,
    sealed::Sealed,
    user::User,
};

/// An installation that is paired to one user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Its id.
    pub id: Id<Device>,
    /// The tenant.
    pub environment: Id<Environment>,
    /// Whose it is.
    pub user: Id<User>,
    /// The phone and its key, as it last said.
    pub installation: Installation,
    /// The key that signs for its user, when the phone can verify one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<EcPublicKey>,
    /// What is known of its push address.
    #[serde(default, skip_serializing_if = "AddressState::is_live")]
    pub address: AddressState,
    /// When the installation was last seen to hold that address, to [`CONTACT_SECONDS`]; none: at the pairing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact_at: Option<Timestamp>,
    /// What the user calls it, at most 100 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nickname: Option<String>,
    /// The seed of its one-time passcodes.
    pub seed: Sealed,
    /// How long one of them is shown, as told to the phone at pairing.
    pub passcode_step_seconds: u8,
    /// Its place among the devices of the user, from 0, if the user has ordered them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<u8>,
    /// The logs of its app that an administrator has asked for, or has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logs: Option<Logs>,
    /// When it was paired.
    pub created_at: Timestamp,
    /// When a person last changed it, or wrong passcodes did; none: not since it was paired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
    /// Whether it may vouch.
    pub state: State,
}

/// Where the logs of an app are that an administrator wants to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Logs {
    /// The phone has not sent them, and is asked to until then.
    Pending { until: Timestamp },
    /// They have come, and are kept until then.
    Received { at: Timestamp, until: Timestamp },
}

impl Logs {
    /// How long a phone is asked for its logs.
    pub const REQUEST_SECONDS: i64 = 86_400;

    /// How long logs are kept.
    pub const KEPT_SECONDS: i64 = 30 * 86_400;

    /// From when there is nothing to see.
    #[must_use]
    pub const fn until(&self) -> Timestamp {
        match self {
            Self::Pending { until } | Self::Received { until, .. } => *until,
        }
    }
}

/// A contact is written down once in so many seconds: a write for each sign-on would cost more than it is worth.
pub const CONTACT_SECONDS: i64 = 3_600;

/// What is known of the push address of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum AddressState {
    /// Messages are sent there.
    #[default]
    Live,
    /// The push service says that it is nobody's. The device goes when the grace period is over, if there is one; until then it
    /// is not asked by push, and a new contact makes it live again.
    Suspect { since: Timestamp, remove_at: Option<Timestamp> },
}

impl AddressState {
    /// Whether messages are sent there.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        match self {
            Self::Live => true,
            Self::Suspect { .. } => false,
        }
    }
}

impl Device {
    /// What a sign-on from the phone itself says of its push address: the device as it is from now on, or nothing if nothing is
    /// worth writing. `installation` is signed by the phone.
    #[must_use]
    pub fn seen(&self, installation: &Installation, now: Timestamp) -> Option<Self> {
        let known = self.installation.push.as_ref();
        let push = installation.push.as_ref();
        let last = self.contact_at.unwrap_or(self.created_at);
        let is_old = push.is_some() && now.seconds_since(last) >= CONTACT_SECONDS;
        let is_news = push != known || (push.is_some() && !self.address.is_live());
        (is_news || is_old).then(|| self.at_address(push.cloned(), now))
    }

    /// With this push address from now on.
    #[must_use]
    pub fn at_address(&self, push: Option<PushAddress>, now: Timestamp) -> Self {
        let installation = Installation { push, ..self.installation.clone() };
        let (address, contact_at) = (AddressState::Live, Some(now));
        Self { installation, address, contact_at, ..self.clone() }
    }

    /// Whether it may vouch now.
    #[must_use]
    pub fn is_usable(&self, now: Timestamp) -> bool {
        self.state.is_usable(now)
    }

    /// Under this name from now on; none: that of its model.
    pub fn called(&self, nickname: Option<String>) -> Result<Self, Invalid> {
        check_nickname(nickname.as_deref())?;
        Ok(Self { nickname, ..self.clone() })
    }

    /// Its place from now on; none: behind those that have one.
    #[must_use]
    pub fn placed(&self, place: Option<u8>, now: Timestamp) -> Self {
        Self { place, updated_at: Some(now), ..self.clone() }
    }

    /// Its logs, asked for or there, unless their time is over.
    #[must_use]
    pub fn logs(&self, now: Timestamp) -> Option<Logs> {
        self.logs.filter(|logs| now < logs.until())
    }

    /// What sorts the devices of a user, of which the first is the default: as the user has put them, then the newer ones by age.
    #[must_use]
    pub fn rank(&self) -> (u8, Id<Self>) {
        (self.place.unwrap_or(u8::MAX), self.id)
    }
}

/// The most characters of a nickname.
pub const MAX_NICKNAME_CHARACTERS: usize = 100;

/// The rules for what a user may call a device.
pub(crate) fn check_nickname(nickname: Option<&str>) -> Result<(), Invalid> {
    let Some(nickname) = nickname else { return Ok(()) };
    Check::default().text(nickname, "nickname", MAX_NICKNAME_CHARACTERS).finish()
}

/// Where a device goes in the list of its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// Before the one before it.
    Up,
    /// Behind the one behind it.
    Down,
}

/// The places of the devices of a user after one of them has moved: all in their new order. Nothing if it cannot move there.
#[must_use]
pub fn moved(devices: &[Id<Device>], device: Id<Device>, to: Move) -> Option<Vec<Id<Device>>> {
    let mut order = devices.to_vec();
    let place = order.iter().position(|id| *id == device)?;
    let other = match to {
        Move::Up => place.checked_sub(1)?,
        Move::Down => place + 1,
    };
    if other >= order.len() {
        return None;
    }
    order.swap(place, other);
    Some(order)
}

/// Whether a device may vouch. `last_step` is the time step of the last passcode that counted: an older or equal one
/// never counts again (RFC 6238, section 5.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// It vouches.
    Active { failures: u8, last_step: i64 },
    /// An administrator has blocked it.
    Blocked { at: Timestamp, last_step: i64 },
    /// Wrong passcodes have locked it.
    Locked { until: Timestamp, last_step: i64 },
    /// It is no longer paired.
    Removed { at: Timestamp },
}

/// What can happen to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A passcode of this time step was right.
    PasscodeMatched { step: i64 },
    /// A passcode was wrong.
    PasscodeWrong { limit: Limit },
    /// An administrator blocks it.
    Block,
    /// An administrator unblocks it.
    Unblock,
    /// An administrator ends the lock.
    Unlock,
    /// An administrator removes it.
    Remove { reason: &'static str },
    /// It says itself, or its user or the push service says of it, that it is gone. A device that is barred stays: else whoever
    /// holds a blocked phone could lift the block by unpairing it.
    Unpair { reason: &'static str },
}

/// The next state and what must be committed with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The next state.
    pub state: State,
    /// What must be committed with it.
    pub effects: Vec<Effect>,
}

/// What must be committed with a change of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A line in the audit log.
    Audit { action: audit::Action, reason: Option<&'static str> },
    /// One more failure on the user's count over all devices.
    CountUserFailure,
    /// The row goes away.
    Delete,
}

/// Why an event does not apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// An administrator has blocked the device.
    #[error("the device is blocked")]
    Blocked,
    /// Wrong passcodes have locked the device.
    #[error("the device is locked")]
    Locked { until: Timestamp },
    /// The device is no longer paired.
    #[error("the device is not paired")]
    Removed,
    /// A passcode of this or a later time step has counted already.
    #[error("the passcode was used already")]
    PasscodeSpent,
}

impl State {
    /// A device as it is paired. A passcode of before the pairing never counts.
    #[must_use]
    pub const fn paired(step: i64) -> Self {
        Self::Active { failures: 0, last_step: step }
    }

    /// Whether a device in this state may vouch now.
    #[must_use]
    pub fn is_usable(&self, now: Timestamp) -> bool {
        matches!(self.settled(now), Self::Active { .. })
    }

    /// The state as of now: a lock that has run out is none.
    #[must_use]
    pub fn settled(&self, now: Timestamp) -> Self {
        match self {
            Self::Locked { until, last_step } if *until <= now => {
                Self::Active { failures: 0, last_step: *last_step }
            }
            Self::Active { .. }
            | Self::Blocked { .. }
            | Self::Locked { .. }
            | Self::Removed { .. } => self.clone(),
        }
    }
}

/// The whole life of a device.
pub fn apply(state: &State, event: Event, now: Timestamp) -> Result<Step, Refusal> {
    let state = state.settled(now);
    match state {
        State::Active { failures, last_step } => match event {
            Event::PasscodeMatched { step } if step <= last_step => Err(Refusal::PasscodeSpent),
            Event::PasscodeMatched { step } => {
                let state = State::Active { failures: 0, last_step: step };
                Ok(Step::with(state, audit::Action::PasscodeCheckSucceeded))
            }
            Event::PasscodeWrong { limit } => Ok(passcode_wrong(failures, last_step, limit, now)),
            Event::Block => Ok(blocked(last_step, now)),
            Event::Unblock | Event::Unlock => Ok(Step::unchanged(state)),
            Event::Remove { reason } | Event::Unpair { reason } => Ok(removed(reason, now)),
        },
        State::Blocked { last_step, .. } => match event {
            Event::PasscodeMatched { .. } | Event::PasscodeWrong { .. } | Event::Unpair { .. } => {
                Err(Refusal::Blocked)
            }
            Event::Block | Event::Unlock => Ok(Step::unchanged(state)),
            Event::Unblock => {
                let state = State::Active { failures: 0, last_step };
                Ok(Step::with(state, audit::Action::DeviceUnblocked))
            }
            Event::Remove { reason } => Ok(removed(reason, now)),
        },
        State::Locked { until, last_step } => match event {
            Event::PasscodeMatched { .. } | Event::PasscodeWrong { .. } | Event::Unpair { .. } => {
                Err(Refusal::Locked { until })
            }
            Event::Block => Ok(blocked(last_step, now)),
            Event::Unblock => Ok(Step::unchanged(state)),
            Event::Unlock => {
                let state = State::Active { failures: 0, last_step };
                Ok(Step::with(state, audit::Action::DeviceUnlocked))
            }
            Event::Remove { reason } => Ok(removed(reason, now)),
        },
        State::Removed { .. } => match event {
            Event::Remove { .. } | Event::Unpair { .. } => Ok(Step::unchanged(state)),
            Event::PasscodeMatched { .. }
            | Event::PasscodeWrong { .. }
            | Event::Block
            | Event::Unblock
            | Event::Unlock => Err(Refusal::Removed),
        },
    }
}

fn passcode_wrong(failures: u8, last_step: i64, limit: Limit, now: Timestamp) -> Step {
    let failures = failures.saturating_add(1);
    let failed = Effect::audit(audit::Action::PasscodeCheckFailed);
    if failures < limit.failures {
        let effects = vec![failed, Effect::CountUserFailure];
        return Step { state: State::Active { failures, last_step }, effects };
    }
    let until = now.plus_seconds(i64::from(limit.lock_seconds));
    let locked = Effect::audit(audit::Action::DeviceLocked);
    let effects = vec![failed, locked, Effect::CountUserFailure];
    Step { state: State::Locked { until, last_step }, effects }
}

fn blocked(last_step: i64, now: Timestamp) -> Step {
    Step::with(State::Blocked { at: now, last_step }, audit::Action::DeviceBlocked)
}

fn removed(reason: &'static str, now: Timestamp) -> Step {
    let action = audit::Action::DeviceDeleted;
    let effects = vec![Effect::Audit { action, reason: Some(reason) }, Effect::Delete];
    Step { state: State::Removed { at: now }, effects }
}

impl Step {
    const fn unchanged(state: State) -> Self {
        Self { state, effects: Vec::new() }
    }

    fn with(state: State, action: audit::Action) -> Self {
        Self { state, effects: vec![Effect::audit(action)] }
    }
}

impl Effect {
    const fn audit(action: audit::Action) -> Self {
        Self::Audit { action, reason: None }
    }
}

#[cfg(test)]
mod tests;
