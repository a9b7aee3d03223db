//! `/{environment}/as/userinfo`.

use countersign_protocol::encoding;
use serde_json::json;

use crate::world::{Bank, PASSWORD, World, get, post, with};

async fn claims_of(w: &World, scope: &str) -> serde_json::Value {
    let request = w.app().request().with("scope", scope);
    let mut sign_on = w.app().begin_with(request).await;
    sign_on.password("ann", PASSWORD).await.must_be(200);
    let tokens = sign_on.tokens().await;
    w.app().user_info(&tokens.access_token).await.must_be(200).json()
}

#[tokio::test]
async fn each_scope_opens_its_claims() {
    let w = World::new().await;
    let id = w.bank.ann.id;
    assert_eq!(claims_of(&w, "openid").await, json!({ "sub": id }));
    assert_eq!(
        claims_of(&w, "openid email").await,
        json!({ "sub": id, "email": "ann@bank.example" })
    );
    assert_eq!(
        claims_of(&w, "profile openid").await,
        json!({
            "sub": id, "name": "Ann Lee", "given_name": "Ann", "family_name": "Lee",
            "preferred_username": "ann", "updated_at": 1_767_603_600,
        })
    );
}

#[tokio::test]
async fn it_may_be_asked_by_post_too() {
    let w = World::new().await;
    let bearer = format!("Bearer {}", w.app().sign_in("ann").await.access_token);
    let request = post(&w.url("/as/userinfo"), crate::world::FORM, "");
    w.wire.send(with(request, "authorization", &bearer)).await.must_be(200);
}

#[tokio::test]
async fn without_a_token_it_asks_for_one_and_names_no_error() {
    let w = World::new().await;
    let challenge = "Bearer realm=\"userinfo\"";
    let answer = w.wire.get(&w.url("/as/userinfo")).await.must_be(401);
    assert_eq!(answer.header("www-authenticate"), challenge);
    let basic = with(get(&w.url("/as/userinfo")), "authorization", "Basic eDp5");
    assert_eq!(w.wire.send(basic).await.must_be(401).header("www-authenticate"), challenge);
}

#[tokio::test]
async fn only_an_access_token_of_this_environment_counts() {
    let w = World::new().await;
    let other = Bank::open(&w.server, "Other").await;
    let tokens = w.site().sign_in("ann").await;
    let (signed, signature) = tokens.access_token.rsplit_once('.').unwrap();
    let header = encoding::encode(r#"{"alg":"none","typ":"at+jwt"}"#);
    let unsigned = format!("{header}.{}.", signed.split_once('.').unwrap().1);
    for token in [
        "x",
        tokens.id_token.as_str(),
        &unsigned,
        &format!("{signed}."),
        &format!("{signed}.{}", signature.chars().rev().collect::<String>()),
        &"x".repeat(10_000),
    ] {
        let answer = w.app().user_info(token).await.must_be(401);
        assert!(answer.header("www-authenticate").starts_with("Bearer error=\"invalid_token\""));
    }
    let elsewhere = format!("/{}/as/userinfo", other.environment.id);
    let bearer = format!("Bearer {}", tokens.access_token);
    w.wire.send(with(get(&elsewhere), "authorization", &bearer)).await.must_be(401);
    w.app().user_info(&tokens.access_token).await.must_be(200);
}

#[tokio::test]
async fn a_token_counts_until_it_expires() {
    let w = World::new().await;
    let code = w.app().code_for("ann").await;
    w.advance(40);
    let tokens = w.app().tokens(&code).await;
    w.advance(3_599);
    w.app().user_info(&tokens.access_token).await.must_be(200);
    w.advance(1);
    w.app().user_info(&tokens.access_token).await.must_be(401);
}

#[tokio::test]
async fn nothing_is_told_about_a_user_who_was_disabled() {
    let w = World::new().await;
    let tokens = w.app().sign_in("ann").await;
    w.bank.disable_ann(&w.server).await;
    w.app().user_info(&tokens.access_token).await.must_be(401);
}
