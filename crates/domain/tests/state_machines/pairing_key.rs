//! The pairing key as a page.

use countersign_domain::{
    pairing::NoOffer,
    pairing_key::{Effect, Event, PairingKey, Refusal, State, apply},
};

use crate::{
    fixture::{NOW, Named, assert_complete, id, key, pairing_key},
    page::{Answer, Machine, Samples, audited},
};

pub fn page() -> String {
    let (states, events) = (states(), events());
    assert_complete(states.iter().map(|(_, key)| &key.state));
    assert_complete(events.iter().map(|(_, event)| event));
    Machine {
        title: "Pairing key",
        about: "Somebody makes a key for a user, and the phone that shows it is paired to that user.",
        begins: vec!["Unclaimed"],
        states,
        events,
        refusals: Refusal::NAMES,
        name: |key| key.state.name(),
        apply: answer,
    }
    .page()
}

/// Each state on both sides of the expiry.
fn states() -> Samples<PairingKey> {
    let claimed = State::Claimed {
        installation: key(1).thumbprint(),
        application: id(1),
        device: id(1),
        at: NOW,
    };
    let states = [State::Unclaimed { refused: None }, claimed, State::Expired { refused: None }];
    let sides = [("in time", 599), ("late", 600)];
    let aged = |state: &State| {
        let key = pairing_key(state.clone());
        sides.map(|(when, age)| {
            (when, PairingKey { created_at: NOW.minus_seconds(age), ..key.clone() })
        })
    };
    states.iter().flat_map(aged).collect()
}

fn events() -> Samples<Event> {
    let (own, other) = (key(1).thumbprint(), key(2).thumbprint());
    let claim = |installation, application| Event::Claim {
        installation,
        application: id(application),
        device: id(2),
    };
    vec![
        ("by the phone", claim(own, 1)),
        ("by another phone", claim(other, 1)),
        ("by another application", claim(other, 2)),
        ("where the policy allows it no longer", Event::Refuse { why: NoOffer::Disabled }),
        ("by a rooted phone", Event::Refuse { why: NoOffer::Compromised }),
        ("", Event::Tick),
    ]
}

fn answer(key: &PairingKey, event: &Event) -> Answer {
    match apply(key, event, NOW) {
        Ok(step) => Answer::step(&key.state, &step.state, step.effects.iter().map(told).collect()),
        Err(refusal) => Answer::refusal(&refusal),
    }
}

fn told(effect: &Effect) -> String {
    match effect {
        Effect::Audit { action, reason } => audited(*action, Some(reason)),
        Effect::CreateDevice(_) => effect.name().to_owned(),
    }
}
