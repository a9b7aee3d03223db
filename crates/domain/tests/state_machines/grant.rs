//! The grant as a page.

use countersign_domain::grant::{CODE_SECONDS, Effect, Event, Grant, Refusal, State, apply};

use crate::{
    fixture::{NOW, Named, assert_complete, grant, id, redemption},
    page::{Answer, Machine, Samples, audited},
};

pub fn page() -> String {
    let (states, events) = (states(), events());
    assert_complete(states.iter().map(|(_, grant)| &grant.state));
    assert_complete(events.iter().map(|(_, event)| event));
    Machine {
        title: "Grant",
        about: "What an authorization code stands for, from the code to the tokens.",
        begins: vec![State::Issued.name()],
        states,
        events,
        refusals: Refusal::NAMES,
        name: |grant| grant.state.name(),
        apply: answer,
    }
    .page()
}

/// Each state on both sides of the expiry of the code.
fn states() -> Samples<Grant> {
    let states = [State::Issued, State::Redeemed { at: NOW }, State::Revoked { at: NOW }];
    let sides = [("in time", CODE_SECONDS - 1), ("late", CODE_SECONDS)];
    let aged = |state: &State| {
        let grant = grant(state.clone());
        sides
            .map(|(when, age)| (when, Grant { issued_at: NOW.minus_seconds(age), ..grant.clone() }))
    };
    states.iter().flat_map(aged).collect()
}

fn events() -> Samples<Event> {
    let Event::Redeem { application, redirect_uri, code_challenge } = redemption();
    let (uri, challenge) = (redirect_uri.clone(), code_challenge.clone());
    vec![
        ("as requested", redemption()),
        (
            "by another application",
            Event::Redeem { application: id(2), redirect_uri, code_challenge },
        ),
        (
            "for another redirect URI",
            Event::Redeem { application, redirect_uri: None, code_challenge: challenge },
        ),
        (
            "with a wrong verifier",
            Event::Redeem { application, redirect_uri: uri, code_challenge: None },
        ),
    ]
}

fn answer(grant: &Grant, event: &Event) -> Answer {
    match apply(grant, event, NOW) {
        Ok(step) => {
            Answer::step(&grant.state, &step.state, step.effects.into_iter().map(told).collect())
        }
        Err(refusal) => Answer::refusal(&refusal),
    }
}

fn told(effect: Effect) -> String {
    match effect {
        Effect::Audit(action) => audited(action, None),
        Effect::IssueTokens => effect.name().to_owned(),
    }
}
