//! `/{environment}/as/authorize`: what is refused, and who is told.

use countersign_domain::application::{Application, GrantType, TokenEndpointAuthMethod};

use crate::world::{Client, FORM, JSON, Members, SITE_ADDRESS, World, post};

/// Changes of a good request, with the error and the beginning of its description. `x=y` sets a member, `x` alone takes
/// it away, and `LONG` is longer than anything may be.
const REFUSED: [(&str, &str, &str); 18] = [
    ("response_type", "invalid_request", "response_type is required"),
    ("response_type=password", "unsupported_response_type", "response_type must be code"),
    ("response_type=code code", "unsupported_response_type", "response_type must be code"),
    ("scope", "invalid_scope", "scope must contain openid"),
    ("scope=profile OpenID", "invalid_scope", "scope must contain openid"),
    ("response_mode=jwt", "invalid_request", "response_mode must be query, fragment, form_post"),
    ("code_challenge,code_challenge_method", "invalid_request", "code_challenge is required for"),
    ("code_challenge", "invalid_request", "code_challenge is required with code_challenge_method"),
    ("code_challenge_method", "invalid_request", "code_challenge_method must be S256"),
    ("code_challenge_method=plain", "invalid_request", "code_challenge_method must be S256"),
    ("code_challenge=short", "invalid_request", "code_challenge must be 43 characters of"),
    ("prompt=none", "login_required", "the user must sign in"),
    ("prompt=none login", "invalid_request", "prompt none cannot be combined"),
    ("nonce=LONG", "invalid_request", "nonce must have at most 2048 characters"),
    ("login_hint=LONG", "invalid_request", "login_hint must have at most 256 characters"),
    ("request_uri=x", "request_uri_not_supported", "request_uri must be one of a pushed"),
    ("max_age=-1", "invalid_request", "max_age must be a whole number of seconds"),
    ("mobilePayload=x", "invalid_request", "mobilePayload: "),
];

fn changed(request: Members, changes: &str) -> Members {
    changes.split(',').fold(request, |request, change| match change.split_once('=') {
        Some((name, value)) => request.with(name, &value.replace("LONG", &"x".repeat(2_049))),
        None => request.without(change),
    })
}

/// Requests that name an address which is the application's are answered there.
#[tokio::test]
async fn the_application_is_told_what_is_wrong_with_its_request() {
    let w = World::new().await;
    let mut site = w.site();
    for (changes, error, description) in REFUSED {
        let request = changed(site.request(), changes);
        let answer = site.authorize(&request).await.must_be(302);
        assert!(answer.location().unwrap().starts_with(SITE_ADDRESS), "{answer:?}");
        assert_eq!(answer.returned("error").as_deref(), Some(error), "{changes}");
        let told = answer.returned("error_description").unwrap();
        assert!(told.starts_with(description), "{told}");
        assert_eq!(answer.returned("state").as_deref(), Some("state-1"));
        assert_eq!(answer.returned("iss"), Some(w.issuer()));
        assert_eq!(answer.returned("code"), None);
        // RFC 6749, section 4.1.2.1.
        let printable = |c: char| matches!(c, ' '..='~') && c != '"' && c != '\\';
        assert!(told.chars().all(printable), "{told}");
    }
}

#[tokio::test]
async fn a_state_that_is_too_long_is_refused() {
    let w = World::new().await;
    let mut site = w.site();
    let answer =
        site.authorize(&site.request().with("state", &"x".repeat(2_049))).await.must_be(302);
    let told = answer.returned("error_description").unwrap();
    assert_eq!(told, "state must have at most 2048 characters");
}

#[tokio::test]
async fn a_refusal_comes_by_form_if_the_answer_would() {
    let w = World::new().await;
    let mut site = w.site();
    let request = site.request().with("response_mode", "form_post").with("prompt", "none");
    let page = site.browser.open(&site.authorize_url(&request)).await;
    assert_eq!(page.value_of("error"), "login_required");
    assert_eq!(page.value_of("state"), "state-1");
    assert_eq!(page.value_of("iss"), w.issuer());
}

#[tokio::test]
async fn an_application_without_the_grant_type_gets_no_code() {
    let w = World::new().await;
    let change = |a: &mut Application| {
        a.grant_types = vec![GrantType::ClientCredentials];
        a.token_endpoint_auth_method = TokenEndpointAuthMethod::ClientSecretBasic;
    };
    let application = w.bank.unusual_site(&w.server, change).await;
    let mut client = w.client(&application.id.to_string(), SITE_ADDRESS);
    let answer = client.authorize(&client.request()).await.must_be(302);
    assert_eq!(answer.returned("error").as_deref(), Some("unauthorized_client"));
}

/// Nobody is sent to an address that is not known to be the application's.
async fn is_shown(client: &mut Client, request: &Members, told: &str) {
    let answer = client.authorize(request).await.must_be(400);
    assert_eq!(answer.location(), None);
    assert_eq!(answer.media_type(), "text/html");
    assert!(answer.text().contains(told), "{request:?}: {}", answer.text());
    assert!(answer.text().contains(answer.header("correlation-id")));
    assert!(!answer.text().contains("evil"), "{}", answer.text());
    let own_screens = request.clone().with("response_mode", "pi.flow");
    let answer = client.authorize(&own_screens).await.must_be(400);
    assert_eq!(answer.media_type(), JSON);
    assert_eq!(answer.json()["code"], "INVALID_REQUEST");
}

#[tokio::test]
async fn a_request_of_an_unknown_application_is_shown_to_the_person() {
    let w = World::new().await;
    let other = crate::world::Bank::open(&w.server, "Other").await;
    let disabled = w.bank.unusual_site(&w.server, |a| a.enabled = false).await;
    let mut site = w.site();
    let good = site.request();
    is_shown(&mut site, &good.clone().without("client_id"), "client_id is required").await;
    let unknown = "client_id is not that of an application in this environment";
    for client_id in [
        "not-an-id",
        "00000000-0000-7000-8000-000000000000",
        &w.bank.site.id.to_string().to_uppercase(),
        &other.site.id.to_string(),
        &disabled.id.to_string(),
    ] {
        is_shown(&mut site, &good.clone().with("client_id", client_id), unknown).await;
    }
}

#[tokio::test]
async fn a_request_with_a_foreign_address_is_shown_to_the_person() {
    let w = World::new().await;
    let mut site = w.site();
    let good = site.request();
    let foreign = "redirect_uri is not one that is registered for client_id";
    for address in [
        "https://evil.example/callback",
        "https://bank.example/callback/",
        "https://bank.example/callback?a=b",
        "https://bank.example/callback#a",
        "https://bank.example:444/callback",
        "https://BANK.example/callback",
        "https://bank.example@evil.example/callback",
        "https://bank.example.evil.example/callback",
        "http://bank.example/callback",
        "https://bank.example/./callback",
        "https://bank.example/callback\r\nLocation: https://evil.example",
        "javascript:alert(1)",
        "/callback",
    ] {
        is_shown(&mut site, &good.clone().with("redirect_uri", address), foreign).await;
    }
    let answer = site.authorize(&good.without("redirect_uri")).await.must_be(400);
    assert!(answer.text().contains("redirect_uri is required"));
}

#[tokio::test]
async fn only_the_port_of_a_loopback_address_may_differ() {
    let w = World::new().await;
    let change = |a: &mut Application| {
        a.redirect_uris =
            vec!["http://127.0.0.1/callback".to_owned(), "http://localhost:80/there".to_owned()];
    };
    let application = w.bank.unusual_site(&w.server, change).await;
    let mut site = w.client(&application.id.to_string(), "http://127.0.0.1/callback");
    let good = site.request();
    let foreign = "redirect_uri is not one that is registered for client_id";
    for address in [
        "http://127.0.0.1:8080/other",
        "https://127.0.0.1:8080/callback",
        "http://127.0.0.2:8080/callback",
        "http://evil@127.0.0.1:8080/callback",
        "http://127.0.0.1:8080/callback?a=b",
        "http://localhost:8080/there",
    ] {
        is_shown(&mut site, &good.clone().with("redirect_uri", address), foreign).await;
    }
}

#[tokio::test]
async fn a_repeated_member_is_refused() {
    let w = World::new().await;
    let mut site = w.site();
    for name in ["client_id", "redirect_uri", "scope", "state", "mobilePayload"] {
        let twice = site.request().and(name, "x").and(name, "x");
        let answer = site.authorize(&twice).await.must_be(400);
        assert_eq!(answer.location(), None);
        assert!(
            answer.text().contains(&format!("{name} must not be repeated")),
            "{}",
            answer.text()
        );
    }
}

#[tokio::test]
async fn an_empty_member_counts_as_absent() {
    let w = World::new().await;
    let mut site = w.site();
    let answer = site.authorize(&site.request().and("state", "").with("scope", "")).await;
    assert_eq!(answer.returned("error").as_deref(), Some("invalid_scope"));
    assert_eq!(answer.returned("state").as_deref(), Some("state-1"));
}

#[tokio::test]
async fn a_posted_request_must_be_a_form_of_bearable_size() {
    let w = World::new().await;
    let site = w.site();
    let url = format!("{}/authorize", site.issuer);
    let answer = w.wire.send(post(&url, JSON, "{}")).await.must_be(415);
    assert_eq!(answer.media_type(), "text/html");
    let large = site.request().with("state", &"x".repeat(70_000)).encoded();
    w.wire.send(post(&url, FORM, large)).await.must_be(413);
}
