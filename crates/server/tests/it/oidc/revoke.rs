//! `POST /{environment}/as/revoke`.

use countersign_domain::application::RefreshRules;

use crate::world::{Members, Tokens, World};

on_both_engines!(
    a_refresh_token_takes_its_access_tokens_along,
    an_access_token_goes_alone,
    a_token_of_another_application_stays,
);

async fn a_refresh_token_takes_its_access_tokens_along(w: &mut World) {
    let site = w.refreshing_site(RefreshRules::default()).await;
    let first = site.clone().sign_in("ann").await;
    let second = site.refresh(first.refresh_token()).await;
    // The older one will do.
    for _ in 0..2 {
        let answer = site.ask("revoke", &site.about(first.refresh_token())).await.must_be(200);
        assert!(answer.body.is_empty());
    }
    for tokens in [first, second] {
        site.user_info(&tokens.access_token).await.must_be(401);
        site.redeem(&site.refresh_request(tokens.refresh_token())).await.must_be(400);
    }
}

async fn an_access_token_goes_alone(w: &mut World) {
    let (worker, site) = (w.worker().await, w.refreshing_site(RefreshRules::default()).await);
    let first = site.clone().sign_in("ann").await;
    let second = site.refresh(first.refresh_token()).await;
    let request = site.about(&first.access_token).with("token_type_hint", "refresh_token");
    for _ in 0..2 {
        site.ask("revoke", &request).await.must_be(200);
    }
    site.user_info(&first.access_token).await.must_be(401);
    assert!(!worker.is_active(&first.access_token).await);
    site.user_info(&second.access_token).await.must_be(200);
    site.refresh(second.refresh_token()).await;
    let own = Members::from([("grant_type", "client_credentials")]);
    let own = Tokens::of(&worker.redeem(&own).await).access_token;
    assert!(worker.is_active(&own).await);
    worker.ask("revoke", &worker.about(&own)).await.must_be(200);
    assert!(!worker.is_active(&own).await);
}

async fn a_token_of_another_application_stays(w: &mut World) {
    let (app, site) = (w.app(), w.refreshing_site(RefreshRules::default()).await);
    let tokens = site.clone().sign_in("ann").await;
    for token in [&tokens.access_token, tokens.refresh_token(), "x"] {
        // Nothing is learnt from the answer either.
        let answer = app.ask("revoke", &app.about(token)).await.must_be(200);
        assert!(answer.body.is_empty());
    }
    site.user_info(&tokens.access_token).await.must_be(200);
    site.refresh(tokens.refresh_token()).await;
}

#[tokio::test]
async fn the_client_must_be_known_and_the_token_named() {
    let w = World::new().await;
    let app = w.app();
    let answer = app.ask("revoke", &app.about("")).await.must_be(400);
    assert_eq!(answer.json()["error_description"], "token is required");
    let unknown = app.about("x").with("client_id", "x");
    assert_eq!(app.ask("revoke", &unknown).await.must_be(401).json()["error"], "invalid_client");
}
