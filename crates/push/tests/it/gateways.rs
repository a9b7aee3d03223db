//! Gateways are kept, replaced and forgotten.

use std::sync::Arc;

use countersign_push::{Gateway, Settings, SettingsError};
use url::Url;

use crate::world::{StandingClock, apns_credentials, gateways, hms_credentials, settings};

const BASE: &str = "https://push.example";

fn same(a: &Arc<dyn Gateway>, b: &Arc<dyn Gateway>) -> bool {
    Arc::ptr_eq(a, b)
}

#[test]
fn a_gateway_is_used_again_until_its_credentials_change() {
    let gateways = gateways(settings(BASE), &StandingClock::new());
    assert!(gateways.find("c", 1).is_none());
    let first = gateways.open("c", 1, &apns_credentials()).unwrap();
    assert!(same(&first, &gateways.find("c", 1).unwrap()));
    assert!(same(&first, &gateways.open("c", 1, &apns_credentials()).unwrap()));
    assert!(gateways.find("c", 2).is_none());
    assert!(gateways.find("d", 1).is_none());

    let second = gateways.open("c", 2, &hms_credentials()).unwrap();
    assert!(!same(&first, &second));
    // Who read the credentials before the change gets the new gateway.
    assert!(same(&second, &gateways.open("c", 1, &apns_credentials()).unwrap()));
}

#[test]
fn the_gateway_that_was_idle_longest_makes_room() {
    let clock = StandingClock::new();
    let gateways = gateways(Settings { most_gateways: 2, ..settings(BASE) }, &clock);
    for id in ["a", "b"] {
        gateways.open(id, 1, &hms_credentials()).unwrap();
        clock.forward(1);
    }
    assert!(gateways.find("a", 1).is_some());
    clock.forward(1);
    gateways.open("c", 1, &hms_credentials()).unwrap();
    assert!(gateways.find("a", 1).is_some());
    assert!(gateways.find("b", 1).is_none());
}

#[test]
fn a_gateway_that_nobody_uses_is_forgotten() {
    let clock = StandingClock::new();
    let gateways = gateways(Settings { idle_seconds: 60, ..settings(BASE) }, &clock);
    let first = gateways.open("a", 1, &hms_credentials()).unwrap();
    clock.forward(59);
    assert!(gateways.find("a", 1).is_some());
    clock.forward(60);
    assert!(gateways.find("a", 1).is_none());
    assert!(!same(&first, &gateways.open("a", 1, &hms_credentials()).unwrap()));
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let clock = StandingClock::new();
    let make = |settings| {
        countersign_push::Gateways::new(
            settings,
            Arc::clone(&clock) as _,
            Arc::new(countersign_protocol::entropy::SystemEntropy),
        )
        .err()
    };
    assert_eq!(
        make(Settings { most_gateways: 0, ..settings(BASE) }),
        Some(SettingsError::MostGateways)
    );
    let roots = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec();
    assert_eq!(make(Settings { roots, ..settings(BASE) }), Some(SettingsError::Roots));

    let mut plain = settings(BASE);
    plain.endpoints.apns_sandbox = Url::parse("http://push.example").unwrap();
    assert_eq!(make(plain), Some(SettingsError::Https("apns_sandbox")));
    let roots = b"not a certificate".to_vec();
    assert_eq!(make(Settings { roots, ..settings(BASE) }), Some(SettingsError::Roots));
}
