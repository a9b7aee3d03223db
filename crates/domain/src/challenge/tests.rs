//! What holds of every challenge, whatever happens to it, and how numbers are drawn.

use countersign_protocol::entropy::SystemEntropy;
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::fixture::{NOW, challenge};

fn events() -> impl Strategy<Value = Event> {
    let method = || "fpt".to_owned();
    prop_oneof![
        Just(Event::Acknowledge),
        prop_oneof![Just(None), Just(Some(42)), (10_u32..100).prop_map(Some)]
            .prop_map(move |number| Event::Approve { number, method: method() }),
        Just(Event::Deny { why: Denial::ByUser }),
        Just(Event::Deny { why: Denial::Fraud }),
        Just(Event::Tick),
        Just(Event::Cancel { why: Cancellation::Withdrawn }),
        Just(Event::Cancel { why: Cancellation::Superseded }),
        Just(Event::Cancel { why: Cancellation::DeviceGone }),
    ]
}

fn questions() -> impl Strategy<Value = Challenge> {
    prop::bool::ANY.prop_map(|silent| {
        let asked = challenge(State::Pending);
        if silent { Challenge { question: Question::Silent, ..asked } } else { asked }
    })
}

proptest! {
    #[test]
    fn there_is_at_most_one_end_and_the_flow_hears_of_it_once(
        mut challenge in questions(), happened in vec((events(), 0_i64..30), 0..20)
    ) {
        let (mut now, mut ends, mut told) = (NOW, 0, 0);
        for (event, gap) in happened {
            now = now.plus_seconds(gap);
            let Ok(step) = apply(&challenge, &event, now) else { continue };
            if step.state == challenge.state {
                prop_assert!(step.effects.is_empty());
            } else {
                prop_assert_eq!(&challenge.state, &State::Pending);
                ends += 1;
            }
            told += step.effects.iter().filter(|e| matches!(e, Effect::TellFlow(_))).count();
            challenge.state = step.state;
        }
        prop_assert!(ends <= 1 && told <= ends);
    }

    #[test]
    fn a_question_to_a_person_that_ends_without_a_yes_counts_however_it_ends(
        mut challenge in questions(), happened in vec((events(), 0_i64..30), 0..20)
    ) {
        let (mut now, mut counted) = (NOW, 0);
        for (event, gap) in happened {
            now = now.plus_seconds(gap);
            let Ok(step) = apply(&challenge, &event, now) else { continue };
            let counts = |effect: &&Effect| **effect == Effect::CountAgainstPushes;
            counted += step.effects.iter().filter(counts).count();
            challenge.state = step.state;
        }
        let without_yes = match challenge.state {
            State::Pending | State::Acknowledged { .. } | State::Approved { .. } => false,
            State::Denied { .. } | State::TimedOut | State::Cancelled { .. } => true,
        };
        let expected = usize::from(without_yes && challenge.shown().is_some());
        prop_assert_eq!(counted, expected);
    }

    #[test]
    fn nobody_approves_after_the_time_or_without_the_number(
        mut challenge in questions(), happened in vec((events(), 0_i64..30), 0..20)
    ) {
        let mut now = NOW;
        for (event, gap) in happened {
            now = now.plus_seconds(gap);
            let Ok(step) = apply(&challenge, &event, now) else { continue };
            if step.effects.iter().any(|e| matches!(e, Effect::TellFlow(Outcome::Approved(_)))) {
                prop_assert!(now < challenge.answer_until);
                prop_assert_eq!(event, Event::Approve { number: Some(42), method: "fpt".to_owned() });
            }
            challenge.state = step.state;
        }
    }
}

#[test]
fn one_wrong_number_ends_it() {
    let asked = challenge(State::Pending);
    let approve = |number| Event::Approve { number: Some(number), method: "fpt".to_owned() };
    let step = apply(&asked, &approve(41), NOW).unwrap();
    assert_eq!(step.state, State::Denied { at: NOW, why: Denial::WrongNumber });
    let over = Challenge { state: step.state, ..asked };
    assert_eq!(apply(&over, &approve(42), NOW), Err(Refusal::Answered));
}

#[test]
fn a_number_to_pick_is_one_of_three_and_says_nothing_by_its_place() {
    let mut places = [0; 3];
    for _ in 0..300 {
        let number = Number::draw(NumberMatchingKind::SelectNumber, &SystemEntropy);
        let NumberMatching::SelectNumber { options } = &number.matching else { panic!("typed") };
        assert_eq!(options.len(), 3);
        assert!(options.iter().all(|option| (10..100).contains(option)));
        let place = options.iter().position(|option| *option == number.value).unwrap();
        places[place] += 1;
    }
    assert!(places.iter().all(|count| *count > 40), "{places:?}");
}

#[test]
fn a_number_to_type_has_six_digits_with_leading_zeros() {
    for _ in 0..100 {
        let number = Number::draw(NumberMatchingKind::EnterManually, &SystemEntropy);
        assert_eq!(number.matching, NumberMatching::EnterManually { digits: 6 });
        assert_eq!((number.text().len(), number.text().parse()), (6, Ok(number.value)));
    }
}
