//! The device as a page.

use countersign_domain::{
    device::{Effect, Event, Refusal, State, apply},
    lockout::Limit,
};

use crate::{
    fixture::{LIMIT, NOW, Named, assert_complete},
    page::{Answer, Machine, Samples, audited},
};

pub fn page() -> String {
    let (states, events) = (states(), events());
    assert_complete(states.iter().map(|(_, state)| state));
    assert_complete(events.iter().map(|(_, event)| event));
    Machine {
        title: "Device",
        about: "Whether an installation that is paired to a user may vouch for that user.",
        begins: vec![State::paired(0).name()],
        states,
        events,
        refusals: Refusal::NAMES,
        name: Named::name,
        apply: answer,
    }
    .page()
}

fn states() -> Samples<State> {
    let last_step = 100;
    let after_the_lock = State::Locked { until: NOW, last_step };
    vec![
        ("", State::Active { failures: 0, last_step }),
        ("", State::Blocked { at: NOW, last_step }),
        ("during the lock", State::Locked { until: NOW.plus_seconds(1), last_step }),
        ("after the lock", after_the_lock),
        ("", State::Removed { at: NOW }),
    ]
}

fn events() -> Samples<Event> {
    vec![
        ("of a later step", Event::PasscodeMatched { step: 101 }),
        ("of a step that counted", Event::PasscodeMatched { step: 100 }),
        ("below the limit", Event::PasscodeWrong { limit: LIMIT }),
        ("at the limit", Event::PasscodeWrong { limit: Limit { failures: 1, ..LIMIT } }),
        ("", Event::Block),
        ("", Event::Unblock),
        ("", Event::Unlock),
        ("", Event::Remove { reason: "reason" }),
        ("", Event::Unpair { reason: "reason" }),
    ]
}

fn answer(state: &State, event: &Event) -> Answer {
    match apply(state, *event, NOW) {
        Ok(step) => Answer::step(state, &step.state, step.effects.iter().map(told).collect()),
        Err(refusal) => Answer::refusal(&refusal),
    }
}

fn told(effect: &Effect) -> String {
    match effect {
        Effect::Audit { action, reason } => audited(*action, *reason),
        Effect::CountUserFailure | Effect::Delete => effect.name().to_owned(),
    }
}
