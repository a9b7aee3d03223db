//! What an ID token says, and that it holds.

use countersign_protocol::{
    encoding,
    id_token::{self, Expected},
    jose::digest,
    jwk::JwkSet,
};

use crate::world::{Client, START, World};

async fn verified(w: &World, client: Client, algorithm: &str) {
    let tokens = client.clone().sign_in("ann").await;
    let header = tokens.id_token.split('.').next().unwrap();
    let header: serde_json::Value =
        serde_json::from_slice(&encoding::decode(header).unwrap()).unwrap();
    assert_eq!(header["alg"], algorithm);
    let keys = w.wire.get(&w.url("/as/jwks")).await.json();
    let keys: JwkSet = serde_json::from_value(keys).unwrap();
    let expected = Expected {
        issuer: &w.issuer(),
        audience: &client.id,
        nonce: Some("nonce-1"),
        max_age_seconds: Some(0),
    };
    id_token::verify(&tokens.id_token, &keys, &expected, START).unwrap();
}

#[tokio::test]
async fn a_token_holds_under_the_published_key_of_the_algorithm_of_its_application() {
    let w = World::new().await;
    verified(&w, w.app(), "RS256").await;
    verified(&w, w.site(), "ES256").await;
}

#[tokio::test]
async fn the_claims_after_a_password_do_not_change() {
    let w = World::new().await;
    let mut claims = w.app().sign_in("ann").await.id_claims();
    claims["at_hash"] = "tested on its own".into();
    snapshot!("id_token_after_password", &claims);
}

#[tokio::test]
async fn the_claims_after_a_passcode_do_not_change() {
    let w = World::new().await;
    let phone = w.phone_paired_to("ann").await;
    let mut sign_on = w.site().begin().await;
    w.advance(5);
    sign_on.password("ann", crate::world::PASSWORD).await.must_be(200);
    w.advance(5);
    sign_on.passcode(&phone.passcode()).await.must_be(200);
    w.advance(5);
    let mut claims = sign_on.tokens().await.id_claims();
    claims["at_hash"] = "tested on its own".into();
    snapshot!("id_token_after_passcode", &claims);
}

#[tokio::test]
async fn the_token_is_bound_to_the_access_token_beside_it() {
    let w = World::new().await;
    let tokens = w.app().sign_in("ann").await;
    let half = encoding::encode(&digest(&tokens.access_token)[..16]);
    assert_eq!(tokens.id_claims()["at_hash"], half);
}

#[tokio::test]
async fn a_request_without_nonce_gets_none() {
    let w = World::new().await;
    let request = w.app().request().without("nonce");
    let mut sign_on = w.app().begin_with(request).await;
    sign_on.password("ann", crate::world::PASSWORD).await.must_be(200);
    assert_eq!(sign_on.tokens().await.id_claims().get("nonce"), None);
}
