//! Addresses, forms on the wire, and the server's time.

use serde_json::json;

use super::*;
use crate::device_log::LogRequest;
use crate::fixture::{DEVICE_BASE, ISSUER, NOW, Seeded, private_key};
use crate::jose::{self, Algorithm, Header};
use crate::jwk::{PublicJwk, PublicKey};
use crate::pairing_key::KeyPairingRequest;

#[test]
fn addresses_follow_from_the_issuer() {
    assert_eq!(device_base(ISSUER).as_deref(), Some(DEVICE_BASE));
    assert_eq!(device_base("https://id.example/e/other"), None);
    let addresses = [
        PairingRequest::address("D"),
        PairingDenial::address("D"),
        InfoRequest::address("D"),
        UnpairingRequest::address("D"),
        KeyPairingRequest::address("D"),
        LogRequest::address("D"),
    ];
    let expected = [
        "D/pairings",
        "D/pairings/denials",
        "D/info",
        "D/unpairings",
        "D/pairing-keys/claims",
        "D/logs",
    ];
    assert_eq!(addresses, expected);
}

#[test]
fn every_kind_has_the_type_and_life_of_the_page() {
    fn row<P: Proof>() -> (&'static str, i64) {
        (P::TYP, P::LIFE_SECONDS)
    }
    let rows = [
        row::<crate::mobile_payload::MobilePayload>(),
        row::<PairingRequest>(),
        row::<PairingDenial>(),
        row::<InfoRequest>(),
        row::<UnpairingRequest>(),
        row::<KeyPairingRequest>(),
        row::<LogRequest>(),
    ];
    let expected = [
        ("countersign-payload+jwt", 120),
        ("countersign-pairing+jwt", 300),
        ("countersign-denial+jwt", 300),
        ("countersign-info+jwt", 60),
        ("countersign-unpairing+jwt", 60),
        ("countersign-key-pairing+jwt", 300),
        ("countersign-log+jwt", 60),
    ];
    assert_eq!(rows, expected);
}

#[test]
fn the_answers_keep_their_form() {
    let info = InfoResponse {
        users: vec![PairedUser {
            id: "u".to_owned(),
            username: Some("ann".to_owned()),
            name: Name { given: Some("Ann".to_owned()), family: None },
            environment: Reference { id: "e".to_owned() },
            device: PairedDevice {
                id: "d".to_owned(),
                nickname: None,
                status: DeviceStatus::Active,
                block: BlockStatus::Unblocked,
                lock: LockStatus::Unlocked,
                created_at: NOW.to_rfc3339_millis(),
                logs_requested: false,
            },
        }],
    };
    insta::assert_json_snapshot!(info);
    let removed = UnpairingResponse { removed: vec![Reference { id: "d".to_owned() }] };
    insta::assert_json_snapshot!(removed);
    let nonce = NonceResponse { nonce: "n".to_owned(), expires_in: NONCE_LIFE_SECONDS };
    insta::assert_json_snapshot!(nonce);
    let time = TimeResponse { server_time: "jws".to_owned() };
    insta::assert_json_snapshot!(time);
}

#[test]
fn the_question_for_the_time_can_be_read_back() {
    let kid = private_key(1).public().thumbprint();
    let jti = Jti::new(&Seeded::new(1));
    let address = ServerTime::address(DEVICE_BASE, (kid, jti));
    let query = address.strip_prefix(DEVICE_BASE).unwrap().strip_prefix("/time?").unwrap();
    let (first, second) = query.split_once('&').unwrap();
    assert_eq!(first.strip_prefix("kid=").unwrap().parse(), Ok(kid));
    assert_eq!(second.strip_prefix("jti=").unwrap().parse(), Ok(jti));
}

#[test]
fn the_error_envelope_keeps_its_form() {
    let error = ErrorBody {
        id: "0190".to_owned(),
        code: ErrorCode::InvalidRequest,
        message: "The proof breaks a rule.".to_owned(),
        details: vec![ErrorDetail {
            code: DetailCode::ClockSkew,
            target: Some("proof.exp".to_owned()),
            message: "proof.exp has passed".to_owned(),
            inner_error: Some(InnerError { server_time: Some("jws".to_owned()) }),
        }],
    };
    insta::assert_json_snapshot!(error);
    let text = serde_json::to_string(&error).unwrap();
    assert_eq!(serde_json::from_str::<ErrorBody>(&text).unwrap(), error);
    let later: ErrorBody = serde_json::from_value(json!({
        "id": "0190", "code": "NEW", "message": "", "details": [{"code": "NEW", "message": ""}],
    }))
    .unwrap();
    assert_eq!((later.code, later.details[0].code), (ErrorCode::Unknown, DetailCode::Unknown));
}

#[test]
fn the_server_time_counts_for_the_request_it_answers_only() {
    let platform = private_key(4);
    let keys = JwkSet {
        keys: vec![PublicJwk { kid: "p".to_owned(), key: PublicKey::Ec(platform.public()) }],
    };
    let [aud, other] = [1, 2].map(|seed| private_key(seed).public().thumbprint());
    let [jti, other_jti] = [1, 2].map(|seed| Jti::new(&Seeded::new(seed)));
    let claims = ServerTime { iss: ISSUER.to_owned(), iat: NOW, aud, jti };
    insta::assert_json_snapshot!(claims);
    let header = Header { alg: Algorithm::Es256, kid: "p", typ: ServerTime::TYP };
    let input = jose::signing_input(&header, &claims);
    let jws = jose::assemble(&input, &platform.sign(input.as_bytes()));
    let verify = |issuer, of| ServerTime::verify(&jws, &keys, issuer, of);
    assert_eq!(verify(ISSUER, (aud, jti)).unwrap(), NOW);
    for of in [(other, jti), (aud, other_jti)] {
        assert!(matches!(verify(ISSUER, of), Err(ServerTimeError::OtherRequest)));
    }
    assert!(matches!(verify(DEVICE_BASE, (aud, jti)), Err(ServerTimeError::WrongIssuer { .. })));
    let forged = jose::assemble(&input, &private_key(5).sign(input.as_bytes()));
    assert!(matches!(
        ServerTime::verify(&forged, &keys, ISSUER, (aud, jti)),
        Err(ServerTimeError::Token(TokenError::BadSignature))
    ));
}
