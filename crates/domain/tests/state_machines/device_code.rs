//! The device code as a page.

use countersign_domain::device_code::{DeviceCode, Effect, Event, Refusal, State, apply};

use crate::{
    fixture::{NOW, Named, assert_complete, device_code, id, identity},
    page::{Answer, Machine, Samples, audited},
};

pub fn page() -> String {
    let (states, events) = (states(), events());
    assert_complete(states.iter().map(|(_, code)| &code.state));
    assert_complete(events.iter().map(|(_, event)| event));
    Machine {
        title: "Device code",
        about: "A device without a browser asks for tokens, and a person allows it somewhere else.",
        begins: vec!["Pending"],
        states,
        events,
        refusals: Refusal::NAMES,
        name: |code| code.state.name(),
        apply: answer,
    }
    .page()
}

fn states() -> Samples<DeviceCode> {
    let pending =
        |ago: i64| State::Pending { interval_seconds: 5, polled_at: Some(NOW.minus_seconds(ago)) };
    let approved = || State::Approved { identity: identity(), acr: "Multi_Factor".to_owned() };
    let late = |state| DeviceCode { expires_at: NOW, ..device_code(state) };
    vec![
        ("in time", device_code(pending(5))),
        ("too early", device_code(pending(4))),
        ("late", late(pending(5))),
        ("in time", device_code(approved())),
        ("late", late(approved())),
        ("", device_code(State::Denied)),
        ("", device_code(State::Redeemed { at: NOW })),
    ]
}

fn events() -> Samples<Event> {
    vec![
        ("by the application", Event::Poll { application: id(1) }),
        ("by another application", Event::Poll { application: id(2) }),
        ("", Event::Approve { identity: identity(), acr: "Multi_Factor".to_owned() }),
        ("", Event::Deny { identity: identity() }),
    ]
}

fn answer(code: &DeviceCode, event: &Event) -> Answer {
    match apply(code, event, NOW) {
        Ok(step) => Answer::step(&code.state, &step.state, step.effects.iter().map(told).collect()),
        Err(refusal) => Answer::refusal(&refusal),
    }
}

fn told(effect: &Effect) -> String {
    match effect {
        Effect::Audit { action, reason } => audited(*action, Some(reason)),
        Effect::IssueTokens { .. } | Effect::TellPending | Effect::TellSlowDown => {
            effect.name().to_owned()
        }
    }
}
