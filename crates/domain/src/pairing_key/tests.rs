//! What holds of every key, whatever happens to it.

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::fixture::{NOW, id, key as phone_key, pairing_key as key};

fn unclaimed() -> PairingKey {
    key(State::Unclaimed { refused: None })
}

fn claim(phone: u8, application: u8, device: u8) -> Event {
    Event::Claim {
        installation: phone_key(phone).thumbprint(),
        application: id(application),
        device: id(device),
    }
}

fn after(mut key: PairingKey, events: &[Event]) -> PairingKey {
    for event in events {
        key.state = apply(&key, event, NOW).unwrap().state;
    }
    key
}

#[test]
fn the_first_phone_has_it_and_is_told_the_same_again() {
    let claimed = after(unclaimed(), &[claim(1, 1, 7)]);
    assert!(matches!(claimed.state, State::Claimed { device, .. } if device == id(7)));
    let again = apply(&claimed, &claim(1, 1, 8), NOW).unwrap();
    assert_eq!((again.state, again.effects), (claimed.state.clone(), vec![]));
    assert_eq!(apply(&claimed, &claim(2, 1, 8), NOW), Err(Refusal::Claimed));
    let end = claimed.expires_at();
    assert_eq!(apply(&claimed, &claim(1, 1, 8), end), Err(Refusal::Expired));
    assert_eq!(apply(&claimed, &claim(2, 1, 8), end), Err(Refusal::Claimed));
}

#[test]
fn a_refused_phone_leaves_the_key_to_another_and_its_creator_sees_why() {
    let why = NoOffer::LimitReached { maximum: 5 };
    let refused = after(unclaimed(), &[Event::Refuse { why }]);
    let told = Some(Refused { why, at: NOW });
    assert_eq!(refused.state, State::Unclaimed { refused: told });
    let claimed = after(refused.clone(), &[claim(2, 1, 7)]);
    assert!(matches!(claimed.state, State::Claimed { .. }));
    let late = apply(&refused, &Event::Tick, refused.expires_at()).unwrap();
    assert_eq!(late, Step::only(State::Expired { refused: told }));
    assert_eq!(apply(&claimed, &Event::Refuse { why }, NOW), Err(Refusal::Claimed));
}

#[test]
fn a_key_is_for_its_applications_alone_and_says_so_only_while_it_lives() {
    assert_eq!(apply(&unclaimed(), &claim(1, 2, 7), NOW), Err(Refusal::OtherApplication));
    let both = PairingKey { applications: vec![id(1), id(2)], ..unclaimed() };
    assert!(apply(&both, &claim(1, 2, 7), NOW).is_ok());
    let end = both.expires_at();
    assert_eq!(apply(&both, &claim(1, 3, 7), end), Err(Refusal::Expired));
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        (1_u8..4, 1_u8..3, 1_u8..9).prop_map(|(phone, application, device)| claim(
            phone,
            application,
            device
        )),
        prop_oneof![
            Just(NoOffer::Disabled),
            Just(NoOffer::Compromised),
            Just(NoOffer::LimitReached { maximum: 5 })
        ]
        .prop_map(|why| Event::Refuse { why }),
        Just(Event::Tick),
    ]
}

proptest! {
    #[test]
    fn a_key_makes_one_device_at_most_and_in_time(
        events in vec((events(), 0_i64..200), 0..20)
    ) {
        let (mut key, mut now, mut made) = (unclaimed(), NOW, 0);
        for (event, gap) in events {
            now = now.plus_seconds(gap);
            let Ok(step) = apply(&key, &event, now) else { continue };
            let makes = |effect: &Effect| matches!(effect, Effect::CreateDevice(_));
            if step.effects.iter().any(makes) {
                made += 1;
                prop_assert!(now < key.expires_at());
                let State::Claimed { application, .. } = step.state else {
                    return Err(TestCaseError::fail("a device without a claim"));
                };
                prop_assert_eq!(application, id(1));
            }
            let was_over = !key.is_open();
            if was_over {
                prop_assert_eq!(&step.state, &key.state);
            }
            key.state = step.state;
        }
        prop_assert!(made <= 1);
    }
}
