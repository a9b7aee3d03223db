//! The signing key as a page.

use countersign_domain::{
    sealed::Sealed,
    signing_key::{Effect, Event, Refusal, Rules, State, apply},
};

use crate::{
    fixture::{NOW, Named, assert_complete},
    page::{Answer, Machine, Samples, audited},
};

pub fn page() -> String {
    let (states, events) = (states(), events());
    assert_complete(states.iter().map(|(_, state)| state));
    assert_complete(events.iter().map(|(_, event)| event));
    Machine {
        title: "Signing key",
        about: "What an environment signs with, from publication to withdrawal.",
        begins: vec!["Next"],
        states,
        events,
        refusals: Refusal::NAMES,
        name: Named::name,
        apply: answer,
    }
    .page()
}

fn states() -> Samples<State> {
    let private = || Sealed::new(vec![1]);
    let ago = |seconds| NOW.minus_seconds(seconds);
    let publish = Rules::default().publish_seconds;
    vec![
        ("published too short", State::Next { private: private(), at: ago(publish - 1) }),
        ("published long enough", State::Next { private: private(), at: ago(publish) }),
        ("", State::Current { private: private(), at: ago(1) }),
        ("in time", State::Retired { until: NOW.plus_seconds(1) }),
        ("late", State::Retired { until: NOW }),
        ("", State::Removed),
    ]
}

fn events() -> Samples<Event> {
    vec![
        ("", Event::Activate),
        ("", Event::Retire { seconds: 3_600 }),
        ("", Event::Withdraw),
        ("", Event::Tick),
    ]
}

fn answer(state: &State, event: &Event) -> Answer {
    match apply(state, *event, NOW, &Rules::default()) {
        Ok(step) => Answer::step(state, &step.state, step.effects.iter().map(told).collect()),
        Err(refusal) => Answer::refusal(&refusal),
    }
}

fn told(effect: &Effect) -> String {
    match effect {
        Effect::Audit { action, reason } => audited(*action, *reason),
        Effect::Delete => effect.name().to_owned(),
    }
}
