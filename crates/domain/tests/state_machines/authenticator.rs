//! The authenticator as a page.

use countersign_domain::{
    authenticator::{Refusal, State, apply},
    device::{self, Effect, Event},
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
        title: "Authenticator",
        about: "Whether something other than a paired phone may vouch for its user. Once it is activated, it lives as a device does.",
        begins: vec![State::new(NOW).name()],
        states,
        events,
        refusals: Refusal::NAMES,
        name: Named::name,
        apply: answer,
    }
    .page()
}

fn states() -> Samples<State> {
    let waiting = |until| State::ActivationRequired { until, failures: 0 };
    vec![
        ("in time", waiting(NOW.plus_seconds(1))),
        ("too late", waiting(NOW)),
        ("active", State::paired(100)),
        ("removed", State::Paired { state: device::State::Removed { at: NOW } }),
    ]
}

fn events() -> Samples<Event> {
    vec![
        ("", Event::PasscodeMatched { step: 101 }),
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
