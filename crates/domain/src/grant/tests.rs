//! What holds of every code, whoever presents it and however often.

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::fixture::{NOW, Named, grant, id, redemption};

/// The token request that is right, with members replaced by wrong ones.
fn presented(application: bool, redirect_uri: bool, verifier: bool) -> Event {
    let Event::Redeem { application: owner, redirect_uri: uri, code_challenge } = redemption();
    Event::Redeem {
        application: if application { owner } else { id(2) },
        redirect_uri: if redirect_uri { uri } else { Some("https://evil.example/cb".to_owned()) },
        code_challenge: if verifier { code_challenge } else { None },
    }
}

fn presentations() -> impl Strategy<Value = Event> {
    let right = || prop::bool::weighted(0.8);
    (right(), right(), right()).prop_map(|(app, uri, verifier)| presented(app, uri, verifier))
}

/// What came of each presentation in turn, and how old the code was.
fn life(events: Vec<(Event, i64)>) -> Vec<(Event, i64, State, Result<Step, Refusal>)> {
    let (mut grant, mut age) = (grant(State::Issued), 0);
    let present = |(event, gap): (Event, i64)| {
        age += gap;
        let before = grant.state.clone();
        let outcome = apply(&grant, &event, NOW.plus_seconds(age));
        if let Ok(step) = &outcome {
            grant.state = step.state.clone();
        }
        (event, age, before, outcome)
    };
    events.into_iter().map(present).collect()
}

fn issues(outcome: &Result<Step, Refusal>) -> bool {
    outcome.as_ref().is_ok_and(|step| step.effects.contains(&Effect::IssueTokens))
}

proptest! {
    #[test]
    fn a_code_gives_tokens_once_in_time_and_to_the_right_request(
        events in vec((presentations(), 0_i64..30), 0..12)
    ) {
        let life = life(events);
        let issuing: Vec<_> = life.iter().filter(|(.., outcome)| issues(outcome)).collect();
        prop_assert!(issuing.len() <= 1);
        for (event, age, ..) in issuing {
            prop_assert!(*age < CODE_SECONDS);
            prop_assert_eq!(event, &redemption());
        }
    }

    #[test]
    fn a_code_that_comes_again_is_revoked_and_audited(
        events in vec((presentations(), 0_i64..30), 0..12)
    ) {
        for (event, _, before, outcome) in life(events) {
            let Event::Redeem { application, .. } = &event;
            if let (State::Redeemed { .. }, true) = (before, *application == id(1)) {
                let step = outcome.unwrap();
                prop_assert_eq!(step.state.name(), "Revoked");
                prop_assert_eq!(step.effects, [Effect::Audit(audit::Action::GrantReused)]);
            }
        }
    }

    #[test]
    fn a_revoked_code_stays_revoked(event in presentations(), age in 0_i64..1_000) {
        let revoked = grant(State::Revoked { at: NOW });
        prop_assert!(apply(&revoked, &event, NOW.plus_seconds(age)).is_err());
    }
}

#[test]
fn each_wrong_member_is_told_and_does_not_spend_the_code() {
    let grant = grant(State::Issued);
    let refused = |event, age| apply(&grant, &event, NOW.plus_seconds(age)).unwrap_err();
    assert_eq!(refused(presented(false, true, true), 0), Refusal::OtherApplication);
    assert_eq!(refused(presented(true, false, true), 0), Refusal::OtherRedirectUri);
    assert_eq!(refused(presented(true, true, false), 0), Refusal::WrongVerifier);
    assert_eq!(refused(redemption(), CODE_SECONDS), Refusal::Expired);
}

#[test]
fn a_verifier_without_a_challenge_is_refused() {
    let grant = Grant { code_challenge: None, ..grant(State::Issued) };
    assert_eq!(apply(&grant, &redemption(), NOW), Err(Refusal::WrongVerifier));
}
