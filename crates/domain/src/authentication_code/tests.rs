//! What holds of every code, whatever happens to it.

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::fixture::{NOW, authentication_code as code, id, key};

fn candidate(n: u8) -> Candidate {
    Candidate { user: id(n), device: id(n) }
}

fn claim(phone: u8, users: &[u8]) -> Event {
    let candidates = users.iter().map(|n| candidate(*n)).collect();
    Event::Claim { installation: key(phone).thumbprint(), candidates }
}

fn approve(phone: u8, user: u8, number: Option<u32>) -> Event {
    Event::Approve { installation: key(phone).thumbprint(), user: id(user), number }
}

fn deny(phone: u8, user: Option<u8>) -> Event {
    Event::Deny { installation: key(phone).thumbprint(), user: user.map(id) }
}

fn after(mut code: AuthenticationCode, events: &[Event]) -> AuthenticationCode {
    for event in events {
        code.state = apply(&code, event, NOW).unwrap().state;
    }
    code
}

#[test]
fn one_user_without_approval_is_signed_on_by_the_claim_and_nobody_else_is() {
    let free = || AuthenticationCode { approval: Approval::NotRequired, ..code(State::Unclaimed) };
    let state = |code: AuthenticationCode, users: &[u8]| after(code, &[claim(1, users)]).state;
    assert!(matches!(state(free(), &[1]), State::Completed { approved: false, .. }));
    assert!(matches!(state(free(), &[1, 2]), State::Claimed { .. }));
    assert!(matches!(state(code(State::Unclaimed), &[1]), State::Claimed { .. }));
    let number = Some(Number {
        value: 42,
        matching: countersign_protocol::challenge::NumberMatching::EnterManually { digits: 6 },
    });
    let numbered = AuthenticationCode { number, ..free() };
    assert!(matches!(state(numbered, &[1]), State::Claimed { .. }));
}

#[test]
fn a_phone_without_users_leaves_the_code_to_others() {
    let fresh = code(State::Unclaimed);
    assert_eq!(apply(&fresh, &claim(1, &[]), NOW), Err(Refusal::UnknownUser));
}

#[test]
fn of_several_users_the_one_who_is_chosen_signs_on() {
    let claimed = after(code(State::Unclaimed), &[claim(1, &[1, 2, 3])]);
    let done = after(claimed.clone(), &[approve(1, 2, None)]);
    assert!(
        matches!(done.state, State::Completed { by, approved: true, .. } if by == candidate(2))
    );
    assert_eq!(apply(&claimed, &approve(1, 4, None), NOW), Err(Refusal::UnknownUser));
    assert_eq!(apply(&claimed, &approve(2, 1, None), NOW), Err(Refusal::OtherInstallation));
    assert_eq!(apply(&claimed, &claim(2, &[1]), NOW), Err(Refusal::Claimed));
    assert!(matches!(after(claimed.clone(), &[deny(1, None)]).state, State::Denied { .. }));
    assert!(matches!(after(claimed, &[deny(1, Some(3))]).state, State::Denied { .. }));
}

fn events() -> impl Strategy<Value = Event> {
    let phone = || 1_u8..3;
    prop_oneof![
        (phone(), vec(1_u8..4, 0..3)).prop_map(|(phone, users)| claim(phone, &users)),
        (phone(), 1_u8..5, prop_oneof![Just(None), Just(Some(7))])
            .prop_map(|(phone, user, number)| approve(phone, user, number)),
        (phone(), prop::option::of(1_u8..5)).prop_map(|(phone, user)| deny(phone, user)),
        Just(Event::Tick),
    ]
}

proptest! {
    #[test]
    fn one_phone_has_it_and_it_ends_once(
        events in vec((events(), 0_i64..20), 0..20), free: bool
    ) {
        let approval = if free { Approval::NotRequired } else { Approval::Required };
        let mut code = AuthenticationCode { approval, ..code(State::Unclaimed) };
        let (mut now, mut owner, mut ends) = (NOW, None, 0);
        for (event, gap) in events {
            now = now.plus_seconds(gap);
            let Ok(step) = apply(&code, &event, now) else { continue };
            match &step.state {
                State::Claimed { installation, .. }
                | State::Completed { installation, .. }
                | State::Denied { installation, .. } => {
                    prop_assert!(owner.is_none_or(|owner| owner == *installation));
                    owner = Some(*installation);
                }
                State::Unclaimed | State::Expired { .. } => {}
            }
            if step.state == code.state {
                prop_assert!(step.effects.is_empty());
            } else if !matches!(step.state, State::Claimed { .. }) {
                ends += 1;
                if let State::Completed { approved, .. } = step.state {
                    prop_assert!(now < code.expires_at());
                    prop_assert!(approved || free);
                }
            }
            code.state = step.state;
        }
        prop_assert!(ends <= 1);
    }
}
