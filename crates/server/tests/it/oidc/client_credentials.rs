//! `grant_type=client_credentials`.

use countersign_domain::application::GrantType;

use crate::world::{HTTPS, Members, SITE_ADDRESS, Tokens, World, claims};

fn request() -> Members {
    Members::from([("grant_type", "client_credentials")])
}

#[tokio::test]
async fn a_worker_gets_an_access_token_for_itself() {
    let w = World::new().await;
    let worker = w.worker().await;
    let answer = worker.redeem(&request()).await.must_be(200);
    let body = answer.json();
    assert_eq!((&body["token_type"], &body["expires_in"]), (&"Bearer".into(), &3_600.into()));
    for absent in ["id_token", "refresh_token", "scope"] {
        assert!(body.get(absent).is_none(), "{absent}");
    }
    let token = Tokens::of(&answer).access_token;
    let told = claims(&token);
    assert_eq!(told["sub"], worker.id.as_str());
    assert_eq!(told["client_id"], worker.id.as_str());
    assert_eq!(told["aud"], serde_json::json!([format!("{HTTPS}/v1"), w.issuer()]));
    for absent in ["auth_time", "acr", "scope"] {
        assert!(told.get(absent).is_none(), "{absent}");
    }
    // It is about no user.
    worker.user_info(&token).await.must_be(401);
    let other = Tokens::of(&worker.redeem(&request()).await).access_token;
    assert_ne!(claims(&other)["jti"], told["jti"]);
}

#[tokio::test]
async fn only_who_may_and_proves_itself_gets_one() {
    let w = World::new().await;
    let worker = w.worker().await;
    let refused = |status, error: &'static str| {
        move |answer: crate::world::Answer| {
            assert_eq!(answer.must_be(status).json()["error"], error);
        }
    };
    let wrong = crate::world::basic(&worker.id, "wrong");
    refused(401, "invalid_client")(worker.redeem_as(&request(), Some(&wrong)).await);
    let scoped = request().with("scope", "openid");
    refused(400, "invalid_scope")(worker.redeem(&scoped).await);
    let site = w.site();
    let public = request().with("client_id", &site.id);
    refused(400, "unauthorized_client")(site.redeem(&public).await);
    let code = worker.token_request("x");
    refused(400, "unauthorized_client")(worker.redeem(&code).await);
    let disabled = w.bank.unusual_site(&w.server, |a| {
        a.enabled = false;
        a.grant_types = vec![GrantType::ClientCredentials];
    });
    let disabled = w.client(&disabled.await.id.to_string(), SITE_ADDRESS);
    let public = request().with("client_id", &disabled.id);
    refused(401, "invalid_client")(disabled.redeem(&public).await);
}
