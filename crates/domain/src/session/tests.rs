//! What holds of every session, whoever signs on in it and however often.

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::fixture::{NOW, id, identity};

const LIFETIMES: Lifetimes = Lifetimes { idle_seconds: 100, life_seconds: 1_000 };

fn begun() -> Session {
    Session::begin((id(1), id(1)), identity(), None, (LIFETIMES, NOW)).session
}

fn signed_on(user: u8, application: u8) -> Event {
    let identity = Identity { user: id(user), ..identity() };
    let participant = Some(Participant { application: id(application), grant: id(application) });
    Event::SignedOn { identity, participant }
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (1_u8..3, 1_u8..80).prop_map(|(user, application)| signed_on(user, application)),
        1 => Just(Event::End),
    ]
}

proptest! {
    #[test]
    fn a_session_is_of_one_user_to_its_end_and_ends_in_time(
        events in vec((events(), 0_i64..150), 0..60)
    ) {
        let (mut session, mut now, mut last) = (begun(), NOW, NOW);
        for (event, gap) in events {
            now = now.plus_seconds(gap);
            let signs_on = matches!(event, Event::SignedOn { .. });
            if let Ok(step) = apply(&session, event, LIFETIMES, now) {
                session = step.session;
                if signs_on {
                    prop_assert!(now < last.plus_seconds(LIFETIMES.idle_seconds.into()));
                    last = now;
                }
            }
            if let Some(identity) = session.identity(now) {
                prop_assert_eq!(identity.user, id(1));
                prop_assert!(now < NOW.plus_seconds(LIFETIMES.life_seconds.into()));
            }
        }
    }

    #[test]
    fn what_has_ended_stays_ended(event in events()) {
        let ended = apply(&begun(), Event::End, LIFETIMES, NOW).unwrap().session;
        prop_assert_eq!(ended.identity(NOW), None);
        prop_assert_eq!(apply(&ended, event, LIFETIMES, NOW), Err(Refusal::Ended));
    }

    #[test]
    fn an_application_takes_part_once_and_all_are_told(applications in vec(1_u8..80, 0..70)) {
        let mut session = begun();
        for application in &applications {
            let step = apply(&session, signed_on(1, *application), LIFETIMES, NOW).unwrap();
            session = step.session;
        }
        let State::Active { participants, .. } = &session.state else { panic!("{session:?}") };
        let mut named: Vec<_> = participants.iter().map(|part| part.application).collect();
        named.sort_unstable();
        named.dedup();
        prop_assert_eq!(named.len(), participants.len());
        prop_assert!(named.len() <= MAX_PARTICIPANTS);
        if let Some(newest) = applications.last() {
            prop_assert!(named.contains(&id(*newest)));
        }
        let told = apply(&session, Event::End, LIFETIMES, NOW).unwrap().effects;
        prop_assert_eq!(told.len(), named.len() + 1);
    }
}

#[test]
fn a_sign_on_moves_the_end_of_a_session_but_not_beyond_its_life() {
    let now = NOW.plus_seconds(50);
    let step = apply(&begun(), signed_on(1, 1), LIFETIMES, now).unwrap();
    assert_eq!(step.session.expires_at, now.plus_seconds(100));
    let old = Session { created_at: NOW.minus_seconds(900), ..begun() };
    let step = apply(&old, signed_on(1, 1), LIFETIMES, now).unwrap();
    assert_eq!(step.session.expires_at, NOW.plus_seconds(100));
}

#[test]
fn coming_back_soon_is_worth_no_write() {
    let same = |gap| {
        let event = Event::SignedOn { identity: identity(), participant: None };
        let step = apply(&begun(), event, LIFETIMES, NOW.plus_seconds(gap)).unwrap();
        assert_eq!(step.effects, []);
        begun().is_as_good_as(&step.session, LIFETIMES)
    };
    assert!(same(9));
    assert!(!same(10));
    let joined = apply(&begun(), signed_on(1, 1), LIFETIMES, NOW).unwrap().session;
    assert!(!begun().is_as_good_as(&joined, LIFETIMES));
}
