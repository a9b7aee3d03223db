//! Every rule with what breaks it, and the known attacks on JWTs.

use countersign_protocol::time::Timestamp;
use serde_json::{Value, json};

use super::{
    signer::{jwt, key_set, raw, secret, sign, unsigned},
    *,
};
use crate::{
    application::{Application, Kind, RequestObjectRules, TokenEndpointAuthMethod},
    fixture::{self, NOW, id},
};

const ISSUER: &str = "https://id.example/e/as";
const TOKEN: &str = "https://id.example/e/as/token";

fn client() -> String {
    fixture::application().id.to_string()
}

/// An application on a server that has a secret.
fn web() -> Application {
    Application {
        kind: Kind::Web,
        token_endpoint_auth_method: TokenEndpointAuthMethod::ClientSecretJwt,
        mobile: None,
        ..fixture::application()
    }
}

fn at(seconds: i64) -> i64 {
    NOW.plus_seconds(seconds).unix_seconds()
}

/// Claims with members added, replaced, or taken away by null.
fn with(mut claims: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        claims[name.as_str()] = value.clone();
    }
    claims
}

fn assertion_claims() -> Value {
    json!({"iss": client(), "sub": client(), "aud": ISSUER, "exp": at(60), "iat": at(0), "jti": "a"})
}

fn check(jwt: &str, now: Timestamp) -> Result<Assertion, String> {
    let (secret, set) = (secret(), key_set());
    let keys = Keys { secret: Some(&secret), set: Some(&set) };
    assertion(jwt, fixture::application().id, keys, &[ISSUER, TOKEN], now)
        .map_err(|refusal| refusal.to_string())
}

#[test]
fn an_assertion_counts_with_each_algorithm() {
    for algorithm in Algorithm::SYMMETRIC.into_iter().chain(Algorithm::ASYMMETRIC) {
        let assertion = check(&jwt(algorithm, &assertion_claims()), NOW).unwrap();
        assert_eq!(assertion.algorithm, algorithm);
        assert_eq!(assertion.client, fixture::application().id);
        assert_eq!(assertion.spent.until, NOW.plus_seconds(60 + LEEWAY_SECONDS));
    }
    assert_eq!(asserted_client(&jwt(Algorithm::Es256, &assertion_claims())), Ok(client()));
}

#[test]
fn each_broken_claim_of_an_assertion_is_told() {
    let audience =
        "aud must be the issuer, or the address that the assertion is sent to, and no other";
    for (changes, told) in [
        (json!({"iss": "x"}), "iss must be the client_id"),
        (json!({"iss": null}), "iss must be the client_id"),
        (json!({"iss": [client()]}), "iss must be a string"),
        (json!({"sub": "x"}), "sub must be the client_id"),
        (json!({"sub": null}), "sub must be the client_id"),
        (json!({"aud": TOKEN}), ""),
        (json!({"aud": [ISSUER, TOKEN]}), ""),
        (json!({"aud": [ISSUER, "https://evil.example"]}), audience),
        (json!({"aud": "https://id.example/e/as/"}), audience),
        (json!({"aud": "https://id.example/f/as"}), audience),
        (json!({"aud": []}), audience),
        (json!({"aud": [ISSUER, 1]}), audience),
        (json!({"aud": {"": ISSUER}}), audience),
        (json!({"aud": null}), audience),
        (json!({"exp": null}), "exp must be given"),
        (json!({"exp": at(-59)}), ""),
        (json!({"exp": at(-60)}), "exp has passed"),
        (json!({"exp": -1}), "exp must be a number of seconds since 1970"),
        (json!({"exp": at(60).to_string()}), "exp must be a number of seconds since 1970"),
        (json!({"exp": 1_767_603_660.5}), ""),
        (json!({"exp": at(3_660)}), ""),
        (json!({"exp": at(3_661)}), "exp must be at most one hour ahead"),
        (json!({"exp": u64::MAX}), "exp must be at most one hour ahead"),
        (json!({"exp": 1e300}), "exp must be at most one hour ahead"),
        (json!({"nbf": at(60)}), ""),
        (json!({"nbf": at(61)}), "nbf must not be in the future"),
        (json!({"iat": at(61)}), "iat must not be in the future"),
        (json!({"iat": "now"}), "iat must be a number of seconds since 1970"),
        (json!({"iat": null}), ""),
        (json!({"jti": null}), "jti must be given"),
        (json!({"jti": ""}), "jti must have 1 to 256 characters"),
        (json!({"jti": "x".repeat(257)}), "jti must have 1 to 256 characters"),
        (json!({"jti": 1}), "jti must be a string"),
        (json!({"something": {"else": [1]}}), ""),
    ] {
        let checked = check(&jwt(Algorithm::Es256, &with(assertion_claims(), &changes)), NOW);
        assert_eq!(checked.err().unwrap_or_default(), told, "{changes}");
    }
}

#[test]
fn each_broken_header_is_told() {
    let any = "alg must be HS256 to HS512 with the client secret, or fit a key of the client";
    let claims = assertion_claims().to_string();
    for (header, told) in [
        (r#"{"alg":"ES256"}"#, ""),
        (r#"{"alg":"ES256","typ":"JWT"}"#, ""),
        (r#"{"alg":"ES256","typ":"application/jwt"}"#, ""),
        (r#"{"alg":"ES256","typ":"client-authentication+jwt"}"#, ""),
        (r#"{"alg":"ES256","typ":"at+jwt"}"#, "typ must be JWT, or absent"),
        (r#"{"alg":"ES256","typ":"dpop+jwt"}"#, "typ must be JWT, or absent"),
        (r#"{"alg":"ES256","kid":"p256"}"#, ""),
        (r#"{"alg":"ES256","kid":"rsa"}"#, "kid is not the name of a key that fits alg"),
        (r#"{"alg":"ES256","kid":"' OR 1=1 --"}"#, "kid is not the name of a key that fits alg"),
        (r#"{"alg":"ES256","kid":"../../dev/null"}"#, "kid is not the name of a key that fits alg"),
        (r#"{"alg":"ES256","jku":"https://evil.example","x5u":"https://evil.example"}"#, ""),
        (
            r#"{"alg":"ES256","crit":["b64"],"b64":false}"#,
            "crit must not be in the header: no extensions are understood",
        ),
        (
            r#"{"alg":"ES256","crit":[]}"#,
            "crit must not be in the header: no extensions are understood",
        ),
        (r#"{"alg":"RS256"}"#, "the signature does not match"),
        (r#"{"alg":"ES384"}"#, "the signature does not match"),
        (r#"{"alg":"HS256"}"#, "the signature does not match"),
        (r#"{"alg":"es256"}"#, any),
        (r#"{"alg":"none"}"#, any),
        (r#"{"alg":""}"#, any),
    ] {
        let checked = check(&raw(Algorithm::Es256, header, &claims), NOW);
        assert_eq!(checked.err().unwrap_or_default(), told, "{header}");
    }
    for header in [r#"{"typ":"JWT"}"#, r#"{"alg":1}"#, r#"{"alg":["ES256"]}"#, "[]", "{}x", "{"] {
        let told = check(&raw(Algorithm::Es256, header, &claims), NOW).unwrap_err();
        assert!(told.starts_with("the header "), "{header}: {told}");
    }
}

#[test]
fn a_member_that_appears_twice_is_refused() {
    let claims = assertion_claims().to_string();
    let twice = claims.replacen('{', &format!(r#"{{"sub":"{}","#, client()), 1);
    let told = check(&raw(Algorithm::Es256, r#"{"alg":"ES256"}"#, &twice), NOW).unwrap_err();
    assert!(told.contains("\"sub\" appears twice"), "{told}");
    let header = r#"{"alg":"none","alg":"ES256"}"#;
    let told = check(&raw(Algorithm::Es256, header, &claims), NOW).unwrap_err();
    assert!(told.contains("\"alg\" appears twice"), "{told}");
}

#[test]
fn a_public_key_is_no_secret_for_an_hmac() {
    // The classic confusion: what everybody knows, used as the key of HS256.
    let public = signer::jwks().to_string();
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, public.as_bytes());
    let good = jwt(Algorithm::Hs256, &assertion_claims());
    let (input, _) = good.rsplit_once('.').unwrap();
    let mac = aws_lc_rs::hmac::sign(&key, input.as_bytes());
    let forged = format!("{input}.{}", countersign_protocol::encoding::encode(mac.as_ref()));
    assert_eq!(check(&forged, NOW).unwrap_err(), "the signature does not match");
    let set = key_set();
    let keys = Keys { secret: None, set: Some(&set) };
    let only_keys = "alg must be RS256 to RS512, PS256 to PS512, ES256, ES384 or EdDSA, and fit a key of the client";
    for jwt in [&forged, &good] {
        let refusal = assertion(jwt, id(1), keys, &[ISSUER], NOW).unwrap_err();
        assert_eq!(refusal.to_string(), only_keys);
    }
}

#[test]
fn only_what_is_registered_counts() {
    let (secret, empty) = (secret(), Secret::new(Vec::new()));
    let by_key = jwt(Algorithm::Es256, &assertion_claims());
    let by_secret = jwt(Algorithm::Hs256, &assertion_claims());
    let told = |jwt: &str, secret| {
        let keys = Keys { secret, set: None };
        assertion(jwt, fixture::application().id, keys, &[ISSUER], NOW).unwrap_err().to_string()
    };
    assert_eq!(told(&by_key, Some(&secret)), "alg must be HS256, HS384 or HS512");
    let nothing = "alg must be none: the client has no secret and no keys to sign with";
    assert_eq!(told(&by_key, None), nothing);
    assert_eq!(told(&by_secret, None), nothing);
    let (input, _) = by_secret.rsplit_once('.').unwrap();
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, b"");
    let mac = aws_lc_rs::hmac::sign(&key, input.as_bytes());
    let forged = format!("{input}.{}", countersign_protocol::encoding::encode(mac.as_ref()));
    assert_eq!(told(&forged, Some(&empty)), "the signature does not match");
}

#[test]
fn a_bent_signature_is_refused() {
    for algorithm in Algorithm::SYMMETRIC.into_iter().chain(Algorithm::ASYMMETRIC) {
        let good = jwt(algorithm, &assertion_claims());
        let (input, _) = good.rsplit_once('.').unwrap();
        let signature = sign(algorithm, input.as_bytes());
        let len = signature.len();
        let mut bent = signature.clone();
        bent[len / 2] ^= 1;
        for bad in [bent, signature[..len - 1].to_vec(), vec![0; len], vec![0; 1], vec![0xff; len]]
        {
            let bad = format!("{input}.{}", countersign_protocol::encoding::encode(bad));
            assert_eq!(check(&bad, NOW).unwrap_err(), "the signature does not match");
        }
        let told = check(&format!("{input}."), NOW).unwrap_err();
        assert_eq!(told, "the signature does not match", "{algorithm:?}");
    }
}

#[test]
fn what_is_no_compact_jws_is_refused() {
    let good = jwt(Algorithm::Es256, &assertion_claims());
    for (text, told) in [
        (String::new(), "must be three parts joined by dots"),
        ("a.b".to_owned(), "must be three parts joined by dots"),
        (".".to_owned(), "must be three parts joined by dots"),
        ("..".to_owned(), "the header must be base64url without padding"),
        (format!("{good}.x.y"), "must be three parts joined by dots"),
        (format!("{good}="), "the signature must be base64url without padding"),
        (format!(" {good}"), "the header must be base64url without padding"),
        ("x".repeat(16 * 1024 + 1), "must not be longer than 16384 bytes"),
        (format!("{}.", "x".repeat(16 * 1024)), "must not be longer than 16384 bytes"),
    ] {
        assert_eq!(check(&text, NOW).unwrap_err(), told, "{text:.40}");
    }
    let deep = format!("{}1{}", "[".repeat(2_000), "]".repeat(2_000));
    let told = check(&raw(Algorithm::Es256, r#"{"alg":"ES256"}"#, &deep), NOW).unwrap_err();
    assert!(told.contains("nested deeper"), "{told}");
}

fn request_claims() -> Value {
    json!({
        "iss": client(), "aud": ISSUER, "exp": at(300), "client_id": client(),
        "scope": "openid", "max_age": 60, "pi.clientContext": {"amount": "10"},
    })
}

fn request(jwt: &str, application: &Application) -> Result<RequestObject, String> {
    let (secret, set) = (secret(), key_set());
    let keys = Keys { secret: Some(&secret), set: Some(&set) };
    request_object(jwt, application, keys, ISSUER, NOW).map_err(|refusal| refusal.to_string())
}

#[test]
fn a_request_object_gives_its_parameters_and_who_vouches_for_them() {
    let object = request(&jwt(Algorithm::Hs512, &request_claims()), &web()).unwrap();
    assert_eq!(object.signed_by, SignedBy::Secret(Algorithm::Hs512));
    let names: Vec<_> = object.parameters.keys().map(String::as_str).collect();
    assert_eq!(names, ["client_id", "max_age", "pi.clientContext", "scope"]);
    assert_eq!(object.text("scope").as_deref(), Some("openid"));
    assert_eq!(object.text("max_age").as_deref(), Some("60"));
    assert_eq!(object.text("pi.clientContext").as_deref(), Some(r#"{"amount":"10"}"#));
    assert_eq!(object.text("state"), None);
    let header = r#"{"alg":"PS256","typ":"oauth-authz-req+jwt","kid":"rsa"}"#;
    let object = request(&raw(Algorithm::Ps256, header, &request_claims().to_string()), &web());
    assert_eq!(object.unwrap().signed_by, SignedBy::Key(Algorithm::Ps256));
}

#[test]
fn each_broken_claim_of_a_request_object_is_told() {
    for (changes, told) in [
        (json!({"iss": null}), "iss must be the client_id"),
        (json!({"iss": "x"}), "iss must be the client_id"),
        (json!({"aud": ["https://other.example", ISSUER]}), ""),
        (json!({"aud": null}), "aud must be the issuer, or a list that contains it"),
        (json!({"aud": TOKEN}), "aud must be the issuer, or a list that contains it"),
        (json!({"exp": null}), ""),
        (json!({"exp": at(-60)}), "exp has passed"),
        (json!({"exp": at(86_461)}), "exp must be at most one day ahead"),
        (json!({"nbf": at(61)}), "nbf must not be in the future"),
        (json!({"client_id": null}), ""),
        (json!({"client_id": "x"}), "client_id must be the client_id of the request"),
        (json!({"sub": client()}), "sub must not be the client_id in a request object"),
        (json!({"request": "x"}), "request must not be in a request object"),
        (json!({"request_uri": "x"}), "request_uri must not be in a request object"),
    ] {
        let checked = request(&jwt(Algorithm::Hs256, &with(request_claims(), &changes)), &web());
        assert_eq!(checked.err().unwrap_or_default(), told, "{changes}");
    }
    let header = r#"{"alg":"HS256","typ":"dpop+jwt"}"#;
    let told = request(&raw(Algorithm::Hs256, header, &request_claims().to_string()), &web());
    assert_eq!(told.unwrap_err(), "typ must be oauth-authz-req+jwt or JWT, or absent");
}

#[test]
fn an_unsigned_request_object_counts_only_where_the_application_may_send_such() {
    let mut application = web();
    let refused = "alg must be that of a signature: the application must sign its request objects";
    let object = unsigned(&request_claims());
    assert_eq!(request(&object, &application).unwrap_err(), refused);
    application.oidc.request_objects =
        RequestObjectRules { unsigned_allowed: true, signature_required: true };
    assert_eq!(request(&object, &application).unwrap_err(), refused);
    application.oidc.request_objects.signature_required = false;
    assert_eq!(request(&object, &application).unwrap().signed_by, SignedBy::Nobody);
    let bare = unsigned(&json!({"scope": "openid"}));
    assert_eq!(request(&bare, &application).unwrap().text("scope").as_deref(), Some("openid"));
    // What it does say must be right.
    let other = unsigned(&json!({"scope": "openid", "iss": "x"}));
    assert_eq!(request(&other, &application).unwrap_err(), "iss must be the client_id");
    // A signature beside `none` is not looked away from, and an empty one beside a name is no `none`.
    let beside = raw(Algorithm::Hs256, r#"{"alg":"none"}"#, &request_claims().to_string());
    assert!(request(&beside, &application).is_err());
    let signed = jwt(Algorithm::Hs256, &request_claims());
    let (input, _) = signed.rsplit_once('.').unwrap();
    assert_eq!(
        request(&format!("{input}."), &application).unwrap_err(),
        "the signature does not match"
    );
}

#[test]
fn a_request_object_is_no_client_assertion_and_the_other_way_round() {
    let told = check(&jwt(Algorithm::Es256, &request_claims()), NOW).unwrap_err();
    assert_eq!(told, "sub must be the client_id");
    let told = request(&jwt(Algorithm::Es256, &assertion_claims()), &web()).unwrap_err();
    assert_eq!(told, "sub must not be the client_id in a request object");
}

fn hint_claims() -> Value {
    let user = fixture::user().id.to_string();
    json!({"iss": client(), "sub": user, "aud": ISSUER, "iat": at(0), "exp": at(300)})
}

fn hint(jwt: &str, application: &Application) -> Result<LoginHintToken, String> {
    let secret = secret();
    login_hint_token(jwt, application, Some(&secret), ISSUER, NOW).map_err(|r| r.to_string())
}

#[test]
fn a_login_hint_token_names_a_user_and_is_remembered() {
    let token = jwt(Algorithm::Hs256, &hint_claims());
    let read = hint(&token, &web()).unwrap();
    assert_eq!(read.user, fixture::user().id);
    assert_eq!(read.issued_at, Some(NOW));
    assert_eq!(hint(&token, &web()).unwrap().spent, read.spent);
    let other =
        hint(&jwt(Algorithm::Hs256, &with(hint_claims(), &json!({"exp": at(301)}))), &web());
    assert_ne!(other.unwrap().spent, read.spent);
    // With a name, other bytes of the same name are the same token.
    let named = |iat| {
        let claims = with(hint_claims(), &json!({"jti": "n", "iat": iat}));
        hint(&jwt(Algorithm::Hs256, &claims), &web()).unwrap().spent
    };
    assert_eq!(named(at(0)), named(at(-1)));
}

#[test]
fn each_broken_claim_of_a_login_hint_token_is_told() {
    for (changes, told) in [
        (json!({"iss": "x"}), "iss must be the client_id"),
        (json!({"sub": null}), "sub must be the id of a user"),
        (json!({"sub": "ann"}), "sub must be the id of a user"),
        (json!({"aud": TOKEN}), "aud must be the issuer, or a list that contains it"),
        (json!({"exp": null}), "exp must be given"),
        (json!({"exp": at(-60)}), "exp has passed"),
        (json!({"exp": at(3_661)}), "exp must be at most one hour ahead"),
        (json!({"iat": at(61)}), "iat must not be in the future"),
        (json!({"iat": null}), ""),
    ] {
        let checked = hint(&jwt(Algorithm::Hs256, &with(hint_claims(), &changes)), &web());
        assert_eq!(checked.err().unwrap_or_default(), told, "{changes}");
    }
}

#[test]
fn a_login_hint_token_of_a_secret_that_everybody_has_is_refused() {
    let refused = "alg must be HS256 with the secret of an application that runs on a server";
    let token = jwt(Algorithm::Hs256, &hint_claims());
    let native = Application { kind: Kind::Native, ..web() };
    let public = Application { token_endpoint_auth_method: TokenEndpointAuthMethod::None, ..web() };
    for application in [native, public] {
        assert_eq!(hint(&token, &application).unwrap_err(), refused);
    }
    assert_eq!(hint(&jwt(Algorithm::Hs384, &hint_claims()), &web()).unwrap_err(), refused);
    let told = hint(&jwt(Algorithm::Es256, &hint_claims()), &web()).unwrap_err();
    assert_eq!(told, "alg must be HS256, HS384 or HS512");
    assert!(hint(&unsigned(&hint_claims()), &web()).is_err());
    assert!(login_hint_token(&token, &web(), None, ISSUER, NOW).is_err());
}
