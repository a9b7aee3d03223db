//! Who may send.

use countersign_emulator::push_service::credentials::FcmCredentials;
use countersign_protocol::entropy::SystemEntropy;
use countersign_protocol::time::Clock;
use serde_json::{Value, json};

use super::{World, read};
use crate::world::{PROJECT, fcm_credentials, rs256};

#[tokio::test]
async fn an_assertion_is_exchanged_for_an_access_token() {
    let world = World::new().await;
    let answer = world.ask_for_token(&world.assertion(&world.claims())).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["expires_in"], 3_599);
    assert_eq!(answer.json()["token_type"], "Bearer");
    assert!(answer.json()["access_token"].as_str().unwrap().starts_with("ya29."));
}

#[tokio::test]
async fn a_wrong_assertion_is_refused() {
    let world = World::new().await;
    let now = world.clock.now().unix_seconds();
    let with = |name: &str, value: Value| {
        let mut claims = world.claims();
        claims[name] = value;
        world.assertion(&claims)
    };
    let kid = fcm_credentials().account().key_id;
    let stranger = FcmCredentials::generate(PROJECT, &SystemEntropy).unwrap().json("");
    let stranger = stranger["private_key"].as_str().unwrap();
    let header = json!({ "alg": "RS256", "kid": kid });
    for (assertion, error, description) in [
        (with("aud", json!("https://oauth2.googleapis.com/token")), "invalid_grant", "audience"),
        (with("exp", json!(now + 3_601)), "invalid_grant", "short-lived"),
        (with("exp", json!(now)), "invalid_grant", "short-lived"),
        (with("iat", json!(now + 61)), "invalid_grant", "short-lived"),
        (with("iss", json!("nobody@example.org")), "invalid_grant", "account not found"),
        (with("scope", json!("openid email")), "invalid_scope", "scope"),
        (with("scope", json!(1)), "invalid_grant", "Invalid JWT"),
        ("a.b".to_owned(), "invalid_grant", "Invalid JWT"),
        (String::new(), "invalid_grant", "Invalid JWT"),
        (rs256(stranger, &header, &world.claims()), "invalid_grant", "Signature"),
        (
            world.sign(&json!({ "alg": "RS256", "kid": "other" }), &world.claims()),
            "invalid_grant",
            "Signature",
        ),
        (
            world.sign(&json!({ "alg": "none", "kid": kid }), &world.claims()),
            "invalid_grant",
            "Signature",
        ),
    ] {
        let answer = world.ask_for_token(&assertion).await;
        assert_eq!((answer.status, answer.json()["error"].as_str()), (400, Some(error)));
        let said = answer.json()["error_description"].as_str().unwrap().to_owned();
        assert!(said.contains(description), "{said}");
    }
    let form = [("grant_type", "password"), ("assertion", "x")];
    let request = world.client.post(world.server.token_uri()).form(&form);
    let answer = read(request.send().await.unwrap()).await;
    assert_eq!(answer.json()["error"], "unsupported_grant_type");
}

#[tokio::test]
async fn an_access_token_is_known_and_lives_an_hour() {
    let world = World::new().await;
    let token = world.access_token().await;
    let send = async |bearer: &str| {
        world.try_to_send(PROJECT, bearer, world.message().to_string()).await.unwrap()
    };
    assert_eq!(send(&token).await.status, 200);
    world.clock.advance(3_598);
    assert_eq!(send(&token).await.status, 200);
    world.clock.advance(1);
    for bearer in [token.as_str(), "ya29.unknown", ""] {
        let answer = send(bearer).await;
        assert_eq!(answer.status, 401);
        assert_eq!(answer.json()["error"]["status"], "UNAUTHENTICATED");
        assert_eq!(answer.code(), None);
    }
    assert_eq!(world.send(&world.message()).await.status, 200);
}

#[tokio::test]
async fn an_account_sends_for_its_own_project() {
    let world = World::new().await;
    let token = world.access_token().await;
    for (project, status, name) in
        [("other-project", 403, "PERMISSION_DENIED"), ("no-project", 404, "NOT_FOUND")]
    {
        let answer = world.try_to_send(project, &token, world.message().to_string()).await.unwrap();
        assert_eq!((answer.status, answer.code()), (status, None));
        assert_eq!(answer.json()["error"]["status"], name);
    }
}

#[tokio::test]
async fn what_google_does_not_serve_is_not_found() {
    let world = World::new().await;
    for path in ["/", "/v1/projects/p/messages", "/v2/projects/p/messages:send"] {
        let url = format!("{}{path}", world.server.url());
        let answer = read(world.client.post(url).send().await.unwrap()).await;
        assert_eq!(answer.status, 404);
        assert!(answer.body.starts_with("<!DOCTYPE html>"));
    }
}

#[tokio::test]
async fn both_versions_of_http_are_spoken() {
    let world = World::new().await;
    let old = reqwest::Client::builder()
        .tls_certs_only([
            reqwest::Certificate::from_pem(world.server.authority_pem().as_bytes()).unwrap()
        ])
        .http1_only()
        .build()
        .unwrap();
    for (client, version) in
        [(&world.client, http::Version::HTTP_2), (&old, http::Version::HTTP_11)]
    {
        let response = client.get(world.server.url()).send().await.unwrap();
        assert_eq!(response.version(), version);
    }
}
