//! Conditions: what each form means, what is none, and that each is answered as it was written.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    fixture::{NOW, id, identity, user},
    flow::Possession,
};

const PWD: &str = "${session.lastSignOn.withAuthenticator.pwd.at}";
const MFA: &str = "${session.lastSignOn.withAuthenticator.mfa.at}";

fn read(value: &Value) -> Condition {
    Condition::parse(value).unwrap()
}

fn nothing() -> Facts<'static> {
    Facts { resumed: None, user: None, remote: None, now: NOW }
}

fn inside(ranges: &Value) -> Condition {
    read(&json!({ "contains": REMOTE, "ipRange": ranges }))
}

fn comes_from(condition: &Condition, address: &str) -> bool {
    condition.holds(Facts { remote: Some(address.parse().unwrap()), ..nothing() })
}

#[test]
fn a_proof_is_asked_for_again_once_it_is_too_old_or_was_never_given() {
    let mut known = identity();
    known.signed_on_at = Some(NOW);
    let device = id(1);
    known.possession = Some(Possession { device, at: NOW.plus_seconds(100) });
    let holds = |proof: &str, seconds: i64| {
        let condition = read(&json!({ "secondsSince": proof, "greater": 600 }));
        let now = NOW.plus_seconds(seconds);
        condition.holds(Facts { resumed: Some(&known), now, ..nothing() })
    };
    assert_eq!((holds(PWD, 600), holds(PWD, 601)), (false, true));
    assert_eq!((holds(MFA, 700), holds(MFA, 701)), (false, true));
    assert!(read(&json!({ "secondsSince": PWD, "greater": 600 })).holds(nothing()));
    let unknown = Identity::named(id(1));
    let facts = Facts { resumed: Some(&unknown), ..nothing() };
    assert!(read(&json!({ "secondsSince": MFA, "greater": 600 })).holds(facts));
}

#[test]
fn networks_contain_what_has_their_beginning() {
    let networks = inside(&json!(["10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "0.0.0.0/32"]));
    for address in ["10.255.0.1", "192.0.2.7", "::ffff:10.1.2.3", "2001:db8:ffff::1", "0.0.0.0"] {
        assert!(comes_from(&networks, address), "{address}");
    }
    for address in ["11.0.0.1", "192.0.2.8", "2001:db9::1", "::1", "0.0.0.1"] {
        assert!(!comes_from(&networks, address), "{address}");
    }
    assert!(comes_from(&inside(&json!(["0.0.0.0/0"])), "203.0.113.9"));
    assert!(comes_from(&inside(&json!(["::/0"])), "2001::1"));
    // Nobody is inside who comes from nowhere.
    assert!(!networks.holds(nothing()));
    assert!(read(&json!({ "not": networks })).holds(nothing()));
}

#[test]
fn a_user_is_compared_by_what_is_said_of_it() {
    let ann = user();
    let facts = Facts { user: Some(&ann), ..nothing() };
    let equals = |reference: &str, value: Value| {
        read(&json!({ "value": reference, "equals": value })).holds(facts)
    };
    assert!(equals("${user.population.id}", json!(ann.population)));
    assert!(!equals("${user.population.id}", json!("another")));
    assert!(equals("${user.username}", json!(ann.username)));
    assert!(!equals("${user.username}", json!(true)));
    let condition = read(&json!({ "value": "${user.username}", "equals": ann.username }));
    assert!(condition.mentions_user() && !condition.holds(nothing()));
}

#[test]
fn what_a_risk_service_would_say_never_holds() {
    let risks = [
        json!({ "ipRisk": { "minScore": 80, "maxScore": 100 }, "valid": REMOTE }),
        json!({ "geoVelocity": REMOTE, "valid": {
            "previousSuccessfulAuthenticationIp": "${user.lastSignOn.remoteIp}",
            "previousSuccessfulAuthenticationTime": "${user.lastSignOn.at}",
        } }),
        json!({ "anonymousNetwork": ["203.0.113.0/24"], "valid": REMOTE }),
    ];
    for risk in &risks {
        let condition = read(risk);
        assert!(!comes_from(&condition, "203.0.113.9") && !condition.mentions_user());
        assert_eq!(json!(condition), *risk, "it is kept as it was written");
    }
    let either = json!({ "or": [risks[0], { "secondsSince": MFA, "greater": 5 }] });
    assert!(read(&either).holds(nothing()));
    assert!(!read(&json!({ "and": [risks[0], { "not": risks[1] }] })).holds(nothing()));
}

#[test]
fn what_is_no_condition_is_told_why() {
    let deep = (0..6)
        .fold(json!({ "secondsSince": PWD, "greater": 1 }), |inner, _| json!({ "not": inner }));
    let many: Vec<_> = vec![json!({ "secondsSince": PWD, "greater": 1 }); 50];
    let networks: Vec<_> = vec![json!("10.0.0.0/8"); 101];
    let table = [
        (json!(null), "one of the forms"),
        (json!({}), "one of the forms"),
        (json!({ "and": [] }), "a list of 1 to 100 conditions"),
        (json!({ "and": [], "or": [] }), "one of the forms"),
        (json!({ "secondsSince": PWD, "greater": 1.5 }), "a whole number"),
        (json!({ "secondsSince": PWD, "greater": -1 }), "a whole number"),
        (json!({ "secondsSince": PWD, "greater": 31_536_001 }), "a whole number"),
        (json!({ "secondsSince": PWD, "less": 1 }), "one of the forms"),
        (json!({ "secondsSince": "${user.id}", "greater": 1 }), "about ${session."),
        (json!({ "contains": REMOTE, "ipRange": ["10.0.0.0/33"] }), "networks such as"),
        (json!({ "contains": REMOTE, "ipRange": ["10.0.0.0/+8"] }), "networks such as"),
        (json!({ "contains": REMOTE, "ipRange": ["intranet"] }), "networks such as"),
        (json!({ "contains": REMOTE, "ipRange": networks }), "a list of 1 to 100 networks"),
        (json!({ "contains": REMOTE, "ipRange": [] }), "a list of 1 to 100 networks"),
        (json!({ "contains": "x", "ipRange": ["10.0.0.0/8"] }), "of the form contains"),
        (json!({ "value": "${user.shoeSize}", "equals": "9" }), "about something of the user"),
        (json!({ "value": "${user.id}${user.id}", "equals": "9" }), "about something of the user"),
        (json!({ "value": "x", "equals": "x" }), "about something of the user"),
        (json!({ "value": "${user.id}", "equals": 9 }), "text of at most 256"),
        (deep, "at most 6 inside"),
        (json!({ "and": many }), "made of at most 50"),
    ];
    for (value, expected) in table {
        let told = Condition::parse(&value).map_err(|error| error.0);
        let is_told = told.as_ref().is_err_and(|told| told.contains(expected));
        assert!(is_told, "{value}: {told:?}");
    }
}

fn condition() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        (prop_oneof![Just(PWD), Just(MFA)], 0..MAX_SECONDS)
            .prop_map(|(proof, greater)| json!({ "secondsSince": proof, "greater": greater })),
        (any::<[u8; 4]>(), 0..33_u8).prop_map(|([a, b, c, d], prefix)| {
            json!({ "contains": REMOTE, "ipRange": [format!("{a}.{b}.{c}.{d}/{prefix}")] })
        }),
        ".{0,9}".prop_map(|text| json!({ "value": "${user.username}", "equals": text })),
        any::<bool>().prop_map(|truth| json!({ "value": "${user.email}", "equals": truth })),
        Just(json!({ "anonymousNetwork": [], "valid": REMOTE })),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..3).prop_map(|parts| json!({ "and": parts })),
            prop::collection::vec(inner.clone(), 1..3).prop_map(|parts| json!({ "or": parts })),
            inner.prop_map(|inner| json!({ "not": inner })),
        ]
    })
}

proptest! {
    #[test]
    fn a_condition_is_answered_as_it_was_written(value in condition()) {
        prop_assert_eq!(json!(read(&value)), value);
    }

    #[test]
    fn the_words_for_and_or_and_not_mean_what_they_say(a in condition(), b in condition(), old in 0..900_i64) {
        let ann = user();
        let mut known = identity();
        known.signed_on_at = Some(NOW);
        let now = NOW.plus_seconds(old);
        let remote = Some("10.1.2.3".parse().unwrap());
        let facts = Facts { resumed: Some(&known), user: Some(&ann), remote, now };
        let holds = |value: &Value| read(value).holds(facts);
        prop_assert_eq!(holds(&json!({ "not": a })), !holds(&a));
        prop_assert_eq!(holds(&json!({ "and": [a, b] })), holds(&a) && holds(&b));
        prop_assert_eq!(holds(&json!({ "or": [a, b] })), holds(&a) || holds(&b));
    }
}
