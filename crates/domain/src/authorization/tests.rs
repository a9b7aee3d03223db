//! Tables over requests: what is taken, what is refused and how.

use countersign_protocol::{jose::Algorithm, time::Timestamp};

use super::*;
use crate::application::{GrantType, Kind, Oidc, Pkce, TokenEndpointAuthMethod};

const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

fn application() -> Application {
    Application {
        id: Id::from_bytes([1; 16]),
        environment: Id::from_bytes([2; 16]),
        name: "Bank".to_owned(),
        kind: Kind::Native,
        enabled: true,
        token_endpoint_auth_method: TokenEndpointAuthMethod::None,
        secret: None,
        grant_types: vec![GrantType::AuthorizationCode],
        redirect_uris: vec![
            "https://bank.example/cb".to_owned(),
            "http://127.0.0.1/cb".to_owned(),
            "http://localhost:8080/cb".to_owned(),
        ],
        pkce: Pkce::Optional,
        id_token_algorithm: Algorithm::Es256,
        oidc: Oidc::default(),
        mobile: None,
        previous_secret: None,
        description: None,
        told: None,
        created_at: Timestamp::from_micros(0),
        updated_at: Timestamp::from_micros(0),
    }
}

fn parameters() -> Parameters {
    Parameters {
        response_type: Some("code".to_owned()),
        redirect_uri: Some("https://bank.example/cb".to_owned()),
        scope: Some("openid profile unknown".to_owned()),
        state: Some("xyz".to_owned()),
        code_challenge: Some(CHALLENGE.to_owned()),
        code_challenge_method: Some("S256".to_owned()),
        ..Parameters::default()
    }
}

/// What a changed request comes to: `ok`, `untrusted: ...` or `error: ...`.
fn outcome(application: &Application, change: impl FnOnce(&mut Parameters)) -> String {
    let mut parameters = parameters();
    change(&mut parameters);
    match check(application, &parameters, Ok(None)) {
        Ok(_) => "ok".to_owned(),
        Err(Refusal::Untrusted { description }) => format!("untrusted: {description}"),
        Err(Refusal::Answered { error, description, .. }) => {
            format!("{}: {description}", error.name())
        }
    }
}

#[test]
fn a_good_request_keeps_known_scopes_only() {
    let request = check(&application(), &parameters(), Ok(None)).unwrap();
    assert_eq!(request.scopes, [Scope::OpenId, Scope::Profile]);
}

#[test]
fn redirect_uris_are_compared_exactly_except_the_port_of_a_loopback_address() {
    let table = [
        ("https://bank.example/cb", true),
        ("https://bank.example/cb/", false),
        ("https://bank.example/cb?x=1", false),
        ("https://bank.example:443/cb", false),
        ("https://BANK.example/cb", false),
        ("https://bank.example.evil.example/cb", false),
        ("http://127.0.0.1/cb", true),
        ("http://127.0.0.1:51004/cb", true),
        ("http://127.0.0.1:51004/other", false),
        ("http://127.0.0.1:51004/x/../cb", false),
        ("http://127.1:51004/cb", false),
        ("https://127.0.0.1:51004/cb", false),
        ("http://u@127.0.0.1:51004/cb", false),
        ("http://[::1]:51004/cb", false),
        ("http://localhost:8080/cb", true),
        ("http://localhost:8081/cb", false),
    ];
    for (uri, good) in table {
        let outcome = outcome(&application(), |p| p.redirect_uri = Some(uri.to_owned()));
        assert_eq!(outcome == "ok", good, "{uri}: {outcome}");
        assert!(good || outcome.starts_with("untrusted"), "{uri} must not be redirected to");
    }
}

#[test]
fn a_redirect_uri_with_a_star_is_a_pattern_or_nothing() {
    let mut app = application();
    app.redirect_uris = vec!["https://*.bank.example/cb".to_owned()];
    let at = |app: &Application, uri: &str| {
        outcome(app, |p| p.redirect_uri = Some(uri.to_owned())) == "ok"
    };
    assert!(!at(&app, "https://a.bank.example/cb"), "the switch is off");
    assert!(!at(&app, "https://*.bank.example/cb"), "as it is written");
    app.oidc.wildcard_redirect_uris = true;
    assert!(at(&app, "https://a.bank.example/cb"));
    assert!(!at(&app, "https://*.bank.example/cb"), "as it is written");
    assert!(!at(&app, "https://a.bank.example.evil.example/cb"));
}

#[test]
fn pkce_is_required_of_public_clients_and_only_as_s256() {
    let missing = |p: &mut Parameters| {
        p.code_challenge = None;
        p.code_challenge_method = None;
    };
    let public = application();
    let native_with_secret = Application {
        token_endpoint_auth_method: TokenEndpointAuthMethod::ClientSecretBasic,
        ..application()
    };
    let confidential = Application {
        kind: Kind::Web,
        token_endpoint_auth_method: TokenEndpointAuthMethod::ClientSecretBasic,
        ..application()
    };
    let strict = Application { pkce: Pkce::Required, ..confidential.clone() };
    let required = "invalid_request: code_challenge is required for this application";
    assert_eq!(outcome(&public, missing), required);
    assert_eq!(outcome(&native_with_secret, missing), required);
    assert_eq!(outcome(&strict, missing), required);
    assert_eq!(outcome(&confidential, missing), "ok");
    let s256 = "invalid_request: code_challenge_method must be S256";
    assert_eq!(outcome(&public, |p| p.code_challenge_method = None), s256);
    assert_eq!(outcome(&public, |p| p.code_challenge_method = Some("plain".to_owned())), s256);
    let form = "invalid_request: code_challenge must be 43 characters of base64url";
    assert_eq!(outcome(&public, |p| p.code_challenge = Some("short".to_owned())), form);
}

#[test]
fn each_broken_member_is_named() {
    let app = application();
    let set = |value: &str| Some(value.to_owned());
    let worker = Application { grant_types: vec![], ..application() };
    let table = [
        (outcome(&app, |p| p.response_type = None), "invalid_request: response_type is required"),
        (
            outcome(&app, |p| p.response_type = set("code token")),
            "unauthorized_client: the application may not use this response_type",
        ),
        (
            outcome(&app, |p| p.response_type = set("token")),
            "unsupported_response_type: response_type must be code, id_token, token id_token, code id_token, code token or code token id_token",
        ),
        (
            outcome(&app, |p| p.response_type = set("password")),
            "unsupported_response_type: response_type must be code, id_token, token id_token, code id_token, code token or code token id_token",
        ),
        (
            outcome(&app, |p| p.response_type = set("code code")),
            "unsupported_response_type: response_type must be code, id_token, token id_token, code id_token, code token or code token id_token",
        ),
        (outcome(&app, |p| p.scope = set("profile")), "invalid_scope: scope must contain openid"),
        (outcome(&app, |p| p.scope = None), "invalid_scope: scope must contain openid"),
        (
            outcome(&app, |p| p.prompt = set("create")),
            "invalid_request: prompt must be none, login, select_account or consent",
        ),
        (
            outcome(&app, |p| p.max_age = set("+1")),
            "invalid_request: max_age must be a whole number of seconds",
        ),
        (
            outcome(&app, |p| p.max_age = set("4294967296")),
            "invalid_request: max_age must be a whole number of seconds",
        ),
        (
            outcome(&app, |p| p.dpop_jkt = set("x")),
            "invalid_request: dpop_jkt must be a JWK thumbprint",
        ),
        (
            outcome(&app, |p| p.prompt = set("none login")),
            "invalid_request: prompt none cannot be combined",
        ),
        (
            outcome(&app, |p| p.response_mode = set("web_message")),
            "invalid_request: response_mode must be query, fragment, form_post or pi.flow",
        ),
        (
            outcome(&app, |p| p.redirect_uri = None),
            "untrusted: redirect_uri is required unless response_mode is pi.flow",
        ),
        (
            outcome(&app, |p| p.state = Some("x".repeat(2_049))),
            "invalid_request: state must have at most 2048 characters",
        ),
        (
            outcome(&app, |p| p.request_uri = set("https://bank.example/request")),
            "request_uri_not_supported: request_uri must be one of a pushed request",
        ),
        (
            outcome(&worker, |_| {}),
            "unauthorized_client: the application may not use authorization codes",
        ),
    ];
    for (outcome, expected) in table {
        assert_eq!(outcome, expected);
    }
}

#[test]
fn pi_flow_needs_no_address_but_never_takes_a_foreign_one() {
    let app = application();
    let flow = |uri: Option<&str>| {
        let uri = uri.map(str::to_owned);
        outcome(&app, |p| {
            p.response_mode = Some("pi.flow".to_owned());
            p.redirect_uri = uri;
        })
    };
    assert_eq!(flow(None), "ok");
    assert_eq!(flow(Some("https://bank.example/cb")), "ok");
    assert!(flow(Some("https://evil.example/cb")).starts_with("untrusted"));
}

#[test]
fn prompts_say_whether_the_session_counts() {
    let prompt = |text: &str| {
        let parameters = Parameters { prompt: Some(text.to_owned()), ..parameters() };
        check(&application(), &parameters, Ok(None)).map(|request| request.prompt)
    };
    assert_eq!(prompt("consent"), Ok(Prompt::AsNeeded));
    assert_eq!(prompt("login consent"), Ok(Prompt::Login));
    assert_eq!(prompt("select_account"), Ok(Prompt::Login));
    assert_eq!(prompt("none"), Ok(Prompt::None));
}

#[test]
fn tokens_in_the_answer_are_for_applications_that_may_have_them() {
    let mut front = application();
    front.grant_types.push(GrantType::Implicit);
    front.oidc.response_types =
        vec![ResponseType::Code, ResponseType::Token, ResponseType::IdToken];
    let ask = |response_type: &str, nonce: Option<&str>, mode: Option<&str>| Parameters {
        response_type: Some(response_type.to_owned()),
        nonce: nonce.map(str::to_owned),
        response_mode: mode.map(str::to_owned),
        ..parameters()
    };
    let hybrid = check(&front, &ask("id_token code", Some("n"), None), Ok(None)).unwrap();
    assert_eq!(hybrid.response_types, [ResponseType::Code, ResponseType::IdToken]);
    let redirect_uri = "https://bank.example/cb".to_owned();
    assert_eq!(hybrid.answer, Answer::Fragment { redirect_uri });
    assert!(check(&front, &ask("id_token", None, None), Ok(None)).is_err(), "without a nonce");
    assert!(
        check(&front, &ask("id_token", Some("n"), Some("query")), Ok(None)).is_err(),
        "in the query"
    );
    assert!(check(&front, &ask("id_token", Some("n"), Some("form_post")), Ok(None)).is_ok());
    front.oidc.dpop_required = true;
    assert!(check(&front, &ask("code token", None, None), Ok(None)).is_err(), "bound to no key");
    assert!(check(&front, &ask("code id_token", Some("n"), None), Ok(None)).is_ok());
    front.oidc.dpop_required = false;
    front.oidc.response_types = vec![ResponseType::Code];
    assert!(
        check(&front, &ask("id_token", Some("n"), None), Ok(None)).is_err(),
        "not its response type"
    );
    front.oidc.response_types = vec![ResponseType::IdToken];
    front.grant_types.retain(|grant_type| *grant_type != GrantType::Implicit);
    assert!(
        check(&front, &ask("id_token", Some("n"), None), Ok(None)).is_err(),
        "not its grant type"
    );
}
