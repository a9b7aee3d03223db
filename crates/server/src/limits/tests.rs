//! Who is counted with whom.

use countersign_protocol::entropy::SystemEntropy;

use super::*;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

fn settings() -> Settings {
    let budget = Budget { address: Limit::new(1.0, 2), ..Budget::OFF };
    Settings { flow: budget, ..Settings::off() }
}

fn limits(settings: &Settings) -> Limits {
    Limits::new(settings, &SystemEntropy)
}

fn environment(number: u8) -> Id<Environment> {
    Id::from_bytes([number; 16])
}

/// How many of ten requests pass.
fn passing(limits: &Limits, addresses: &[&str], environment: Option<Id<Environment>>) -> usize {
    let ask = |number: usize| {
        let address = addresses[number % addresses.len()].parse().ok();
        limits.request(Group::Flow, address, environment, NOW)
    };
    (0..10).filter(|number| ask(*number).is_ok()).count()
}

#[test]
fn addresses_of_one_ipv6_network_are_one_and_other_addresses_are_others() {
    for (addresses, expected) in [
        (["192.0.2.1", "192.0.2.1"], 2),
        (["192.0.2.1", "192.0.2.2"], 4),
        (["192.0.2.1", "::ffff:192.0.2.1"], 2),
        (["2001:db8::1", "2001:db8::ffff:0:0:2"], 2),
        (["2001:db8::1", "2001:db8:0:1::1"], 4),
        (["unknown", "unknown"], 2),
    ] {
        assert_eq!(passing(&limits(&settings()), &addresses, None), expected, "{addresses:?}");
    }
}

#[test]
fn groups_have_budgets_of_their_own() {
    let settings = Settings { token: settings().flow, ..settings() };
    let limits = limits(&settings);
    let ask = |group| limits.request(group, None, None, NOW);
    assert!(ask(Group::Flow).is_ok() && ask(Group::Flow).is_ok());
    assert_eq!(ask(Group::Flow), Err(Limited { seconds: 1 }));
    assert_eq!(ask(Group::Token), Ok(()));
    assert_eq!(ask(Group::Device), Ok(()), "a limit that is off");
}

#[test]
fn one_address_uses_its_share_of_an_environment_and_leaves_the_rest() {
    let environment_limit = Limit::new(1.0, 6);
    let budget = Budget { environment: environment_limit, ..Budget::OFF };
    let settings = Settings { flow: budget, address_share: 0.35, ..Settings::off() };
    let limits = limits(&settings);
    assert_eq!(passing(&limits, &["192.0.2.1"], Some(environment(1))), 2);
    assert_eq!(passing(&limits, &["192.0.2.2", "192.0.2.3"], Some(environment(1))), 4);
    assert_eq!(
        passing(&limits, &["192.0.2.4"], Some(environment(1))),
        0,
        "the environment is full"
    );
    assert_eq!(passing(&limits, &["192.0.2.1"], Some(environment(2))), 2, "another is not");
}

#[test]
fn who_is_over_the_own_limit_takes_nothing_from_the_environment() {
    let budget =
        Budget { address: Limit::new(1.0, 1), environment: Limit::new(1.0, 3), ..Budget::OFF };
    let settings = Settings { flow: budget, address_share: 1.0, ..Settings::off() };
    let limits = limits(&settings);
    assert_eq!(passing(&limits, &["192.0.2.1"], Some(environment(1))), 1);
    assert_eq!(passing(&limits, &["192.0.2.2", "192.0.2.3"], Some(environment(1))), 2);
}

#[test]
fn trusted_addresses_are_held_by_the_environment_alone() {
    let budget =
        Budget { address: Limit::new(1.0, 1), environment: Limit::new(1.0, 5), ..Budget::OFF };
    let trusted_addresses = vec!["192.0.2.0/24".parse().unwrap()];
    let settings = Settings { flow: budget, trusted_addresses, ..Settings::off() };
    let limits = limits(&settings);
    let mapped = ["192.0.2.1", "::ffff:192.0.2.9"];
    assert_eq!(passing(&limits, &mapped, Some(environment(1))), 5);
    assert_eq!(passing(&limits, &["198.51.100.1"], Some(environment(2))), 1);
}

#[test]
fn applications_are_counted_by_the_name_that_they_give() {
    let budget = Budget { application: Limit::new(1.0, 1), ..Budget::OFF };
    let limits = limits(&Settings { token: budget, ..Settings::off() });
    let ask = |number, client| limits.application(Group::Token, environment(number), client, NOW);
    assert!(ask(1, "a").is_ok() && ask(1, "b").is_ok() && ask(2, "a").is_ok());
    assert!(ask(1, "a").is_err());
}

#[test]
fn refusals_are_counted_by_limit() {
    let limits = limits(&settings());
    passing(&limits, &["192.0.2.1"], None);
    let refused: Vec<_> = limits.refused().filter(|(.., number)| *number > 0).collect();
    assert_eq!(refused, [("flow", "address", 8)]);
}

#[test]
fn nothing_is_limited_where_everything_is_off() {
    let limits = limits(&Settings::off());
    assert_eq!(passing(&limits, &["192.0.2.1"], Some(environment(1))), 10);
    assert_eq!(limits.refused().count(), 0);
}
