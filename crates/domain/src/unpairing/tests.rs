//! Which statements count, and what holds them back.

use proptest::prelude::*;

use super::*;
use crate::fixture::{NOW, device};

fn statement(as_of: Option<i64>) -> Statement<'static> {
    let as_of = as_of.map(|seconds| NOW.plus_seconds(seconds));
    Statement { address: "token", as_of, sent_at: NOW.plus_seconds(1_000) }
}

fn facts(rules: &UnpairingRules) -> Facts<'_> {
    let hour = Answers { sends: 1, unregistered: 1 };
    Facts { rules, stopped: false, hour, unpaired: 0 }
}

#[test]
fn a_statement_counts_when_it_is_about_this_address_and_newer_than_the_last_contact() {
    let device = device(1);
    assert!(is_current(&device, statement(None)));
    assert!(is_current(&device, statement(Some(0))));
    // The clocks of two may differ by a minute.
    assert!(is_current(&device, statement(Some(-60))));
    assert!(!is_current(&device, statement(Some(-61))));
    assert!(!is_current(&device, Statement { address: "other", ..statement(None) }));
    let heard_since = device.at_address(device.installation.push.clone(), NOW.plus_seconds(1_001));
    assert!(!is_current(&heard_since, statement(None)));
    let without = device.at_address(None, NOW);
    assert!(!is_current(&without, statement(None)));
}

#[test]
fn each_guard_holds_the_device() {
    let rules = UnpairingRules::default();
    let judged = |facts| judge(&device(1), statement(None), facts, NOW);
    assert_eq!(judged(facts(&rules)), Verdict::Unpair);
    let graceful = UnpairingRules { grace_seconds: 60, ..rules };
    assert_eq!(judged(facts(&graceful)), Verdict::UnpairAt(NOW.plus_seconds(60)));
    let off = UnpairingRules { enabled: false, ..rules };
    assert_eq!(judged(facts(&off)), Verdict::Hold(Hold::Disabled));
    let stopped = Facts { stopped: true, ..facts(&rules) };
    assert_eq!(judged(stopped), Verdict::Hold(Hold::Stopped));
    let full = Facts { unpaired: 100, ..facts(&rules) };
    assert_eq!(judged(full), Verdict::Hold(Hold::DailyCap));
    let storm = Facts { hour: Answers { sends: 400, unregistered: 21 }, ..facts(&rules) };
    assert_eq!(judged(storm), Verdict::Hold(Hold::Storm));
}

#[test]
fn a_storm_is_more_than_the_count_and_more_than_the_share() {
    let rules = UnpairingRules::default();
    for (sends, unregistered, trips) in
        [(20, 20, false), (21, 21, true), (420, 21, false), (419, 21, true), (0, 0, false)]
    {
        assert_eq!(rules.trips(Answers { sends, unregistered }), trips, "{unregistered}/{sends}");
    }
}

proptest! {
    #[test]
    fn nobody_is_unpaired_after_a_contact_by_an_older_statement(
        contact in 0_i64..10_000, as_of in 0_i64..10_000, sent in 0_i64..10_000
    ) {
        let push = device(1).installation.push;
        let device = device(1).at_address(push, NOW.plus_seconds(contact));
        let (as_of, sent_at) = (Some(NOW.plus_seconds(as_of)), NOW.plus_seconds(sent));
        let statement = Statement { address: "token", as_of, sent_at };
        let rules = UnpairingRules::default();
        if judge(&device, statement, facts(&rules), NOW) == Verdict::Unpair {
            prop_assert!(sent_at >= NOW.plus_seconds(contact));
            prop_assert!(as_of.unwrap().plus_seconds(60) >= NOW.plus_seconds(contact));
        }
    }
}
