//! Every rule of an ID token, broken one at a time.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};

use super::*;
use crate::fixture::{ISSUER, NOW, private_key};
use crate::jose;
use crate::jwk::{PublicJwk, PublicKey};

const CLIENT: &str = "0190c1d2-0000-7000-8000-000000000002";
const EXPECTED: Expected<'_> =
    Expected { issuer: ISSUER, audience: CLIENT, nonce: None, max_age_seconds: Some(600) };

fn keys() -> JwkSet {
    let ec = |kid: &str, seed| PublicJwk {
        kid: kid.to_owned(),
        key: PublicKey::Ec(private_key(seed).public()),
    };
    JwkSet { keys: vec![ec("new", 11), ec("old", 12)] }
}

fn claims() -> Value {
    let now = NOW.unix_seconds();
    json!({
        "iss": ISSUER, "aud": CLIENT, "sub": "u", "iat": now, "exp": now + 3_600, "nonce": "n",
        "auth_time": now - 5, "amr": ["pwd", "mfa"], "acr": "policy",
        "countersign_pairing": {"status": "already_paired"},
    })
}

fn sign(header: &Value, claims: &Value) -> String {
    let input = format!(
        "{}.{}",
        crate::encoding::encode(header.to_string()),
        crate::encoding::encode(claims.to_string())
    );
    jose::assemble(&input, &private_key(11).sign(input.as_bytes()))
}

fn header() -> Value {
    json!({"alg": "ES256", "kid": "new", "typ": "JWT"})
}

fn check(spoil: impl FnOnce(&mut Value, &mut Value)) -> Result<IdTokenClaims, IdTokenError> {
    let (mut header, mut claims) = (header(), claims());
    spoil(&mut header, &mut claims);
    verify(&sign(&header, &claims), &keys(), &EXPECTED, NOW)
}

fn refusal(spoil: impl FnOnce(&mut Value, &mut Value)) -> String {
    check(spoil).unwrap_err().to_string()
}

#[test]
fn a_good_token_says_what_was_signed() {
    let claims = check(|_, _| ()).unwrap();
    assert_eq!(claims.sub, "u");
    assert_eq!(claims.auth_time, Some(NOW.unix_seconds() - 5));
    assert_eq!(claims.amr, ["pwd", "mfa"]);
    assert_eq!(claims.acr.as_deref(), Some("policy"));
    assert_eq!(claims.iat, NOW);
    assert_eq!(claims.countersign_pairing, Some(PairingClaim::AlreadyPaired));
}

#[test]
fn a_token_without_the_pairing_claim_is_good() {
    let claims = check(|_, claims| {
        claims.as_object_mut().unwrap().remove("countersign_pairing");
    });
    assert_eq!(claims.unwrap().countersign_pairing, None);
}

/// The public half of `fixture/rsa_private_key.der`, which exists for these tests only.
const RSA_MODULUS: &str = "xchCx8G_GgXWUd-UNFLO_g_2nvUgKrlINH2OCnTcD3J-EzHtnMqyx-qyDTkrM8VVrjvK3dLi3K3LygvB8Bh1kcUwOwpCohfet-e-LDJFnBQCDlgosaC12bOgNNx5N6bR2zh8WonlyYyrzinhZNt_ww87_wy70LCOiyksFuUwwbgU0MhTNxIHXP4k5v6dcDfb43gwtKx6BansJDCOF7CH7jFMkGfklO7tnkIBBcqzYbfg_MBJODYQfcaqoeRq5ZOjVXmwp4_vUpb1bp7YBLqcJwCW4e7kt2HgMhCDotn5oZ_kle4N0LwF4Ag5lflhchZyCzWmI7HJj1ECvXkz9c-XUQ";

#[test]
fn an_rs256_token_is_verified_with_an_rsa_key() {
    let rsa =
        RsaKeyPair::from_der(include_bytes!("../fixture/rsa_private_key.der").as_slice()).unwrap();
    let jwk = json!({
        "kty": "RSA", "n": RSA_MODULUS, "e": "AQAB", "kid": "rsa", "use": "sig", "alg": "RS256",
    });
    let keys: JwkSet = serde_json::from_value(json!({"keys": [jwk]})).unwrap();
    assert_eq!(serde_json::to_value(&keys.keys[0]).unwrap(), jwk);

    let header = crate::encoding::encode(r#"{"alg":"RS256","kid":"rsa","typ":"JWT"}"#);
    let input = format!("{header}.{}", crate::encoding::encode(claims().to_string()));
    let mut signature = vec![0; rsa.public_modulus_len()];
    rsa.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), input.as_bytes(), &mut signature).unwrap();
    let check = |jws: &str| verify(jws, &keys, &EXPECTED, NOW);
    assert!(check(&jose::assemble(&input, &signature)).is_ok());
    signature[9] ^= 1;
    assert!(matches!(
        check(&jose::assemble(&input, &signature)),
        Err(IdTokenError::Token(TokenError::BadSignature))
    ));
    let es256 = check(&sign(&json!({"alg": "ES256", "kid": "rsa", "typ": "JWT"}), &claims()));
    assert_eq!(es256.unwrap_err().to_string(), "header.alg must be RS256");
}

#[test]
fn only_the_algorithm_of_the_key_is_accepted() {
    for alg in ["none", "HS256", "RS256", "ES384"] {
        let message = refusal(|header, _| header["alg"] = json!(alg));
        assert_eq!(message, "header.alg must be ES256");
    }
}

#[test]
fn an_unknown_key_is_named_so_that_the_set_can_be_fetched_again() {
    let error = check(|header, _| header["kid"] = json!("newer")).unwrap_err();
    assert!(matches!(error, IdTokenError::Token(TokenError::UnknownKey(kid)) if kid == "newer"));
}

#[test]
fn the_signature_of_another_key_of_the_set_is_refused() {
    assert_eq!(refusal(|header, _| header["kid"] = json!("old")), "the signature is not valid");
}

#[test]
fn another_type_of_token_is_refused() {
    for typ in [json!("countersign-time+jwt"), json!("at+jwt"), Value::Null] {
        assert_eq!(refusal(|header, _| header["typ"] = typ), "header.typ must be JWT");
    }
}

#[test]
fn critical_extensions_are_refused_and_other_header_members_ignored() {
    assert!(refusal(|header, _| header["crit"] = json!(["b64"])).contains("crit"));
    assert!(check(|header, _| header["x5t"] = json!("x")).is_ok());
}

#[test]
fn another_issuer_is_refused() {
    let message = refusal(|_, claims| claims["iss"] = json!("https://id.example/other/as"));
    assert_eq!(message, format!("iss must be {ISSUER}"));
}

#[test]
fn the_audience_must_be_the_application() {
    for (aud, azp, is_good) in [
        (json!(CLIENT), Value::Null, true),
        (json!([CLIENT]), Value::Null, true),
        (json!([CLIENT, "api"]), json!(CLIENT), true),
        (json!([CLIENT, "api"]), Value::Null, false),
        (json!([CLIENT, "api"]), json!("api"), false),
        (json!(CLIENT), json!("api"), false),
        (json!("api"), json!(CLIENT), false),
        (json!([]), Value::Null, false),
    ] {
        let outcome = check(|_, claims| {
            claims["aud"] = aud.clone();
            claims["azp"] = azp.clone();
        });
        match outcome {
            Ok(_) => assert!(is_good, "{aud} {azp}"),
            Err(error) => {
                assert!(!is_good && matches!(error, IdTokenError::WrongAudience { .. }));
            }
        }
    }
}

#[test]
fn expired_future_and_old_tokens_are_refused() {
    let at = |seconds: i64| json!(NOW.plus_seconds(seconds).unix_seconds());
    assert_eq!(refusal(|_, claims| claims["exp"] = at(0)), "exp has passed");
    assert!(check(|_, claims| claims["exp"] = at(1)).is_ok());
    assert_eq!(refusal(|_, claims| claims["iat"] = at(61)), "iat is in the future");
    assert!(check(|_, claims| claims["iat"] = at(60)).is_ok());
    assert_eq!(refusal(|_, claims| claims["iat"] = at(-601)), "iat must be at most 600 s ago");
    assert!(check(|_, claims| claims["iat"] = at(-600)).is_ok());
}

#[test]
fn the_nonce_counts_when_it_is_known() {
    let with = |nonce| {
        let expected = Expected { nonce, ..EXPECTED };
        verify(&sign(&header(), &claims()), &keys(), &expected, NOW)
    };
    assert!(with(Some("n")).is_ok() && with(None).is_ok());
    assert!(matches!(with(Some("m")), Err(IdTokenError::WrongNonce)));
}

#[test]
fn duplicate_claims_and_non_compact_forms_are_refused() {
    let claims = claims().to_string().replacen('{', r#"{"sub":"admin","#, 1);
    let input = format!(
        "{}.{}",
        crate::encoding::encode(header().to_string()),
        crate::encoding::encode(claims)
    );
    let jws = jose::assemble(&input, &private_key(11).sign(input.as_bytes()));
    let message = verify(&jws, &keys(), &EXPECTED, NOW).unwrap_err().to_string();
    assert!(message.contains(r#"member "sub" appears twice"#), "{message}");
    for text in ["", "a.b", &format!("{input}."), r#"{"payload":""}"#] {
        assert!(verify(text, &keys(), &EXPECTED, NOW).is_err());
    }
}
