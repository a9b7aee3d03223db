//! Statements, hashes of what was shown, and the key that approves.

use serde_json::json;

use super::*;
use crate::fixture::{DEVICE_BASE, ISSUER, NOW, Seeded, private_key};
use crate::jose::{Algorithm, Header};
use crate::jwk::{PublicJwk, PublicKey};
use crate::private_key::EcPrivateKey;
use crate::proof::{Jti, Unsigned};

fn statement() -> Statement {
    Statement {
        iss: ISSUER.to_owned(),
        aud: private_key(1).public().thumbprint(),
        jti: "c-1".to_owned(),
        iat: NOW,
        exp: NOW.plus_seconds(60),
        user: UserFacts {
            id: "u".to_owned(),
            username: Some("ann".to_owned()),
            name: crate::pairing::Name::default(),
        },
        device: Reference { id: "d".to_owned() },
        application: "Bank".to_owned(),
        title: "Sign in?".to_owned(),
        message: "Somebody signs in to Bank.".to_owned(),
        client_context: Some("{\"amount\":\"10\"}".to_owned()),
        number_matching: Some(NumberMatching::SelectNumber { options: vec![12, 34, 56] }),
        origin: Origin { address: Some("192.0.2.7".to_owned()), browser: None },
    }
}

fn signed(statement: &Statement, key: &EcPrivateKey) -> PendingChallenge {
    let kid = key.public().thumbprint().to_string();
    let header = Header { alg: Algorithm::Es256, kid: &kid, typ: Statement::TYP };
    let input = jose::signing_input(&header, statement);
    let signature = key.sign(input.as_bytes());
    let statement_jws = jose::assemble(&input, &signature);
    PendingChallenge { id: statement.jti.clone(), statement: statement_jws }
}

fn keys() -> JwkSet {
    let key = private_key(9).public();
    let jwk = PublicJwk::of(PublicKey::Ec(key));
    serde_json::from_value(json!({ "keys": [jwk] })).unwrap()
}

#[test]
fn a_statement_is_believed_for_its_installation_issuer_and_challenge_only() {
    let pending = signed(&statement(), &private_key(9));
    let aud = private_key(1).public().thumbprint();
    let (believed, _) = Statement::verify(&pending, &keys(), (ISSUER, aud)).unwrap();
    assert_eq!(believed, statement());
    let other = private_key(2).public().thumbprint();
    for (issuer, aud, id) in
        [("https://other.example/e/as", aud, "c-1"), (ISSUER, other, "c-1"), (ISSUER, aud, "c-2")]
    {
        let pending = PendingChallenge { id: id.to_owned(), ..pending.clone() };
        let refused = Statement::verify(&pending, &keys(), (issuer, aud));
        assert!(matches!(refused, Err(StatementError::NotOurs)), "{issuer} {id}");
    }
    let forged = signed(&statement(), &private_key(8));
    assert!(matches!(
        Statement::verify(&forged, &keys(), (ISSUER, aud)),
        Err(StatementError::Token(_))
    ));
}

#[test]
fn what_was_shown_has_one_hash_for_all_signatures_and_another_for_each_other_text() {
    let aud = private_key(1).public().thumbprint();
    let hash = |statement: &Statement| {
        let pending = signed(statement, &private_key(9));
        Statement::verify(&pending, &keys(), (ISSUER, aud)).unwrap().1
    };
    assert_eq!(hash(&statement()), hash(&statement()));
    let claims = serde_json::to_vec(&statement()).unwrap();
    assert_eq!(hash(&statement()), ShownHash::of(&claims));
    let other = Statement { message: "Pay 10,000?".to_owned(), ..statement() };
    assert_ne!(hash(&statement()), hash(&other));
}

#[test]
fn the_statement_keeps_its_form() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&statement()).unwrap());
    let typed = NumberMatching::EnterManually { digits: 6 };
    let value = json!({ "type": "ENTER_MANUALLY", "digits": 6 });
    assert_eq!(serde_json::to_value(typed).unwrap(), value);
}

#[test]
fn every_kind_has_its_type_life_and_address() {
    fn row<P: Proof>(address: String) -> (&'static str, i64, String) {
        (P::TYP, P::LIFE_SECONDS, address)
    }
    let rows = [
        row::<ChallengesRequest>(ChallengesRequest::address("D")),
        row::<Acknowledgement>(Acknowledgement::address("D", "c")),
        row::<Approval>(Approval::address("D", "c")),
        row::<Refusal>(Refusal::address("D", "c")),
        row::<PushAddressRequest>(PushAddressRequest::address("D")),
        row::<PushTestRequest>(PushTestRequest::address("D")),
    ];
    let expected = [
        ("countersign-challenges+jwt", 60, "D/challenges"),
        ("countersign-ack+jwt", 30, "D/challenges/c/acknowledge"),
        ("countersign-approval+jwt", 60, "D/challenges/c/approve"),
        ("countersign-refusal+jwt", 60, "D/challenges/c/deny"),
        ("countersign-push-address+jwt", 60, "D/push-address"),
        ("countersign-push-test+jwt", 60, "D/push-tests"),
    ];
    assert_eq!(rows, expected.map(|(typ, life, address)| (typ, life, address.to_owned())));
}

#[test]
fn a_method_is_a_short_printable_name() {
    let approval = |method: &str| Approval {
        shown: ShownHash::of(b"{}"),
        method: method.to_owned(),
        number: None,
    };
    assert!(approval("fpt").check().is_ok());
    for method in ["", "f\np", &"x".repeat(33)] {
        assert!(approval(method).check().is_err(), "{method:?}");
    }
}

#[test]
fn a_verification_key_is_taken_for_its_own_pairing_only() {
    let audience = format!("{DEVICE_BASE}/pairings");
    let installation = private_key(1).public().thumbprint();
    let made = |key: &EcPrivateKey| {
        let body = VerificationKey {
            cnf: Confirmation { jwk: key.public() },
            installation,
            nonce: "n".to_owned(),
        };
        let jti = Jti::new(&Seeded::new(7));
        let unsigned = Unsigned::new(key.public().thumbprint(), &audience, body, NOW, jti);
        let signature = key.sign(unsigned.signing_input().as_bytes());
        unsigned.signed(&signature)
    };
    let jws = made(&private_key(3));
    let verify = |jws: &str, installation, nonce: &str| {
        VerificationKey::verify(jws, (installation, nonce), &audience, NOW)
    };
    assert_eq!(verify(&jws, installation, "n").unwrap(), private_key(3).public());
    let other = private_key(2).public().thumbprint();
    for (installation, nonce) in [(other, "n"), (installation, "m")] {
        let refused = verify(&jws, installation, nonce);
        assert!(matches!(refused, Err(VerificationKeyError::OtherPairing)));
    }
    let same = verify(&made(&private_key(1)), installation, "n");
    assert!(matches!(same, Err(VerificationKeyError::SameKey)));
}
