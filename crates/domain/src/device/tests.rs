//! What holds of every device, whatever happens to it.

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::fixture::{LIMIT, NOW, Named};

/// What happened to a device, whether it was taken or not.
#[derive(Debug)]
struct Happened {
    /// As it was found, with a lock that had run out already gone.
    before: State,
    event: Event,
    outcome: Result<Step, Refusal>,
}

fn life(events: Vec<(Event, i64)>) -> Vec<Happened> {
    let (mut state, mut now) = (State::paired(0), NOW);
    let happen = |(event, gap): (Event, i64)| {
        now = now.plus_seconds(gap);
        let before = state.settled(now);
        let outcome = apply(&state, event, now);
        if let Ok(step) = &outcome {
            state = step.state.clone();
        }
        Happened { before, event, outcome }
    };
    events.into_iter().map(happen).collect()
}

impl Happened {
    fn after(&self) -> &State {
        self.outcome.as_ref().map_or(&self.before, |step| &step.state)
    }
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (0_i64..40).prop_map(|step| Event::PasscodeMatched { step }),
        8 => Just(Event::PasscodeWrong { limit: LIMIT }),
        2 => Just(Event::Block),
        2 => Just(Event::Unblock),
        1 => Just(Event::Unlock),
    ]
}

fn lives() -> impl Strategy<Value = Vec<Happened>> {
    let removal = Just(Event::Remove { reason: "removed_by_user" });
    let unpairing = Just(Event::Unpair { reason: "unpaired_by_installation" });
    let event = prop_oneof![40 => events(), 1 => removal, 2 => unpairing];
    vec((event, 0_i64..100), 0..80).prop_map(life)
}

proptest! {
    #[test]
    fn the_steps_of_passcodes_that_count_only_rise(life in lives()) {
        let counted = life.iter().filter_map(|happened| match (&happened.event, &happened.outcome) {
            (Event::PasscodeMatched { step }, Ok(_)) => Some(*step),
            _ => None,
        });
        let counted: Vec<_> = std::iter::once(0).chain(counted).collect();
        prop_assert!(counted.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", counted);
    }

    #[test]
    fn no_more_wrong_passcodes_than_the_limit_are_looked_at_between_locks(life in lives()) {
        let mut wrong = 0;
        for Happened { before, event, outcome } in &life {
            let Ok(step) = outcome else { continue };
            let looked_at = matches!(event, Event::PasscodeWrong { .. });
            wrong = match (looked_at, step.state == *before) {
                (true, _) => wrong + 1,
                // An administrator's unblock that finds nothing blocked clears no count.
                (false, true) => wrong,
                (false, false) => 0,
            };
            let locks = looked_at && matches!(step.state, State::Locked { .. });
            prop_assert_eq!(locks, wrong == LIMIT.failures);
            wrong %= LIMIT.failures;
        }
    }

    #[test]
    fn a_blocked_device_vouches_again_only_when_it_is_unblocked(life in lives()) {
        for happened in &life {
            let freed = matches!(happened.before, State::Blocked { .. })
                && matches!(happened.after(), State::Active { .. });
            prop_assert!(!freed || happened.event == Event::Unblock);
        }
    }

    #[test]
    fn a_barred_device_cannot_unpair_itself(life in lives()) {
        let unpaired = |happened: &&Happened| matches!(happened.event, Event::Unpair { .. });
        for Happened { before, outcome, .. } in life.iter().filter(unpaired) {
            let barred = matches!(before, State::Blocked { .. } | State::Locked { .. });
            prop_assert_eq!(barred, outcome.is_err());
        }
    }

    #[test]
    fn a_removed_device_never_comes_back(life in lives(), event in events(), gap in 0_i64..1_000) {
        let removed = |happened: &&Happened| matches!(happened.before, State::Removed { .. });
        for happened in life.iter().filter(removed) {
            prop_assert_eq!(happened.after(), &happened.before);
        }
        let removed = State::Removed { at: NOW };
        prop_assert_eq!(apply(&removed, event, NOW.plus_seconds(gap)), Err(Refusal::Removed));
    }

    #[test]
    fn the_row_goes_away_once_and_only_with_the_removal(life in lives()) {
        let deleted = |happened: &&Happened| {
            happened.outcome.as_ref().is_ok_and(|step| step.effects.contains(&Effect::Delete))
        };
        prop_assert!(life.iter().filter(deleted).count() <= 1);
        let mut deleting = life.iter().filter(deleted);
        prop_assert!(deleting.all(|happened| happened.after().name() == "Removed"));
    }
}

#[test]
fn a_lock_ends_by_itself_and_leaves_no_failures() {
    let locked = State::Locked { until: NOW.plus_seconds(120), last_step: 7 };
    assert_eq!(locked.settled(NOW.plus_seconds(119)), locked);
    let free = State::Active { failures: 0, last_step: 7 };
    assert_eq!(locked.settled(NOW.plus_seconds(120)), free);
}

#[test]
fn a_passcode_of_before_the_pairing_never_counts() {
    let at = |step| apply(&State::paired(10), Event::PasscodeMatched { step }, NOW);
    assert_eq!(at(9), Err(Refusal::PasscodeSpent));
    assert_eq!(at(10), Err(Refusal::PasscodeSpent));
    assert!(at(11).is_ok());
}

#[test]
fn a_passcode_stays_spent_through_a_block_and_an_unblock() {
    let events = [Event::PasscodeMatched { step: 5 }, Event::Block, Event::Unblock];
    let events = events.into_iter().chain([Event::PasscodeMatched { step: 5 }]);
    let life = life(events.map(|event| (event, 1)).collect());
    assert_eq!(life.last().map(|last| last.outcome.clone()), Some(Err(Refusal::PasscodeSpent)));
}

mod order {
    use super::super::*;
    use crate::fixture::{device, id};

    #[test]
    fn a_device_moves_by_one_place_and_not_beyond_the_ends() {
        let devices = [1, 2, 3].map(id::<Device>);
        let ids = |numbers: [u8; 3]| Some(numbers.map(id::<Device>).to_vec());
        let table = [
            (1, Move::Up, None),
            (1, Move::Down, ids([2, 1, 3])),
            (2, Move::Up, ids([2, 1, 3])),
            (2, Move::Down, ids([1, 3, 2])),
            (3, Move::Up, ids([1, 3, 2])),
            (3, Move::Down, None),
            (4, Move::Up, None),
        ];
        for (n, to, expected) in table {
            assert_eq!(moved(&devices, id(n), to), expected, "{n} {to:?}");
        }
    }

    #[test]
    fn what_was_paired_later_comes_behind_what_was_put_in_order() {
        let at = |n, place| Device { place, ..device(n) };
        let mut devices = [at(4, None), at(1, Some(1)), at(3, None), at(2, Some(0))];
        devices.sort_by_key(Device::rank);
        assert_eq!(devices.map(|device| device.id), [2, 1, 3, 4].map(id));
    }

    #[test]
    fn a_nickname_is_text_that_cannot_be_taken_for_another() {
        let called = |name: &str| device(1).called(Some(name.to_owned()));
        assert_eq!(called(&"x".repeat(100)).unwrap().nickname, Some("x".repeat(100)));
        assert_eq!(device(1).called(None).unwrap().nickname, None);
        for (name, why) in [
            ("", "nickname must be given"),
            (&*"x".repeat(101), "nickname must have at most 100 characters"),
            (" x", "nickname must be printable text without surrounding space"),
            ("a\u{202e}b", "nickname must be printable text without surrounding space"),
        ] {
            assert_eq!(called(name).unwrap_err().to_string(), why);
        }
    }
}
