//! The authentication code as a page.

use countersign_domain::{
    authentication_code::{
        Approval, AuthenticationCode, Candidate, Effect, Event, Refusal, State, apply,
    },
    challenge::Number,
};
use countersign_protocol::challenge::NumberMatching;

use crate::{
    fixture::{NOW, Named, assert_complete, authentication_code, id, key},
    page::{Answer, Machine, Samples, audited},
};

pub fn page() -> String {
    let (states, events) = (states(), events());
    assert_complete(states.iter().map(|(_, code)| &code.state));
    assert_complete(events.iter().map(|(_, event)| event));
    Machine {
        title: "Authentication code",
        about: "Somebody signs on at one screen by reading a code off it with a phone.",
        begins: vec!["Unclaimed"],
        states,
        events,
        refusals: Refusal::NAMES,
        name: |code| code.state.name(),
        apply: answer,
    }
    .page()
}

fn candidate(n: u8) -> Candidate {
    Candidate { user: id(n), device: id(n) }
}

fn states() -> Samples<AuthenticationCode> {
    let installation = key(1).thumbprint();
    let late = |code| AuthenticationCode { created_at: NOW.minus_seconds(60), ..code };
    let unclaimed = || authentication_code(State::Unclaimed);
    let candidates = || vec![candidate(1), candidate(2)];
    let claimed =
        || authentication_code(State::Claimed { installation, candidates: candidates(), at: NOW });
    let free = AuthenticationCode { approval: Approval::NotRequired, ..unclaimed() };
    let matching = NumberMatching::EnterManually { digits: 6 };
    let number = Number { value: 42, matching };
    vec![
        ("asking", unclaimed()),
        ("not asking", free),
        ("late", late(unclaimed())),
        ("", claimed()),
        ("with a number", AuthenticationCode { number: Some(number), ..claimed() }),
        ("on a sign-on page", AuthenticationCode { flow: Some(id(1)), ..claimed() }),
        ("late", late(claimed())),
        (
            "",
            authentication_code(State::Completed {
                installation,
                by: candidate(1),
                approved: true,
                at: NOW,
            }),
        ),
        ("", authentication_code(State::Denied { installation, user: None, at: NOW })),
        ("", authentication_code(State::Expired { installation: None })),
    ]
}

fn events() -> Samples<Event> {
    let (own, other) = (key(1).thumbprint(), key(2).thumbprint());
    let claim = |users: &[u8]| Event::Claim {
        installation: own,
        candidates: users.iter().map(|n| candidate(*n)).collect(),
    };
    let approve = |installation, n| Event::Approve { installation, user: id(n), number: None };
    vec![
        ("by a phone of one user", claim(&[1])),
        ("by a phone of two users", claim(&[1, 2])),
        ("by a phone of nobody", claim(&[])),
        ("by the phone", approve(own, 1)),
        ("by another phone", approve(other, 1)),
        ("for another user", approve(own, 3)),
        ("", Event::Deny { installation: own, user: None }),
        ("", Event::Withdraw),
        ("", Event::Tick),
    ]
}

fn answer(code: &AuthenticationCode, event: &Event) -> Answer {
    match apply(code, event, NOW) {
        Ok(step) => Answer::step(&code.state, &step.state, step.effects.iter().map(told).collect()),
        Err(refusal) => Answer::refusal(&refusal),
    }
}

fn told(effect: &Effect) -> String {
    match effect {
        Effect::Audit { action, reason, .. } => audited(*action, Some(reason)),
        Effect::TellFlow { .. } => effect.name().to_owned(),
    }
}
