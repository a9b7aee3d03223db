//! The mobile payload: its own key, its texts, its form on the wire.

use serde_json::{Value, json};

use super::*;
use crate::fixture::{ISSUER, NOW, Seeded, private_key};
use crate::proof::{Jti, Unsigned};

fn payload() -> MobilePayload {
    MobilePayload {
        cnf: Confirmation { jwk: private_key(1).public() },
        app: AppFacts {
            id: "0190c1d2-0000-7000-8000-000000000002".to_owned(),
            package: Some("org.bank.app".to_owned()),
            version: Some("5.1".to_owned()),
            platform: Platform::Android,
        },
        dev: DeviceFacts {
            manufacturer: Some("Fairphone".to_owned()),
            model: Some("FP5".to_owned()),
            os_version: Some("16".to_owned()),
            locale: Some("en-GB".to_owned()),
            sdk_version: "0.1.0".to_owned(),
            screen_lock: Some(true),
            rooted: Some(false),
        },
        push: Some(PushAddress {
            service: PushService::Fcm,
            address: "address".to_owned(),
            environment: Some(PushEnvironment::Production),
            enabled: true,
        }),
    }
}

fn unsigned(body: MobilePayload) -> Unsigned {
    let kid = private_key(1).public().thumbprint();
    Unsigned::new(kid, ISSUER, body, NOW, Jti::new(&Seeded::new(7)))
}

fn signed(body: MobilePayload) -> String {
    let unsigned = unsigned(body);
    unsigned.signed(&private_key(1).sign(unsigned.signing_input().as_bytes()))
}

fn signed_after(spoil: impl FnOnce(&mut Value)) -> String {
    let unsigned = unsigned(payload());
    let (header, claims) = unsigned.signing_input().split_once('.').unwrap();
    let mut claims = serde_json::from_slice(&crate::encoding::decode(claims).unwrap()).unwrap();
    spoil(&mut claims);
    let input = format!("{header}.{}", crate::encoding::encode(claims.to_string()));
    crate::jose::assemble(&input, &private_key(1).sign(input.as_bytes()))
}

fn refusal(jws: &str) -> (&'static str, String) {
    let error = verify(jws, ISSUER, NOW).unwrap_err();
    (error.target(), error.to_string())
}

#[test]
fn a_payload_is_verified_with_the_key_it_brings() {
    let verified = verify(&signed(payload()), ISSUER, NOW).unwrap();
    assert_eq!(verified.key(), &private_key(1).public());
    assert_eq!(verified.into_body(), payload());
}

#[test]
fn the_wire_form_does_not_change() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&payload()).unwrap());
    let unsigned = unsigned(payload());
    let claims = unsigned.signing_input().split_once('.').unwrap().1;
    insta::assert_snapshot!(String::from_utf8(crate::encoding::decode(claims).unwrap()).unwrap());
}

#[test]
fn only_the_required_members_are_needed() {
    let verified = verify(
        &signed_after(|claims| {
            claims["app"] = json!({"id": "a", "platform": "ios"});
            claims["dev"] = json!({"sdk_version": "0.1.0"});
            claims.as_object_mut().unwrap().remove("push");
        }),
        ISSUER,
        NOW,
    );
    let body = verified.unwrap().into_body();
    assert_eq!((body.push, body.dev.rooted, body.app.package), (None, None, None));
}

#[test]
fn a_payload_without_its_key_is_refused() {
    for cnf in [json!(null), json!({}), json!({"jwk": {"kty": "EC"}}), json!({"jkt": "x"})] {
        assert_eq!(refusal(&signed_after(|claims| claims["cnf"] = cnf)).0, "proof.cnf.jwk");
    }
    let with_private = signed_after(|claims| claims["cnf"]["jwk"]["d"] = json!("AA"));
    assert!(refusal(&with_private).1.contains("private key"));
}

#[test]
fn the_key_of_another_installation_is_refused() {
    let other = private_key(2).public();
    let jws = signed_after(|claims| claims["cnf"]["jwk"] = json!(other));
    assert_eq!(refusal(&jws).0, "proof.header.kid");
}

#[test]
fn another_environment_is_refused() {
    let error = verify(&signed(payload()), &ISSUER.replace("0001/as", "0002/as"), NOW);
    assert_eq!(error.unwrap_err().target(), "proof.aud");
}

#[test]
fn a_payload_lives_120_seconds() {
    assert!(verify(&signed(payload()), ISSUER, NOW.plus_seconds(119)).is_ok());
    let error = verify(&signed(payload()), ISSUER, NOW.plus_seconds(120)).unwrap_err();
    assert!(error.skew().is_some());
    let exp = NOW.plus_seconds(121).unix_seconds();
    assert_eq!(refusal(&signed_after(|claims| claims["exp"] = json!(exp))).0, "proof.exp");
}

#[test]
fn texts_have_limits_and_their_names_are_told() {
    let refused = |spoil: fn(&mut MobilePayload)| {
        let mut body = payload();
        spoil(&mut body);
        refusal(&signed(body))
    };
    let (target, message) = refused(|body| body.app.id = String::new());
    assert_eq!((target, message.as_str()), ("proof.app.id", "proof.app.id must not be empty"));
    let (target, message) = refused(|body| body.app.version = Some("é".repeat(257)));
    assert_eq!(target, "proof.app.version");
    assert_eq!(message, "proof.app.version must have at most 256 characters");
    let (target, message) = refused(|body| body.dev.model = Some("a\nb".to_owned()));
    assert_eq!(target, "proof.dev.model");
    assert!(message.contains("control"), "{message}");
    for text in ["\u{0}", "\u{85}", "\u{202e}gpj", "\u{2066}"] {
        let mut body = payload();
        body.dev.manufacturer = Some(text.to_owned());
        assert_eq!(body.check().unwrap_err().rule(), TextRule::ForbiddenCharacter);
    }
    let (target, _) = refused(|body| body.push.as_mut().unwrap().address = "a".repeat(4_097));
    assert_eq!(target, "proof.push.address");
    let mut longest = payload();
    longest.app.package = Some("é".repeat(256));
    longest.push.as_mut().unwrap().address = "a".repeat(4_096);
    assert_eq!(longest.check(), Ok(()));
}

#[test]
fn an_unknown_platform_or_service_is_refused() {
    for spoil in [
        |claims: &mut Value| claims["app"]["platform"] = json!("windows"),
        |claims: &mut Value| claims["push"]["service"] = json!("carrier pigeon"),
    ] {
        assert_eq!(refusal(&signed_after(spoil)).0, "proof");
    }
}
