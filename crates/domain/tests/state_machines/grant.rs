//! The grant as a page.

use countersign_domain::grant::{CODE_SECONDS, Effect, Event, Grant, State, apply};

use crate::{
    fixture::{NOW, Named, assert_complete, grant, id, redemption, refreshable, refreshing},
    page::{Answer, Machine, Samples, audited},
};

/// All but that of the key, which is compared beside the machine.
const REFUSALS: &[&str] = &[
    "CodeExpired",
    "OtherApplication",
    "OtherRedirectUri",
    "Answered",
    "WrongVerifier",
    "RefreshExpired",
    "NotNewest",
    "Revoked",
];

pub fn page() -> String {
    let (states, events) = (states(), events());
    assert_complete(states.iter().map(|(_, grant)| &grant.state));
    assert_complete(events.iter().map(|(_, event)| event));
    Machine {
        title: "Grant",
        about: "What an authorization code and the refresh tokens after it stand for.",
        begins: vec![State::Issued.name()],
        states,
        events,
        refusals: REFUSALS,
        name: |grant| grant.state.name(),
        apply: answer,
    }
    .page()
}

/// Each state on both sides of what time changes in it.
fn states() -> Samples<Grant> {
    let issued = |age| Grant { issued_at: NOW.minus_seconds(age), ..grant(State::Issued) };
    let answered = |age| Grant {
        issued_at: NOW.minus_seconds(age),
        ..grant(State::Answered { access_until: NOW.plus_seconds(3_600) })
    };
    let rotated = |age: i64| {
        let at = NOW.minus_seconds(age);
        let refresh_until = at.plus_seconds(600);
        let access_until = at.plus_seconds(3_600);
        let state =
            State::Refreshable { generation: 5, rotated_at: at, access_until, refresh_until };
        Grant { state, ..refreshable(5) }
    };
    vec![
        ("in time", issued(CODE_SECONDS - 1)),
        ("late", issued(CODE_SECONDS)),
        ("in time", answered(CODE_SECONDS - 1)),
        ("late", answered(CODE_SECONDS)),
        ("", grant(State::Redeemed { at: NOW, access_until: NOW })),
        ("in the grace", rotated(29)),
        ("after the grace", rotated(30)),
        ("late", rotated(600)),
        ("", grant(State::Revoked { at: NOW })),
    ]
}

fn events() -> Samples<Event> {
    let Event::Redeem { application, redirect_uri, code_challenge, terms } = redemption() else {
        return Vec::new();
    };
    let (uri, challenge) = (redirect_uri.clone(), code_challenge.clone());
    let other = Event::Redeem { application: id(2), redirect_uri, code_challenge, terms };
    let elsewhere =
        Event::Redeem { application, redirect_uri: None, code_challenge: challenge, terms };
    let unverified = Event::Redeem { application, redirect_uri: uri, code_challenge: None, terms };
    let lapsed = Event::Refresh { application, generation: 5, terms };
    let answer = |with_code, access_seconds| Event::Answer { with_code, access_seconds };
    vec![
        ("with tokens", answer(false, Some(3_600))),
        ("with an ID token", answer(false, None)),
        ("with tokens and a code", answer(true, Some(3_600))),
        ("as requested", redemption()),
        ("by another application", other),
        ("for another redirect URI", elsewhere),
        ("with a wrong verifier", unverified),
        ("with the newest token", refreshing(5)),
        ("with the one before", refreshing(4)),
        ("with an older one", refreshing(3)),
        ("without the grant type", lapsed),
        ("by the application", Event::Revoke { application }),
        ("by another application", Event::Revoke { application: id(2) }),
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
        Effect::Audit { action, reason } => audited(action, Some(reason)),
        Effect::IssueTokens { refresh: None } => effect.name().to_owned(),
        Effect::IssueTokens { refresh: Some(generation) } => {
            format!("{} with generation {generation}", effect.name())
        }
    }
}
