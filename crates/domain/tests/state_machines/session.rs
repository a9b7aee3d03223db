//! The session as a page.

use countersign_domain::session::{Effect, Event, Lifetimes, Refusal, Session, State, apply};

use crate::{
    fixture::{NOW, Named, assert_complete, id, identity, participant, session},
    page::{Answer, Machine, Samples, audited},
};

pub fn page() -> String {
    let (states, events) = (states(), events());
    assert_complete(states.iter().map(|(_, session)| &session.state));
    assert_complete(events.iter().map(|(_, event)| event));
    Machine {
        title: "Session",
        about: "A browser in which somebody has signed in, from the first sign-on to the end.",
        begins: vec!["Active"],
        states,
        events,
        refusals: Refusal::NAMES,
        name: |session| session.state.name(),
        apply: answer,
    }
    .page()
}

fn states() -> Samples<Session> {
    let active = State::Active { identity: identity(), participants: vec![participant()] };
    let old = Session { expires_at: NOW, ..session(active.clone()) };
    vec![
        ("in time", session(active)),
        ("too old", old),
        ("", session(State::Ended { user: id(1) })),
    ]
}

fn events() -> Samples<Event> {
    let signed_on = |user, authenticated_at| {
        let mut identity = identity();
        identity.user = id(user);
        identity.authenticated_at = Some(authenticated_at);
        Event::SignedOn { identity, participant: None }
    };
    vec![
        ("by what it knows", signed_on(1, NOW)),
        ("by a new proof", signed_on(1, NOW.plus_seconds(1))),
        ("by another user", signed_on(2, NOW)),
        ("", Event::End),
    ]
}

fn answer(session: &Session, event: &Event) -> Answer {
    match apply(session, event.clone(), Lifetimes::default(), NOW) {
        Ok(step) => {
            let effects = step.effects.into_iter().map(told).collect();
            Answer::step(&session.state, &step.session.state, effects)
        }
        Err(refusal) => Answer::refusal(&refusal),
    }
}

fn told(effect: Effect) -> String {
    match effect {
        Effect::Audit(action) => audited(action, None),
        Effect::EndParticipation(_) => effect.name().to_owned(),
    }
}
