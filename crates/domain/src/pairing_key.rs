//! Pairing keys: somebody makes one for a user, and the phone that shows it is paired to that user.

use countersign_protocol::{jwk::Thumbprint, pairing_key::KeyFormat, time::Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    application::Application, audit, device::Device, environment::Environment, id::Id,
    mfa_policy::MfaPolicy, pairing::NoOffer, user::User,
};

/// The most keys of one user that can be used at a time.
pub const MAX_KEYS: u8 = 20;

/// How long a key is remembered after its end, in seconds: whoever asks shall see how it ended.
pub const REMEMBERED_SECONDS: i64 = 86_400;

/// One key, from its making to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairingKey {
    /// Its id.
    pub id: Id<PairingKey>,
    /// The tenant.
    pub environment: Id<Environment>,
    /// To whom a phone is paired by it.
    pub user: Id<User>,
    /// The native applications whose phones may be, at least one.
    pub applications: Vec<Id<Application>>,
    /// The MFA policy that must allow it.
    pub mfa_policy: Id<MfaPolicy>,
    /// What it is made of.
    pub format: KeyFormat,
    /// Whether it counts only as long as the user has no device: whoever made it has given no more than a password, and a device
    /// may have come since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub first_only: bool,
    /// How long it lives, in seconds.
    pub life_seconds: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// How far it has come.
    pub state: State,
}

impl PairingKey {
    /// From when on it is too late.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.created_at.plus_seconds(self.life_seconds.into())
    }

    /// From when on nobody needs to know of it.
    #[must_use]
    pub fn forgotten_at(&self) -> Timestamp {
        self.expires_at().plus_seconds(REMEMBERED_SECONDS)
    }

    /// Whether something can still come of it.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        match self.state {
            State::Unclaimed { .. } => true,
            State::Claimed { .. } | State::Expired { .. } => false,
        }
    }
}

/// Why the last phone that showed a key was not paired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Why not.
    pub why: NoOffer,
    /// When.
    pub at: Timestamp,
}

/// How far a key has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// No phone was paired by it. One that is refused leaves it to another, or to itself once what was in the way is gone.
    Unclaimed {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refused: Option<Refused>,
    },
    /// This phone was.
    Claimed {
        installation: Thumbprint,
        application: Id<Application>,
        device: Id<Device>,
        at: Timestamp,
    },
    /// The time was over.
    Expired {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refused: Option<Refused>,
    },
}

/// What can happen to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A phone shows it; `device` is the id that the new device would get.
    Claim { installation: Thumbprint, application: Id<Application>, device: Id<Device> },
    /// A phone with this application has shown it and may not be paired.
    Refuse { why: NoOffer },
    /// Time passes.
    Tick,
}

/// The next state and what must be committed with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The next state.
    pub state: State,
    /// What must be committed with it.
    pub effects: Vec<Effect>,
}

/// What must be committed with a change of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The device comes to be.
    CreateDevice(Id<Device>),
    /// A line in the audit log.
    Audit { action: audit::Action, reason: &'static str },
}

/// Why an event does not apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Too old.
    #[error("the pairing key has expired")]
    Expired,
    /// Another phone was faster.
    #[error("the pairing key was used already")]
    Claimed,
    /// Made for the phones of other applications.
    #[error("the pairing key is for another application")]
    OtherApplication,
}

/// The whole life of a key.
pub fn apply(key: &PairingKey, event: &Event, now: Timestamp) -> Result<Step, Refusal> {
    let late = now >= key.expires_at();
    match &key.state {
        State::Unclaimed { refused } => match event {
            Event::Tick if late => Ok(Step::only(State::Expired { refused: *refused })),
            Event::Tick => Ok(Step::only(key.state.clone())),
            Event::Claim { .. } | Event::Refuse { .. } if late => Err(Refusal::Expired),
            Event::Claim { application, .. } if !key.applications.contains(application) => {
                Err(Refusal::OtherApplication)
            }
            Event::Claim { installation, application, device } => {
                let state = State::Claimed {
                    installation: *installation,
                    application: *application,
                    device: *device,
                    at: now,
                };
                let created =
                    Effect::Audit { action: audit::Action::DeviceCreated, reason: "pairing_key" };
                Ok(Step { state, effects: vec![Effect::CreateDevice(*device), created] })
            }
            Event::Refuse { why } => {
                let state = State::Unclaimed { refused: Some(Refused { why: *why, at: now }) };
                let told = Effect::Audit { action: failure(*why), reason: why.name() };
                Ok(Step { state, effects: vec![told] })
            }
        },
        // A phone that lost the answer asks again, and is told the same.
        State::Claimed { installation: own, .. } => match event {
            Event::Claim { installation, .. } if installation != own => Err(Refusal::Claimed),
            Event::Claim { .. } if late => Err(Refusal::Expired),
            Event::Claim { .. } | Event::Tick => Ok(Step::only(key.state.clone())),
            Event::Refuse { .. } => Err(Refusal::Claimed),
        },
        State::Expired { .. } => match event {
            Event::Claim { .. } | Event::Refuse { .. } => Err(Refusal::Expired),
            Event::Tick => Ok(Step::only(key.state.clone())),
        },
    }
}

impl Step {
    const fn only(state: State) -> Self {
        Self { state, effects: Vec::new() }
    }
}

const fn failure(why: NoOffer) -> audit::Action {
    match why {
        NoOffer::Compromised => audit::Action::DevicePairingFailedCompromised,
        NoOffer::AlreadyPaired | NoOffer::Disabled | NoOffer::LimitReached { .. } => {
            audit::Action::DeviceActivationFailed
        }
    }
}

#[cfg(test)]
mod tests;
