//! Forms on the wire and the passcode proof.

use serde_json::json;

use super::*;
use crate::fixture::{NOW, private_key};

fn json_of(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap()
}

#[test]
fn the_claim_of_an_offer_keeps_its_form() {
    let offer = PairingClaim::Offered {
        ticket: "ticket".to_owned().into(),
        jkt: private_key(1).public().thumbprint(),
        expires_at: NOW.plus_seconds(TICKET_LIFE_SECONDS),
        step_seconds: 60,
    };
    insta::assert_snapshot!(json_of(&offer));
    assert_eq!(serde_json::from_str::<PairingClaim>(&json_of(&offer)).unwrap(), offer);
    assert!(!format!("{offer:?}").contains("\"ticket\""));
}

#[test]
fn the_other_claims_say_only_their_status() {
    for (claim, status) in [
        (PairingClaim::AlreadyPaired, "already_paired"),
        (PairingClaim::LimitReached, "limit_reached"),
        (PairingClaim::Disabled, "disabled"),
        (PairingClaim::Compromised, "compromised"),
    ] {
        let value = json!({"status": status});
        assert_eq!(serde_json::to_value(&claim).unwrap(), value);
        assert_eq!(serde_json::from_value::<PairingClaim>(value).unwrap(), claim);
    }
}

#[test]
fn an_offer_without_a_step_has_thirty_seconds() {
    let jkt = private_key(1).public().thumbprint();
    let claim = json!({"status": "offered", "ticket": "t", "jkt": jkt, "expires_at": 600});
    let PairingClaim::Offered { step_seconds, expires_at, .. } =
        serde_json::from_value(claim).unwrap()
    else {
        panic!("not an offer")
    };
    assert_eq!((step_seconds, expires_at.unix_seconds()), (30, 600));
}

#[test]
fn the_request_keeps_its_form() {
    let request = PairingRequest {
        nonce: "nonce".to_owned(),
        ticket: "ticket".to_owned().into(),
        agreement: private_key(2).public(),
        verification: None,
        passcode: passcode_proof(b"ticket", 30, NOW),
        app: AppFacts {
            id: "a".to_owned(),
            package: None,
            version: None,
            platform: crate::mobile_payload::Platform::Ios,
        },
        dev: DeviceFacts {
            manufacturer: None,
            model: None,
            os_version: None,
            locale: None,
            sdk_version: "0.1.0".to_owned(),
            screen_lock: None,
            rooted: None,
        },
        push: None,
    };
    insta::assert_snapshot!(json_of(&request));
    assert_eq!(serde_json::from_str::<PairingRequest>(&json_of(&request)).unwrap(), request);
    let denial = PairingDenial { nonce: "nonce".to_owned(), ticket: "ticket".to_owned().into() };
    insta::assert_snapshot!(json_of(&denial));
}

#[test]
fn the_answers_keep_their_form() {
    let response = PairingResponse {
        device: Reference { id: "d".to_owned() },
        environment: Reference { id: "e".to_owned() },
        user: UserFacts {
            id: "u".to_owned(),
            username: Some("ann".to_owned()),
            name: Name { given: Some("Ann".to_owned()), family: Some("Lee".to_owned()) },
        },
        authenticators: vec![
            Authenticator {
                kind: AuthenticatorKind::Push,
                status: AuthenticatorStatus::Failed,
                error_code: Some("MissingDeviceToken".to_owned()),
                error_message: Some("no push address".to_owned()),
            },
            Authenticator {
                kind: AuthenticatorKind::OneTimePasscode,
                status: AuthenticatorStatus::Completed,
                error_code: None,
                error_message: None,
            },
        ],
        seed: Some("jwe".to_owned()),
    };
    insta::assert_snapshot!(json_of(&response));
    assert_eq!(serde_json::from_str::<PairingResponse>(&json_of(&response)).unwrap(), response);
    let denied = DenialResponse { status: DenialStatus::Denied };
    assert_eq!(serde_json::to_value(denied).unwrap(), json!({"status": "DENIED"}));
}

#[test]
fn authenticators_of_a_later_version_are_read_as_unknown() {
    let read: Authenticator =
        serde_json::from_value(json!({"type": "mind", "status": "reading"})).unwrap();
    assert_eq!(read.kind, AuthenticatorKind::Unknown);
    assert_eq!(read.status, AuthenticatorStatus::Unknown);
}

#[test]
fn the_passcode_proof_holds_for_its_ticket_and_time_only() {
    let passcode = passcode_proof(b"ticket", 30, NOW);
    assert_eq!(passcode.expose(), "082469");
    let holds =
        |ticket: &[u8], windows, now| passcode_proof_holds(ticket, 30, windows, &passcode, now);
    assert!(holds(b"ticket", 0, NOW));
    assert!(!holds(b"another", 0, NOW));
    assert!(!holds(b"ticket", 0, NOW.plus_seconds(30)));
    assert!(holds(b"ticket", 1, NOW.plus_seconds(30)));
}
