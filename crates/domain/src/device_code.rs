//! Device codes: a device without a browser asks for tokens, and a person allows it somewhere else (RFC 8628).

use countersign_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    application::Application, audit, authorization::Scope, environment::Environment,
    flow::Identity, id::Id, protected_resource::ResourceAccess,
};

/// What each poll that comes too early adds to the interval, in seconds (RFC 8628, section 3.5).
pub const SLOW_DOWN_SECONDS: u16 = 5;

/// One request of a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceCode {
    /// Its id. The grant that comes of it shares its bits.
    pub id: Id<DeviceCode>,
    /// The tenant.
    pub environment: Id<Environment>,
    /// Who asks.
    pub application: Id<Application>,
    /// What is asked for of the user.
    pub scopes: Vec<Scope>,
    /// What is asked for at a protected resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<ResourceAccess>,
    /// When it was made.
    pub issued_at: Timestamp,
    /// From when it does not count.
    pub expires_at: Timestamp,
    /// How far it has come.
    pub state: State,
}

/// How far a device code has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Nobody has decided. The device may poll once in so many seconds, and last did then.
    Pending { interval_seconds: u16, polled_at: Option<Timestamp> },
    /// This person has allowed it, under the sign-on policy of this name.
    Approved { identity: Identity, acr: String },
    /// The person has refused.
    Denied,
    /// The device has its tokens.
    Redeemed { at: Timestamp },
}

/// What can happen to a device code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The device asks for its tokens.
    Poll { application: Id<Application> },
    /// A person who has signed in allows it.
    Approve { identity: Identity, acr: String },
    /// A person who has signed in refuses.
    Deny { identity: Identity },
}

/// The next state and what must be committed with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The next state.
    pub state: State,
    /// What must be committed with it.
    pub effects: Vec<Effect>,
}

/// What must be committed with a change of a device code, or told after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A grant comes to be, and its tokens are made.
    IssueTokens { identity: Identity, acr: String },
    /// The device is told to ask again later.
    TellPending,
    /// The device is told to ask less often.
    TellSlowDown,
    /// A line in the audit log.
    Audit { action: audit::Action, reason: &'static str },
}

/// Why an event does not apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Made for another application.
    #[error("device_code was made for another client_id")]
    OtherApplication,
    /// Too old.
    #[error("device_code has expired")]
    Expired,
    /// The person said no.
    #[error("the user refused")]
    Denied,
    /// The device has its tokens.
    #[error("device_code was used already")]
    Spent,
    /// Somebody has decided.
    #[error("the request of the device was answered already")]
    Answered,
}

/// The whole life of a device code.
pub fn apply(code: &DeviceCode, event: &Event, now: Timestamp) -> Result<Step, Refusal> {
    let late = now >= code.expires_at;
    match event {
        Event::Poll { application } if *application != code.application => {
            Err(Refusal::OtherApplication)
        }
        Event::Poll { .. } => match &code.state {
            State::Denied => Err(Refusal::Denied),
            State::Redeemed { .. } => Err(Refusal::Spent),
            State::Pending { .. } | State::Approved { .. } if late => Err(Refusal::Expired),
            State::Pending { interval_seconds, polled_at } => {
                Ok(polled(*interval_seconds, *polled_at, now))
            }
            State::Approved { identity, acr } => {
                let effect = Effect::IssueTokens { identity: identity.clone(), acr: acr.clone() };
                Ok(Step { state: State::Redeemed { at: now }, effects: vec![effect] })
            }
        },
        Event::Approve { .. } | Event::Deny { .. } => match &code.state {
            State::Pending { .. } if late => Err(Refusal::Expired),
            State::Pending { .. } => Ok(decided(event)),
            State::Approved { .. } | State::Denied | State::Redeemed { .. } => {
                Err(Refusal::Answered)
            }
        },
    }
}

fn polled(interval_seconds: u16, polled_at: Option<Timestamp>, now: Timestamp) -> Step {
    let early = polled_at.is_some_and(|at| now < at.plus_seconds(interval_seconds.into()));
    let (interval_seconds, effect) = if early {
        (interval_seconds.saturating_add(SLOW_DOWN_SECONDS), Effect::TellSlowDown)
    } else {
        (interval_seconds, Effect::TellPending)
    };
    let state = State::Pending { interval_seconds, polled_at: Some(now) };
    Step { state, effects: vec![effect] }
}

fn decided(event: &Event) -> Step {
    let (state, action, reason) = match event {
        Event::Approve { identity, acr } => {
            let state = State::Approved { identity: identity.clone(), acr: acr.clone() };
            (state, audit::Action::AccessAllowed, "device_grant_allowed")
        }
        Event::Deny { .. } | Event::Poll { .. } => {
            (State::Denied, audit::Action::AccessDenied, "device_grant_refused")
        }
    };
    Step { state, effects: vec![Effect::Audit { action, reason }] }
}

/// The letters of user codes: no vowels, so that no words come out (RFC 8628, section 6.1).
pub const USER_CODE_LETTERS: [u8; 20] = *b"BCDFGHJKLMNPQRSTVWXZ";

/// Letters of a user code: 34 bits, of which a guesser who is stopped after some hundred guesses finds nothing.
pub const USER_CODE_LENGTH: usize = 8;

/// The user code as it is hashed, of what a person has typed: letters alone, in capitals. Nothing if it cannot be one.
#[must_use]
pub fn normalized_user_code(typed: &str) -> Option<String> {
    if typed.len() > 64 {
        return None;
    }
    let letters: String = typed.chars().filter(char::is_ascii_alphanumeric).collect();
    let letters = letters.to_ascii_uppercase();
    let fits = letters.len() == USER_CODE_LENGTH
        && letters.bytes().all(|letter| USER_CODE_LETTERS.contains(&letter));
    fits.then_some(letters)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::fixture::{NOW, device_code, id, identity};

    const POLL: Event = Event::Poll { application: id(1) };

    fn approval() -> Event {
        Event::Approve { identity: identity(), acr: "Multi_Factor".to_owned() }
    }

    fn events() -> impl Strategy<Value = Event> {
        prop_oneof![
            6 => Just(POLL),
            1 => Just(Event::Poll { application: id(2) }),
            2 => Just(approval()),
            1 => Just(Event::Deny { identity: identity() }),
        ]
    }

    fn pending() -> DeviceCode {
        device_code(State::Pending { interval_seconds: 5, polled_at: None })
    }

    proptest! {
        #[test]
        fn tokens_are_given_once_in_time_to_its_own_application_and_after_a_yes(
            events in vec((events(), 0_i64..60), 0..24)
        ) {
            let (mut code, mut age, mut given, mut allowed) = (pending(), 0, 0, false);
            for (event, gap) in events {
                age += gap;
                let Ok(step) = apply(&code, &event, NOW.plus_seconds(age)) else { continue };
                if step.effects.iter().any(|effect| matches!(effect, Effect::IssueTokens { .. })) {
                    given += 1;
                    prop_assert!(allowed && event == POLL && age < 600);
                }
                allowed |= matches!(step.state, State::Approved { .. });
                code.state = step.state;
            }
            prop_assert!(given <= 1);
        }

        #[test]
        fn what_was_decided_stays(first in events(), then in vec(events(), 0..6)) {
            let mut code = pending();
            code.state = apply(&code, &Event::Deny { identity: identity() }, NOW).unwrap().state;
            for event in std::iter::once(first).chain(then) {
                prop_assert!(apply(&code, &event, NOW).is_err());
            }
        }
    }

    #[test]
    fn who_polls_too_early_must_wait_longer_from_then_on() {
        let mut code = pending();
        let early = [Effect::TellSlowDown];
        for (second, told) in [
            (0, [Effect::TellPending]),
            (4, early.clone()),
            (13, early.clone()),
            (28, [Effect::TellPending]),
            (42, early),
        ] {
            let step = apply(&code, &POLL, NOW.plus_seconds(second)).unwrap();
            assert_eq!(step.effects, told, "second {second}");
            code.state = step.state;
        }
    }

    #[test]
    fn a_user_code_is_read_as_people_type_it() {
        for typed in ["BCDF-GHJK", "bcdfghjk", " bcdf ghjk ", "B-C-D-F-G-H-J-K"] {
            assert_eq!(normalized_user_code(typed).as_deref(), Some("BCDFGHJK"), "{typed}");
        }
        for typed in ["", "BCDFGHJ", "BCDFGHJKL", "ACDFGHJK", "BCDF-GHJ1", &"-".repeat(100)] {
            assert_eq!(normalized_user_code(typed), None, "{typed}");
        }
    }
}
