//! The pairing ticket as a page.

use countersign_domain::pairing::{Effect, Event, Refusal, State, TICKET_SECONDS, Ticket, apply};

use crate::{
    fixture::{NOW, Named, assert_complete, id, key, ticket},
    page::{Answer, Machine, Samples, audited},
};

pub fn page() -> String {
    let (states, events) = (states(), events());
    assert_complete(states.iter().map(|(_, ticket)| &ticket.state));
    assert_complete(events.iter().map(|(_, event)| event));
    Machine {
        title: "Pairing ticket",
        about: "The offer to pair a phone, carried inside the ID token, from the offer to the answer of the person.",
        begins: vec![State::Open.name()],
        states,
        events,
        refusals: Refusal::NAMES,
        name: |ticket| ticket.state.name(),
        apply: answer,
    }
    .page()
}

/// Each state on both sides of the expiry.
fn states() -> Samples<Ticket> {
    let states = [
        State::Open,
        State::Claimed { device: id(1), at: NOW },
        State::Denied { at: NOW },
        State::Expired,
    ];
    let sides = [("in time", TICKET_SECONDS - 1), ("late", TICKET_SECONDS)];
    let aged = |state: &State| {
        let ticket = ticket(state.clone());
        sides.map(|(when, age)| {
            (when, Ticket { issued_at: NOW.minus_seconds(age), ..ticket.clone() })
        })
    };
    states.iter().flat_map(aged).collect()
}

fn events() -> Samples<Event> {
    let (own, other) = (key(1).thumbprint(), key(2).thumbprint());
    let approve = |thumbprint| Event::Approve { thumbprint, device: id(2) };
    vec![
        ("by the phone", approve(own)),
        ("by another phone", approve(other)),
        ("by the phone", Event::Deny { thumbprint: own }),
        ("by another phone", Event::Deny { thumbprint: other }),
        ("", Event::Tick),
    ]
}

fn answer(ticket: &Ticket, event: &Event) -> Answer {
    match apply(ticket, event, NOW) {
        Ok(step) => {
            Answer::step(&ticket.state, &step.state, step.effects.iter().map(told).collect())
        }
        Err(refusal) => Answer::refusal(&refusal),
    }
}

fn told(effect: &Effect) -> String {
    match effect {
        Effect::Audit { action, reason } => audited(*action, *reason),
        Effect::CreateDevice(_) => effect.name().to_owned(),
    }
}
