//! `POST /{environment}/as/introspect`.

use countersign_domain::application::{RefreshRules, TokenEndpointAuthMethod};
use serde_json::json;

use crate::world::{Client, Members, Tokens, World, claims};

on_both_engines!(a_token_is_told_to_a_worker_as_long_as_it_counts);

async fn a_token_is_told_to_a_worker_as_long_as_it_counts(w: &mut World) {
    let (worker, site) = (w.worker().await, w.refreshing_site(RefreshRules::default()).await);
    let tokens = site.clone().sign_in("ann").await;
    let told = worker.ask("introspect", &worker.about(&tokens.access_token)).await;
    let mut expected = claims(&tokens.access_token);
    expected["active"] = true.into();
    expected["token_type"] = "Bearer".into();
    expected["username"] = "ann".into();
    assert_eq!(told.must_be(200).json(), expected);
    let told = worker.ask("introspect", &worker.about(tokens.refresh_token())).await.json();
    assert_eq!((&told["active"], &told["client_id"]), (&true.into(), &site.id.as_str().into()));
    assert_eq!(told["scope"], "openid profile email");
    let next = site.refresh(tokens.refresh_token()).await;
    assert!(!worker.is_active(tokens.refresh_token()).await);
    assert!(worker.is_active(next.refresh_token()).await);
    w.advance(3_600);
    assert!(!worker.is_active(&next.access_token).await);
    w.bank.disable_ann(&w.server).await;
    assert!(!worker.is_active(next.refresh_token()).await);
}

async fn portal(w: &World) -> Client {
    let created = w.bank.confidential(&w.server, TokenEndpointAuthMethod::ClientSecretPost).await;
    let id = created.application.id.to_string();
    w.client(&id, "https://portal.example/callback").with_secret(&created)
}

#[tokio::test]
async fn an_application_is_told_about_its_own_tokens_only() {
    let w = World::new().await;
    let portal = portal(&w).await;
    let own = portal.clone().sign_in("ann").await;
    let foreign = w.site().sign_in("ann").await;
    assert!(portal.is_active(&own.access_token).await);
    for unknown in [foreign.access_token.as_str(), own.id_token.as_str(), "x"] {
        let told = portal.ask("introspect", &portal.about(unknown)).await.must_be(200);
        assert_eq!(told.json(), json!({ "active": false }));
    }
    let worker = w.worker().await;
    let request = Members::from([("grant_type", "client_credentials")]);
    let token = Tokens::of(&worker.redeem(&request).await).access_token;
    assert!(worker.is_active(&token).await);
    assert!(!portal.is_active(&token).await);
}

#[tokio::test]
async fn whoever_cannot_prove_itself_is_told_nothing() {
    let w = World::new().await;
    let site = w.site();
    let token = site.clone().sign_in("ann").await.access_token;
    let answer = site.ask("introspect", &site.about(&token)).await.must_be(401);
    assert_eq!(answer.json()["error"], "invalid_client");
    let portal = portal(&w).await;
    let answer = portal.ask("introspect", &portal.about("")).await.must_be(400);
    assert_eq!(answer.json()["error_description"], "token is required");
}
