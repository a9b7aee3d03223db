//! What holds of every code and every refresh token, whoever presents it and however often.

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::fixture::{
    NOW, Named, REFRESH, TERMS, grant, id, key, redemption, refreshable, refreshing,
};

/// The token request that is right, with members replaced by wrong ones.
fn presented(application: bool, redirect_uri: bool, verifier: bool) -> Event {
    let Event::Redeem { application: owner, redirect_uri: uri, code_challenge, terms } =
        redemption()
    else {
        panic!("a redemption is one");
    };
    Event::Redeem {
        application: if application { owner } else { id(2) },
        redirect_uri: if redirect_uri { uri } else { Some("https://evil.example/cb".to_owned()) },
        code_challenge: if verifier { code_challenge } else { None },
        terms,
    }
}

fn presentations() -> impl Strategy<Value = Event> {
    let right = || prop::bool::weighted(0.8);
    (right(), right(), right()).prop_map(|(app, uri, verifier)| presented(app, uri, verifier))
}

/// What came of an event.
struct Moment {
    event: Event,
    age: i64,
    before: State,
    outcome: Result<Step, Refusal>,
}

impl Moment {
    /// Whether it gives tokens.
    fn issues(&self) -> bool {
        let issues = |effect: &Effect| matches!(effect, Effect::IssueTokens { .. });
        self.outcome.as_ref().is_ok_and(|step| step.effects.iter().any(issues))
    }

    /// The generation of the refresh token that it gives.
    fn gives(&self) -> Option<u32> {
        self.outcome.as_ref().ok()?.effects.iter().find_map(|effect| match effect {
            Effect::IssueTokens { refresh } => *refresh,
            Effect::Audit { .. } => None,
        })
    }
}

/// The events in turn, each some seconds after the one before.
fn life(mut grant: Grant, events: Vec<(Event, i64)>) -> Vec<Moment> {
    let mut age = 0;
    let present = |(event, gap): (Event, i64)| {
        age += gap;
        let before = grant.state.clone();
        let outcome = apply(&grant, &event, NOW.plus_seconds(age));
        if let Ok(step) = &outcome {
            grant.state = step.state.clone();
        }
        Moment { event, age, before, outcome }
    };
    events.into_iter().map(present).collect()
}

fn refreshes() -> impl Strategy<Value = Event> {
    prop_oneof![
        12 => (0_u32..6).prop_map(refreshing),
        1 => presentations(),
        1 => Just(Event::Revoke { application: id(1) }),
        1 => Just(Event::Revoke { application: id(2) }),
    ]
}

proptest! {
    #[test]
    fn a_code_gives_tokens_once_in_time_and_to_the_right_request(
        events in vec((presentations(), 0_i64..30), 0..12)
    ) {
        let life = life(grant(State::Issued), events);
        let issuing: Vec<_> = life.iter().filter(|moment| moment.issues()).collect();
        prop_assert!(issuing.len() <= 1);
        for moment in issuing {
            prop_assert!(moment.age < CODE_SECONDS);
            prop_assert_eq!(&moment.event, &redemption());
        }
    }

    #[test]
    fn a_code_that_comes_again_is_revoked_and_audited(
        events in vec((presentations(), 0_i64..30), 0..12)
    ) {
        for Moment { event, before, outcome, .. } in life(grant(State::Issued), events) {
            let Event::Redeem { application, .. } = &event else { continue };
            if let (State::Redeemed { .. }, true) = (before, *application == id(1)) {
                let step = outcome.unwrap();
                prop_assert_eq!(step.state.name(), "Revoked");
                let (action, reason) = (audit::Action::GrantReused, "code_used_twice");
                prop_assert_eq!(step.effects, [Effect::Audit { action, reason }]);
            }
        }
    }

    #[test]
    fn a_generation_is_not_accepted_again_outside_its_grace(
        events in vec((refreshes(), 0_i64..90), 0..24)
    ) {
        let mut first = BTreeMap::new();
        for moment in life(refreshable(0), events) {
            let (Event::Refresh { generation, .. }, true) = (&moment.event, moment.issues())
            else { continue };
            // Each acceptance, first or in grace, gives the one successor.
            prop_assert_eq!(moment.gives(), Some(generation + 1));
            let first = *first.entry(*generation).or_insert(moment.age);
            prop_assert!(moment.age == first || moment.age < first + i64::from(REFRESH.grace_seconds));
        }
    }

    #[test]
    fn after_a_revocation_nothing_counts(events in vec((refreshes(), 0_i64..90), 0..24)) {
        let life = life(refreshable(0), events);
        let revoked = life.iter().position(|m| m.outcome.as_ref().is_ok_and(|step| step.state.name() == "Revoked"));
        for moment in life.iter().skip(revoked.map_or(life.len(), |at| at + 1)) {
            prop_assert!(moment.outcome.is_err());
        }
    }

    #[test]
    fn no_refresh_token_outlives_its_rest_or_the_sign_on(
        events in vec((refreshes(), 0_i64..900), 0..24)
    ) {
        let mut last = 0;
        for moment in life(refreshable(0), events) {
            if let (Event::Refresh { .. }, true) = (&moment.event, moment.issues()) {
                prop_assert!(moment.age < last + i64::from(REFRESH.idle_seconds));
                prop_assert!(moment.age < i64::from(REFRESH.life_seconds.unwrap()));
                if moment.before != moment.outcome.as_ref().unwrap().state {
                    last = moment.age;
                }
            }
        }
    }

    #[test]
    fn a_revoked_grant_stays_revoked(
        event in prop_oneof![presentations(), refreshes()],
        age in 0_i64..1_000
    ) {
        let revoked = grant(State::Revoked { at: NOW });
        prop_assert!(apply(&revoked, &event, NOW.plus_seconds(age)).is_err());
    }
}

/// The browser fetches an authorization response with an access token of so many seconds.
const fn fetched(with_code: bool, access_seconds: u32) -> Event {
    Event::Answer { with_code, access_seconds: Some(access_seconds) }
}

#[test]
fn an_answer_with_tokens_is_given_once_and_in_time() {
    for with_code in [false, true] {
        let event = fetched(with_code, 3_600);
        let late = NOW.plus_seconds(CODE_SECONDS);
        assert_eq!(apply(&grant(State::Issued), &event, late), Err(Refusal::CodeExpired));
        let step = apply(&grant(State::Issued), &event, NOW).unwrap();
        assert!(step.effects.contains(&Effect::IssueTokens { refresh: None }));
        let given = grant(step.state);
        assert!(given.is_live());
        for event in [fetched(true, 3_600), fetched(false, 3_600)] {
            assert_eq!(apply(&given, &event, NOW), Err(Refusal::Answered));
        }
    }
}

#[test]
fn the_code_of_an_answer_counts_once_and_takes_the_tokens_beside_it_along() {
    let step = apply(&grant(State::Issued), &fetched(true, 86_400), NOW).unwrap();
    let answered = grant(step.state);
    let redeemed = apply(&answered, &redemption(), NOW.plus_seconds(9)).unwrap().state;
    let access_until = NOW.plus_seconds(86_400);
    assert_eq!(redeemed, State::Redeemed { at: NOW.plus_seconds(9), access_until });
    let again = apply(&grant(redeemed), &redemption(), NOW.plus_seconds(10)).unwrap();
    assert!(!grant(again.state).is_live());
    let late = NOW.plus_seconds(CODE_SECONDS);
    assert_eq!(apply(&answered, &redemption(), late), Err(Refusal::CodeExpired));
    assert_eq!(
        apply(&answered, &presented(false, true, true), NOW),
        Err(Refusal::OtherApplication)
    );
    assert_eq!(apply(&answered, &presented(true, true, false), NOW), Err(Refusal::WrongVerifier));
}

#[test]
fn an_answer_without_a_code_leaves_nothing_to_redeem() {
    let step = apply(&grant(State::Issued), &fetched(false, 3_600), NOW).unwrap();
    let step = apply(&grant(step.state), &redemption(), NOW).unwrap();
    assert_eq!(step.state.name(), "Revoked");
}

#[test]
fn each_wrong_member_is_told_and_does_not_spend_the_code() {
    let grant = grant(State::Issued);
    let refused = |event, age| apply(&grant, &event, NOW.plus_seconds(age)).unwrap_err();
    assert_eq!(refused(presented(false, true, true), 0), Refusal::OtherApplication);
    assert_eq!(refused(presented(true, false, true), 0), Refusal::OtherRedirectUri);
    assert_eq!(refused(presented(true, true, false), 0), Refusal::WrongVerifier);
    assert_eq!(refused(redemption(), CODE_SECONDS), Refusal::CodeExpired);
}

#[test]
fn a_verifier_without_a_challenge_is_refused() {
    let grant = Grant { code_challenge: None, ..grant(State::Issued) };
    assert_eq!(apply(&grant, &redemption(), NOW), Err(Refusal::WrongVerifier));
}

#[test]
fn without_replay_protection_an_old_refresh_token_has_no_consequences() {
    let rules = RefreshRules { replay_protection: false, ..REFRESH };
    let terms = Terms { refresh: Some(rules), ..TERMS };
    let old = Event::Refresh { application: id(1), generation: 3, terms };
    assert_eq!(apply(&refreshable(5), &old, NOW), Err(Refusal::NotNewest));
}

#[test]
fn a_refresh_token_from_before_a_restored_backup_is_nobodys_fault() {
    assert_eq!(apply(&refreshable(5), &refreshing(6), NOW), Err(Refusal::NotNewest));
}

#[test]
fn an_application_that_may_no_longer_refresh_gets_nothing() {
    let event = Event::Refresh { application: id(1), generation: 5, terms: TERMS };
    assert_eq!(apply(&refreshable(5), &event, NOW), Err(Refusal::NotNewest));
}

#[test]
fn scopes_may_be_narrowed_and_never_widened() {
    let scopes = vec![Scope::OpenId, Scope::Profile];
    let access = |names: &[&str]| {
        let scopes = names.iter().map(|&name| name.to_owned()).collect();
        Some(ResourceAccess { resource: id(1), scopes })
    };
    let all = access(&["pay", "read"]);
    let grant = Grant { scopes: scopes.clone(), access: all.clone(), ..refreshable(0) };
    for (asked, granted) in [
        ("openid profile", Some((scopes.clone(), None))),
        ("profile  offline_access", Some((vec![Scope::Profile], None))),
        ("offline_access", Some((scopes, all))),
        ("read profile", Some((vec![Scope::Profile], access(&["read"])))),
        ("pay", Some((vec![], access(&["pay"])))),
        ("pay close", None),
        ("Pay", None),
        ("openid email", None),
        ("openid unknown", None),
    ] {
        assert_eq!(grant.narrowed(asked), granted, "{asked}");
    }
}

#[test]
fn a_grant_is_bound_to_the_key_that_its_application_shows() {
    let (one, two) = (Some(key(1).thumbprint()), Some(key(2).thumbprint()));
    let redeemed = State::Redeemed { at: NOW, access_until: NOW };
    let answered = State::Answered { access_until: NOW };
    for (state, bound, shown, is_public, expected) in [
        (State::Issued, None, None, true, Ok(None)),
        (State::Issued, None, one, true, Ok(one)),
        (State::Issued, None, one, false, Ok(None)),
        (State::Issued, one, one, false, Ok(one)),
        (State::Issued, one, two, false, Err(Refusal::OtherKey)),
        (State::Issued, one, None, false, Err(Refusal::OtherKey)),
        (answered.clone(), one, None, false, Err(Refusal::OtherKey)),
        (answered, one, one, false, Ok(one)),
        (redeemed.clone(), one, one, true, Ok(one)),
        (redeemed.clone(), one, two, true, Err(Refusal::OtherKey)),
        (redeemed.clone(), one, None, true, Err(Refusal::OtherKey)),
        (redeemed, one, two, false, Ok(one)),
    ] {
        let grant = Grant { confirmation: bound, ..grant(state.clone()) };
        let told = format!("{state:?} {bound:?} {shown:?} {is_public}");
        assert_eq!(grant.confirm(shown, is_public), expected, "{told}");
    }
}
