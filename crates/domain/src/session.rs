//! Sessions: a browser in which somebody has signed in, so that the next application need not ask again (OIDC Core, section 1).

use countersign_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    application::Application, audit, environment::Environment, flow::Identity, grant::Grant,
    id::Id, user::User,
};

/// A browser in which somebody has signed in. Its id is the `sid` of tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The `sid`.
    pub id: Id<Session>,
    /// The tenant.
    pub environment: Id<Environment>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Timestamp,
    /// How far it has come.
    pub state: State,
}

/// How far a session has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Somebody is signed in.
    Active {
        /// Who, how and when.
        identity: Identity,
        /// Who must be told when it ends, the newest last.
        participants: Vec<Participant>,
    },
    /// Nobody is any more.
    Ended {
        /// Who was.
        user: Id<User>,
    },
}

/// An application that has tokens of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Participant {
    /// Which.
    pub application: Id<Application>,
    /// What its newest tokens stand for.
    pub grant: Id<Grant>,
}

/// The most participants that are remembered. The oldest is forgotten first.
pub const MAX_PARTICIPANTS: usize = 50;

/// How long sessions last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// Seconds without a sign-on that end one.
    pub idle_seconds: u32,
    /// Seconds after its beginning that none outlives.
    pub life_seconds: u32,
}

impl Default for Lifetimes {
    /// NIST SP 800-63B-4, section 2.2.3: at AAL2 at most 24 hours, and one hour of inactivity.
    fn default() -> Self {
        Self { idle_seconds: 3_600, life_seconds: 86_400 }
    }
}

/// What can happen to a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A flow has completed in it.
    SignedOn {
        /// Who, how and when.
        identity: Identity,
        /// The application, if it must be told when the session ends.
        participant: Option<Participant>,
    },
    /// The person signs off, somebody else signs in at the same browser, or an administrator ends it. A session that runs out
    /// is not ended: its applications are told nothing, for they have known since its beginning how long it may last.
    End,
}

/// The next state and what must be committed with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The session as it is then.
    pub session: Session,
    /// What must be committed with it.
    pub effects: Vec<Effect>,
}

/// What must be committed with a change of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A line in the audit log.
    Audit(audit::Action),
    /// The application is told (OIDC Back-Channel Logout), and its refresh tokens no longer count.
    EndParticipation(Participant),
}

/// Why an event does not apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The session has ended.
    #[error("the session has ended")]
    Ended,
    /// The session is another user's.
    #[error("the session is another user's")]
    OtherUser,
}

impl Session {
    /// A session that begins now, still empty: [`Event::SignedOn`] fills it.
    #[must_use]
    pub fn begin(
        (id, environment): (Id<Session>, Id<Environment>),
        identity: Identity,
        participant: Option<Participant>,
        (lifetimes, now): (Lifetimes, Timestamp),
    ) -> Step {
        let participants = participant.into_iter().collect();
        let state = State::Active { identity, participants };
        let expires_at = expiry(now, lifetimes, now);
        let session = Self { id, environment, created_at: now, expires_at, state };
        Step { session, effects: vec![Effect::Audit(audit::Action::SessionCreated)] }
    }

    /// Who is signed in, unless the session is over.
    #[must_use]
    pub fn identity(&self, now: Timestamp) -> Option<&Identity> {
        match &self.state {
            State::Active { identity, .. } if now < self.expires_at => Some(identity),
            State::Active { .. } | State::Ended { .. } => None,
        }
    }

    /// Whose it is, or was.
    #[must_use]
    pub const fn user(&self) -> Id<User> {
        match &self.state {
            State::Active { identity, .. } => identity.user,
            State::Ended { user } => *user,
        }
    }

    /// Whether a step leaves nothing that is worth a write: the expiry moves on in tenths of the idle time only, so that
    /// not every sign-on within a session costs one.
    #[must_use]
    pub fn is_as_good_as(&self, next: &Self, lifetimes: Lifetimes) -> bool {
        let gained = next.expires_at.seconds_since(self.expires_at);
        self.state == next.state && gained < i64::from(lifetimes.idle_seconds) / 10
    }
}

fn expiry(created_at: Timestamp, lifetimes: Lifetimes, now: Timestamp) -> Timestamp {
    let idle = now.plus_seconds(lifetimes.idle_seconds.into());
    idle.min(created_at.plus_seconds(lifetimes.life_seconds.into()))
}

/// The whole life of a session.
pub fn apply(
    session: &Session,
    event: Event,
    lifetimes: Lifetimes,
    now: Timestamp,
) -> Result<Step, Refusal> {
    match &session.state {
        State::Active { identity: known, participants } => match event {
            Event::SignedOn { identity, .. } if identity.user != known.user => {
                Err(Refusal::OtherUser)
            }
            Event::SignedOn { .. } if now >= session.expires_at => Err(Refusal::Ended),
            Event::SignedOn { identity, participant } => {
                let participants = joined(participants, participant);
                let expires_at = expiry(session.created_at, lifetimes, now);
                // Who has proved something anew is told of in the log; who comes back is not.
                let anew = identity != *known;
                let state = State::Active { identity, participants };
                let effects = anew.then_some(Effect::Audit(audit::Action::SessionUpdated));
                let session = Session { expires_at, state, ..session.clone() };
                Ok(Step { session, effects: effects.into_iter().collect() })
            }
            Event::End => {
                let ended = Effect::Audit(audit::Action::SessionDeleted);
                let told = participants.iter().copied().map(Effect::EndParticipation);
                let effects = std::iter::once(ended).chain(told).collect();
                let state = State::Ended { user: known.user };
                Ok(Step { session: Session { state, ..session.clone() }, effects })
            }
        },
        State::Ended { .. } => match event {
            Event::SignedOn { .. } | Event::End => Err(Refusal::Ended),
        },
    }
}

/// With one more participant. An application counts once, by its newest grant.
fn joined(participants: &[Participant], new: Option<Participant>) -> Vec<Participant> {
    let Some(new) = new else { return participants.to_vec() };
    let others = participants.iter().filter(|known| known.application != new.application);
    let mut joined: Vec<Participant> = others.copied().chain([new]).collect();
    let surplus = joined.len().saturating_sub(MAX_PARTICIPANTS);
    joined.drain(..surplus);
    joined
}

#[cfg(test)]
mod tests;
