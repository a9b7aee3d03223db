//! Authentication codes: somebody signs on at one screen by reading a code off it with a phone.

use countersign_protocol::{challenge::Origin, jwk::Thumbprint, time::Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    application::Application,
    audit,
    challenge::Number,
    device::Device,
    environment::Environment,
    flow::Flow,
    id::Id,
    invalid::{Check, Invalid},
    user::User,
};

/// How long a code lives if nobody says so, in seconds.
pub const DEFAULT_LIFE_SECONDS: u32 = 60;

/// How long a code is remembered after its end, in seconds: whoever polls shall see how it ended.
pub const REMEMBERED_SECONDS: i64 = 600;

/// One code, from its making to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthenticationCode {
    /// Its id.
    pub id: Id<AuthenticationCode>,
    /// The tenant.
    pub environment: Id<Environment>,
    /// The native application that may claim it, and no other.
    pub application: Id<Application>,
    /// The flow on whose page it is shown, if it is. It takes the place of a password there, so only phones that verify their
    /// persons may bring it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<Id<Flow>>,
    /// Whether the person must agree.
    pub approval: Approval,
    /// What its creator wants shown: the text of a JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_context: Option<String>,
    /// Name of the application that is signed on to.
    pub site: String,
    /// From where it is asked.
    #[serde(default, skip_serializing_if = "Origin::is_empty")]
    pub origin: Origin,
    /// The number that the screen shows once a phone has the code, if one must come back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<Number>,
    /// How long it lives, in seconds, as it was asked for.
    pub life_seconds: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// How far it has come.
    pub state: State,
}

impl AuthenticationCode {
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
            State::Unclaimed | State::Claimed { .. } => true,
            State::Completed { .. } | State::Denied { .. } | State::Expired { .. } => false,
        }
    }

    /// The rules for who makes one.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.range(self.life_seconds.into(), "lifeTime.duration", 10, 30 * 60);
        check.finish()
    }
}

/// Whether the person must agree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    /// Yes. Whoever is tricked into reading a code sees what for.
    #[default]
    Required,
    /// No: where there is one user, the claim is all.
    NotRequired,
}

/// A user of the installation that has claimed a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The user.
    pub user: Id<User>,
    /// The device that the installation is for the user.
    pub device: Id<Device>,
}

/// How far a code has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// No phone has it.
    Unclaimed,
    /// This phone has it, and one of these users decides.
    Claimed { installation: Thumbprint, candidates: Vec<Candidate>, at: Timestamp },
    /// This user is signed on. `approved`: the person was asked.
    Completed { installation: Thumbprint, by: Candidate, approved: bool, at: Timestamp },
    /// The person has said no.
    Denied { installation: Thumbprint, user: Option<Id<User>>, at: Timestamp },
    /// The time was over, or it was withdrawn. The phone that had it shall hear that.
    Expired {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        installation: Option<Thumbprint>,
    },
}

/// What can happen to a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A phone with these users, at least one, has read it.
    Claim { installation: Thumbprint, candidates: Vec<Candidate> },
    /// This user signs on.
    Approve { installation: Thumbprint, user: Id<User>, number: Option<u32> },
    /// Nobody signs on.
    Deny { installation: Thumbprint, user: Option<Id<User>> },
    /// It is shown no more.
    Withdraw,
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

/// What must be committed with a change of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A line in the audit log.
    Audit { action: audit::Action, reason: &'static str, by: Option<Candidate> },
    /// The flow on whose page it is goes on as this user.
    TellFlow { by: Candidate },
}

/// Why an event does not apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Too old.
    #[error("the code has expired")]
    Expired,
    /// Another phone was faster, or this one has claimed it already.
    #[error("the code was claimed already")]
    Claimed,
    /// It has come to an end.
    #[error("the code was used already")]
    Ended,
    /// This phone has not claimed it.
    #[error("the code was not claimed by this installation")]
    OtherInstallation,
    /// Nobody whom the phone vouches for.
    #[error("user must be one of those of the claim")]
    UnknownUser,
    /// A number must come back, and none came.
    #[error("the code needs the number that the other screen shows")]
    NumberRequired,
}

/// The whole life of a code.
pub fn apply(code: &AuthenticationCode, event: &Event, now: Timestamp) -> Result<Step, Refusal> {
    let late = now >= code.expires_at();
    match &code.state {
        State::Unclaimed => match event {
            Event::Tick if late => Ok(ended(None, "expired")),
            Event::Tick => Ok(unchanged(code)),
            Event::Withdraw => Ok(ended(None, "withdrawn")),
            Event::Claim { .. } if late => Err(Refusal::Expired),
            Event::Claim { installation, candidates } => {
                claimed(code, *installation, candidates, now)
            }
            Event::Approve { .. } | Event::Deny { .. } => Err(Refusal::OtherInstallation),
        },
        State::Claimed { installation: own, candidates, .. } => match event {
            Event::Tick if late => Ok(ended(Some(*own), "expired")),
            Event::Tick => Ok(unchanged(code)),
            Event::Withdraw => Ok(ended(Some(*own), "withdrawn")),
            Event::Claim { .. } => Err(Refusal::Claimed),
            Event::Approve { installation, .. } | Event::Deny { installation, .. }
                if installation != own =>
            {
                Err(Refusal::OtherInstallation)
            }
            Event::Approve { .. } | Event::Deny { .. } if late => Err(Refusal::Expired),
            Event::Approve { user, number, .. } => {
                approved(code, (*own, candidates), (*user, *number), now)
            }
            Event::Deny { user, .. } => denied((*own, candidates), *user, "denied_by_user", now),
        },
        State::Completed { .. } | State::Denied { .. } => match event {
            Event::Tick | Event::Withdraw => Ok(unchanged(code)),
            Event::Claim { .. } => Err(Refusal::Claimed),
            Event::Approve { .. } | Event::Deny { .. } => Err(Refusal::Ended),
        },
        State::Expired { .. } => match event {
            Event::Tick | Event::Withdraw => Ok(unchanged(code)),
            Event::Claim { .. } | Event::Approve { .. } | Event::Deny { .. } => {
                Err(Refusal::Expired)
            }
        },
    }
}

fn unchanged(code: &AuthenticationCode) -> Step {
    Step { state: code.state.clone(), effects: Vec::new() }
}

const fn told(reason: &'static str, by: Option<Candidate>) -> Effect {
    Effect::Audit { action: audit::Action::AuthenticationCodeUpdated, reason, by }
}

fn ended(installation: Option<Thumbprint>, reason: &'static str) -> Step {
    Step { state: State::Expired { installation }, effects: vec![told(reason, None)] }
}

fn claimed(
    code: &AuthenticationCode,
    installation: Thumbprint,
    candidates: &[Candidate],
    now: Timestamp,
) -> Result<Step, Refusal> {
    match (candidates, code.approval, &code.number) {
        ([], _, _) => Err(Refusal::UnknownUser),
        // A number is a question too.
        ([by], Approval::NotRequired, None) if code.flow.is_none() => {
            let (by, approved) = (*by, false);
            let state = State::Completed { installation, by, approved, at: now };
            Ok(Step { state, effects: vec![told("completed", Some(by))] })
        }
        (candidates, _, _) => {
            let candidates = candidates.to_vec();
            let state = State::Claimed { installation, candidates, at: now };
            Ok(Step { state, effects: vec![told("claimed", None)] })
        }
    }
}

fn approved(
    code: &AuthenticationCode,
    (installation, candidates): (Thumbprint, &[Candidate]),
    (user, number): (Id<User>, Option<u32>),
    now: Timestamp,
) -> Result<Step, Refusal> {
    let by = candidates.iter().find(|candidate| candidate.user == user);
    let by = *by.ok_or(Refusal::UnknownUser)?;
    match (&code.number, number) {
        (Some(_), None) => return Err(Refusal::NumberRequired),
        // One try, as for challenges.
        (Some(right), Some(given)) if right.value != given => {
            return denied((installation, candidates), Some(user), "wrong_number", now);
        }
        (Some(_) | None, _) => {}
    }
    let state = State::Completed { installation, by, approved: true, at: now };
    let mut effects = vec![told("approved", Some(by))];
    effects.extend(code.flow.map(|_| Effect::TellFlow { by }));
    Ok(Step { state, effects })
}

fn denied(
    (installation, candidates): (Thumbprint, &[Candidate]),
    user: Option<Id<User>>,
    reason: &'static str,
    now: Timestamp,
) -> Result<Step, Refusal> {
    let by = match user {
        None => None,
        Some(user) => {
            let known = candidates.iter().find(|candidate| candidate.user == user);
            Some(*known.ok_or(Refusal::UnknownUser)?)
        }
    };
    let state = State::Denied { installation, user, at: now };
    Ok(Step { state, effects: vec![told(reason, by)] })
}

#[cfg(test)]
mod tests;
