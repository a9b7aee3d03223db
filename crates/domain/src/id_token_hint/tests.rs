//! What counts as a hint, and what does not.

use countersign_protocol::{
    jose::{self, Algorithm, Header},
    jwk::{PublicJwk, PublicKey},
    private_key::EcPrivateKey,
};
use serde_json::{Value, json};

use super::*;
use crate::fixture::{self, NOW, id};

const ISSUER: &str = "https://id.example/e/as";

fn signed(key: u8, typ: &str, changes: &Value) -> String {
    let (user, aud) = (fixture::user().id, fixture::application().id);
    let iat = NOW.unix_seconds();
    let mut claims = json!({
        "iss": ISSUER, "sub": user, "aud": aud, "iat": iat, "exp": iat + 60, "sid": "s",
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name.as_str()] = value.clone();
    }
    let key = EcPrivateKey::from_scalar(&[key; 32]).unwrap();
    let input = jose::signing_input(&Header { alg: Algorithm::Es256, kid: "k", typ }, &claims);
    jose::assemble(&input, &key.sign(input.as_bytes()))
}

fn check(token: &str, now: Timestamp) -> Result<IdTokenHint, Refusal> {
    let key = EcPrivateKey::from_scalar(&[1; 32]).unwrap().public();
    let keys = JwkSet { keys: vec![PublicJwk { kid: "k".to_owned(), key: PublicKey::Ec(key) }] };
    id_token_hint(token, &keys, ISSUER, Some(fixture::application().id), now)
}

#[test]
fn an_id_token_counts_as_a_hint_long_after_it_has_expired() {
    let token = signed(1, id_token::TYP, &json!({}));
    for now in [NOW, NOW.plus_seconds(3_600), NOW.plus_seconds(MAX_SECONDS)] {
        let hint = check(&token, now).unwrap();
        assert_eq!(hint.user, fixture::user().id);
        assert_eq!(hint.session.as_deref(), Some("s"));
    }
    assert_eq!(check(&token, NOW.plus_seconds(MAX_SECONDS + 1)), Err(Refusal::TooOld));
}

#[test]
fn what_is_not_an_id_token_of_this_application_from_here_is_refused() {
    let other = id::<Application>(9);
    for (token, refusal) in [
        (signed(2, id_token::TYP, &json!({})), Refusal::NotOurs),
        (signed(1, "at+jwt", &json!({})), Refusal::NotOurs),
        (signed(1, id_token::TYP, &json!({"sub": "ann"})), Refusal::NotOurs),
        (signed(1, id_token::TYP, &json!({"iss": "https://x"})), Refusal::OtherIssuer),
        (signed(1, id_token::TYP, &json!({"aud": other})), Refusal::OtherApplication),
        (String::new(), Refusal::NotOurs),
    ] {
        assert_eq!(check(&token, NOW), Err(refusal));
    }
}
