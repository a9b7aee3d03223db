//! What holds of the keys of an environment, whatever happens to them and whatever the clock says.

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::audit::Action::{KeyCreated, KeyDeleted, KeyRotated};
use crate::fixture::{NOW, assert_told, signing_key};

const RULES: Rules = Rules { publish_seconds: 600, retired_seconds: 4_200, rotate_after_days: 90 };

fn fresh(n: u8, now: Timestamp) -> SigningKey {
    let private = Sealed::new(vec![n]);
    SigningKey { created_at: now, ..signing_key(n, State::Next { private, at: now }) }
}

/// The keys of one algorithm, as the store keeps them.
#[derive(Clone)]
struct Ring {
    keys: Vec<SigningKey>,
    made: u8,
}

impl Ring {
    fn new(now: Timestamp) -> Self {
        let mut ring = Self { keys: Vec::new(), made: 0 };
        ring.turn(Occasion::Tick, now);
        ring
    }

    /// What a use case does: makes a key if one is needed, and keeps what changes.
    fn turn(&mut self, occasion: Occasion, now: Timestamp) -> Vec<Change> {
        let needed = needs_key(&self.keys, Algorithm::Es256, occasion, (now, &RULES));
        self.made += u8::from(needed);
        let fresh = needed.then(|| fresh(self.made, now));
        let changes = turn(&self.keys, Algorithm::Es256, fresh, occasion, (now, &RULES));
        for change in &changes {
            self.keys.retain(|key| key.id != change.key.id);
            assert_eq!(
                change.effects.contains(&Effect::Delete),
                change.key.state == State::Removed
            );
            if change.key.state != State::Removed {
                self.keys.push(change.key.clone());
            }
        }
        self.keys.sort_by_key(|key| key.id);
        changes
    }

    fn states(&self) -> Vec<&'static str> {
        self.keys.iter().map(|key| key.state.name()).collect()
    }

    fn count(&self, state: &str) -> usize {
        self.states().iter().filter(|name| **name == state).count()
    }

    fn current(&self) -> Id<SigningKey> {
        self.keys.iter().find(|key| key.is_current()).unwrap().id
    }
}

#[test]
fn a_rotation_publishes_then_signs_then_retires_then_forgets() {
    let mut ring = Ring::new(NOW);
    assert_eq!(ring.states(), ["current"]);
    ring.turn(Occasion::Rotate, NOW);
    assert_eq!(ring.states(), ["current", "next"]);
    ring.turn(Occasion::Tick, NOW.plus_seconds(599));
    assert_eq!(ring.states(), ["current", "next"]);
    ring.turn(Occasion::Tick, NOW.plus_seconds(600));
    assert_eq!(ring.states(), ["retired", "current"]);
    assert!(ring.keys[0].private().is_none());
    ring.turn(Occasion::Tick, NOW.plus_seconds(4_799));
    assert_eq!(ring.states(), ["retired", "current"]);
    ring.turn(Occasion::Tick, NOW.plus_seconds(4_800));
    assert_eq!(ring.states(), ["current"]);
    assert!(ring.turn(Occasion::Tick, NOW.plus_seconds(4_801)).is_empty());
}

#[test]
fn a_rotation_that_is_asked_for_again_makes_no_second_key() {
    let mut ring = Ring::new(NOW);
    ring.turn(Occasion::Rotate, NOW);
    assert!(ring.turn(Occasion::Rotate, NOW.plus_seconds(1)).is_empty());
    assert_eq!(ring.made, 2);
}

#[test]
fn a_key_that_is_old_enough_is_replaced_by_itself_unless_that_is_switched_off() {
    let old = NOW.plus_seconds(90 * DAY_SECONDS);
    let mut ring = Ring::new(NOW);
    assert!(ring.turn(Occasion::Tick, old.minus_seconds(1)).is_empty());
    ring.turn(Occasion::Tick, old);
    assert_eq!(ring.states(), ["current", "next"]);
    let never = Rules { rotate_after_days: 0, ..RULES };
    let ring = Ring::new(NOW);
    assert!(!needs_key(&ring.keys, Algorithm::Es256, Occasion::Tick, (old, &never)));
}

#[test]
fn keys_that_may_be_known_to_others_are_withdrawn_at_once_or_soon() {
    let mut ring = Ring::new(NOW);
    ring.turn(Occasion::Rotate, NOW);
    ring.turn(Occasion::Tick, NOW.plus_seconds(600));
    ring.turn(Occasion::Rotate, NOW.plus_seconds(600));
    assert_eq!(ring.states(), ["retired", "current", "next"]);
    let now = NOW.plus_seconds(700);
    let mut at_once = ring.clone();
    at_once.turn(Occasion::Replace { withdraw_after_seconds: 0 }, now);
    assert_eq!((at_once.states(), at_once.keys[0].id), (vec!["current"], fresh(4, now).id));
    ring.turn(Occasion::Replace { withdraw_after_seconds: 60 }, now);
    assert_eq!(ring.states(), ["retired", "retired", "current"]);
    ring.turn(Occasion::Tick, now.plus_seconds(60));
    assert_eq!(ring.states(), ["current"]);
}

#[test]
fn nothing_is_withdrawn_without_a_key_in_its_place() {
    let ring = Ring::new(NOW);
    let occasion = Occasion::Replace { withdraw_after_seconds: 0 };
    assert!(turn(&ring.keys, Algorithm::Es256, None, occasion, (NOW, &RULES)).is_empty());
    let other = turn(&ring.keys, Algorithm::Rs256, Some(fresh(9, NOW)), occasion, (NOW, &RULES));
    assert!(other.is_empty(), "a key of another algorithm");
}

#[test]
fn what_changes_is_audited() {
    let mut ring = Ring::new(NOW);
    let mut told = |occasion, seconds| -> Vec<_> {
        let changes = ring.turn(occasion, NOW.plus_seconds(seconds));
        let effects = changes.into_iter().flat_map(|change| change.effects);
        effects
            .filter_map(|effect| match effect {
                Effect::Audit { action, reason } => Some((action, reason)),
                Effect::Delete => None,
            })
            .collect()
    };
    assert_eq!(told(Occasion::Rotate, 0), [(KeyCreated, None)]);
    assert_eq!(told(Occasion::Tick, 600), [(KeyRotated, None)]);
    assert_eq!(told(Occasion::Tick, 4_800), [(KeyDeleted, Some("expired"))]);
    assert_eq!(
        told(Occasion::Replace { withdraw_after_seconds: 0 }, 5_000),
        [(KeyDeleted, Some("withdrawn")), (KeyCreated, None), (KeyRotated, None)]
    );
}

#[test]
fn a_clock_that_was_ahead_delays_nothing_for_longer_than_a_right_one() {
    let ahead = NOW.plus_seconds(10 * 365 * DAY_SECONDS);
    let mut ring = Ring::new(NOW);
    ring.turn(Occasion::Rotate, ahead);
    ring.turn(Occasion::Tick, NOW);
    ring.turn(Occasion::Tick, NOW.plus_seconds(600));
    assert_eq!(ring.states(), ["retired", "current"]);
    ring.turn(Occasion::Rotate, ahead);
    ring.turn(Occasion::Tick, ahead.plus_seconds(600));
    ring.turn(Occasion::Tick, NOW);
    ring.turn(Occasion::Tick, NOW.plus_seconds(RULES.retired_seconds));
    assert_eq!(ring.states(), ["current"]);
    let later = NOW.plus_seconds(RULES.retired_seconds + 90 * DAY_SECONDS);
    ring.turn(Occasion::Tick, later);
    assert_eq!(ring.states(), ["current", "next"]);
}

fn occasions() -> impl Strategy<Value = Occasion> {
    prop_oneof![
        6 => Just(Occasion::Tick),
        3 => Just(Occasion::Rotate),
        1 => (0_i64..100).prop_map(|seconds| Occasion::Replace { withdraw_after_seconds: seconds }),
    ]
}

proptest! {
    #[test]
    fn one_key_signs_and_at_most_one_waits(
        turns in vec((occasions(), -2_000_i64..20_000), 0..40)
    ) {
        let (mut ring, mut now) = (Ring::new(NOW), NOW);
        for (occasion, gap) in turns {
            now = now.plus_seconds(gap);
            ring.turn(occasion, now);
            prop_assert_eq!(ring.count("current"), 1);
            prop_assert!(ring.count("next") <= 1);
        }
    }

    #[test]
    fn a_key_is_known_before_it_signs_and_stays_until_its_last_token_has_expired(
        turns in vec((prop_oneof![Just(Occasion::Tick), Just(Occasion::Rotate)], 0_i64..2_000), 0..60)
    ) {
        let (mut ring, mut now) = (Ring::new(NOW), NOW);
        let (mut published, mut signed) = (std::collections::BTreeMap::new(), ring.current());
        let mut stopped = std::collections::BTreeMap::new();
        for (occasion, gap) in turns {
            now = now.plus_seconds(gap);
            let changes = ring.turn(occasion, now);
            if ring.current() != signed {
                let since = published[&ring.current()];
                prop_assert!(now.seconds_since(since) >= RULES.publish_seconds);
                stopped.insert(signed, now);
                signed = ring.current();
            }
            for key in &ring.keys {
                published.entry(key.id).or_insert(now);
            }
            for change in changes.iter().filter(|change| change.key.state == State::Removed) {
                let seconds = now.seconds_since(stopped[&change.key.id]);
                prop_assert!(seconds >= RULES.retired_seconds, "{seconds}");
            }
        }
    }
}

#[test]
fn each_broken_rule_is_told() {
    assert_told(
        Rules::default,
        Rules::validate,
        &[
            (|r| r.publish_seconds = 360, ""),
            (|r| r.publish_seconds = 359, "keys.publish_seconds must be from 360 to 2592000"),
            (|r| r.retired_seconds = 86_520, ""),
            (|r| r.retired_seconds = 86_519, "keys.retired_seconds must be from 86520 to 2592000"),
            (|r| r.rotate_after_days = 0, ""),
            (|r| r.rotate_after_days = 3_651, "keys.rotate_after_days must be from 0 to 3650"),
        ],
    );
}
