//! What the SDK believes of an ID token, and of the keys that sign it.

use countersign_protocol::id_token::IdTokenError;
use countersign_protocol::platform_token::TokenError;
use serde_json::{Value, json};

use super::platform::{FakePlatform, Fate, ISSUER, ok};
use super::world::World;
use crate::installation::lock;
use crate::{Category, Error, PairingOutcome};

const DISCOVERY: &str = "/e/as/.well-known/openid-configuration";

async fn refusal(world: &World, id_token: &str) -> Error {
    let error = world.open().await.process_id_token(id_token).await.unwrap_err();
    assert_eq!(error.category(), Category::Security, "{error}");
    error
}

async fn refusal_after(spoil: impl FnOnce(&mut Value)) -> IdTokenError {
    let world = World::new();
    let id_token = world.platform.id_token(spoil);
    match refusal(&world, &id_token).await {
        Error::IdToken(error) => error,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn the_outcome_says_why_there_is_no_offer() {
    let world = World::new();
    let sdk = world.open().await;
    assert_eq!(sdk.pairing_outcome(), PairingOutcome::NotRequested);
    for (claim, outcome) in [
        (json!({"status": "already_paired"}), PairingOutcome::AlreadyPaired),
        (json!({"status": "limit_reached"}), PairingOutcome::LimitReached),
        (json!({"status": "disabled"}), PairingOutcome::Disabled),
        (json!({"status": "compromised"}), PairingOutcome::Compromised),
        (Value::Null, PairingOutcome::NotRequested),
    ] {
        let id_token = world.platform.id_token(|claims| claims["countersign_pairing"] = claim);
        assert!(sdk.process_id_token(&id_token).await.unwrap().is_none());
        assert_eq!(sdk.pairing_outcome(), outcome);
    }
}

#[tokio::test]
async fn another_issuer_or_audience_is_refused() {
    let other = ISSUER.replace("/e/", "/f/");
    let error = refusal_after(|claims| claims["iss"] = json!(other)).await;
    assert!(matches!(error, IdTokenError::WrongIssuer { .. }));
    let error = refusal_after(|claims| claims["aud"] = json!("app-2")).await;
    assert!(matches!(error, IdTokenError::WrongAudience { .. }));
}

#[tokio::test]
async fn an_expired_or_old_token_is_refused() {
    let at = |seconds: i64| json!(super::platform::START.plus_seconds(seconds).unix_seconds());
    let error = refusal_after(|claims| claims["exp"] = at(0)).await;
    assert!(matches!(error, IdTokenError::Expired));
    let error = refusal_after(|claims| claims["iat"] = at(-601)).await;
    assert!(matches!(error, IdTokenError::TooOld { .. }));
    let error = refusal_after(|claims| claims["iat"] = at(61)).await;
    assert!(matches!(error, IdTokenError::IssuedInFuture));
}

#[tokio::test]
async fn a_token_signed_by_another_key_is_refused() {
    let world = World::new();
    let forger = FakePlatform::new();
    forger.add_signing_key("k1");
    let error = refusal(&world, &forger.id_token(|_| ())).await;
    assert!(matches!(error, Error::IdToken(IdTokenError::Token(TokenError::BadSignature))));
}

#[tokio::test]
async fn an_offer_to_another_installation_is_refused() {
    let (ours, theirs) = (World::new(), World::new());
    theirs.open().await.remove_local_data().await.unwrap();
    let payload = theirs.open().await.generate_mobile_payload().await.unwrap();
    let id_token = ours.platform.sign_in(&payload, "ann");
    assert!(matches!(refusal(&ours, &id_token).await, Error::OtherInstallation));
}

#[tokio::test]
async fn an_expired_offer_is_refused() {
    let world = World::new();
    let sdk = world.open().await;
    let payload = sdk.generate_mobile_payload().await.unwrap();
    let mut offer = world.platform.offer(&payload, "ann");
    offer["expires_at"] = json!(super::platform::START.unix_seconds());
    let id_token = world.platform.id_token(|claims| claims["countersign_pairing"] = offer);
    assert!(matches!(sdk.process_id_token(&id_token).await, Err(Error::OfferExpired)));
}

#[tokio::test]
async fn keys_are_fetched_once_and_again_when_a_new_one_signs() {
    let world = World::new();
    let sdk = world.open().await;
    for _ in 0..3 {
        sdk.process_id_token(&world.platform.id_token(|_| ())).await.unwrap();
    }
    assert_eq!(world.platform.count("/e/as/jwks"), 1);
    world.platform.add_signing_key("k2");
    world.advance(60);
    sdk.process_id_token(&world.platform.id_token(|_| ())).await.unwrap();
    assert_eq!(world.platform.count("/e/as/jwks"), 2);
    // Within a minute nobody can make it fetch again.
    world.platform.add_signing_key("k3");
    let refused = sdk.process_id_token(&world.platform.id_token(|_| ())).await.unwrap_err();
    assert!(matches!(
        refused,
        Error::IdToken(IdTokenError::Token(TokenError::UnknownKey(kid))) if kid == "k3"
    ));
    assert_eq!(world.platform.count("/e/as/jwks"), 2);
}

#[tokio::test]
async fn a_withdrawn_key_is_forgotten_after_a_day() {
    let world = World::new();
    let sdk = world.open().await;
    sdk.process_id_token(&world.platform.id_token(|_| ())).await.unwrap();
    let withdrawn = lock(&world.platform.signing_keys).pop().unwrap();
    world.platform.add_signing_key("k2");
    world.advance(24 * 60 * 60);
    let stolen = FakePlatform::new();
    stolen.clock.advance(24 * 60 * 60);
    *lock(&stolen.signing_keys) = vec![withdrawn];
    let refused = sdk.process_id_token(&stolen.id_token(|_| ())).await.unwrap_err();
    assert!(matches!(refused, Error::IdToken(IdTokenError::Token(TokenError::UnknownKey(_)))));
}

#[tokio::test]
async fn a_configuration_that_is_not_the_issuers_own_is_refused() {
    for (member, value) in [
        ("issuer", "https://id.example/f/as"),
        ("jwks_uri", "https://evil.example/jwks"),
        ("jwks_uri", "http://id.example/e/as/jwks"),
        ("jwks_uri", "jwks"),
    ] {
        let world = World::new();
        lock(&world.platform.discovery)[member] = json!(value);
        let id_token = world.platform.id_token(|_| ());
        assert!(matches!(refusal(&world, &id_token).await, Error::Discovery(_)));
        assert_eq!(world.platform.count("/e/as/jwks"), 0);
    }
}

#[tokio::test]
async fn a_redirect_or_a_page_in_between_is_not_an_answer() {
    let world = World::new();
    let sdk = world.open().await;
    let id_token = world.platform.id_token(|_| ());
    let mut redirect = ok(302, &json!({}));
    redirect.headers.push(("Location".to_owned(), "https://evil.example".to_owned()));
    let mut page = ok(200, &json!({}));
    page.body = b"<html>Please sign in to this network</html>".to_vec();
    let mut long = ok(200, &json!({}));
    long.body = vec![b' '; crate::MAX_BODY_BYTES + 1];
    for answer in [redirect, page, long] {
        world.platform.will([Fate::Answer(answer)]);
        let error = sdk.process_id_token(&id_token).await.unwrap_err();
        assert_eq!(error.category(), Category::Server, "{error}");
    }
    assert_eq!(world.platform.count(DISCOVERY), 3);
    sdk.process_id_token(&id_token).await.unwrap();
}
