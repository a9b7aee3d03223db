//! Another key-encryption key over the same data.

use countersign_domain::application::TokenEndpointAuthMethod;
use countersign_server::{ResealError, app::Rotation};

use super::{kids, rotate};
use crate::world::{PASSWORD, World};

on_both_engines!(everything_opens_under_the_new_key_and_nothing_under_the_old_one);

async fn everything_opens_under_the_new_key_and_nothing_under_the_old_one(w: &mut World) {
    let phone = w.phone_paired_to("ann").await;
    let method = TokenEndpointAuthMethod::ClientSecretBasic;
    let portal = w.bank.confidential(&w.server, method).await;
    rotate(w, Rotation::InOrder).await;
    let before = kids(w, &w.wire).await;
    // A seed, a client secret, four private keys, a key of keyed hashes.
    assert_eq!(w.reseal([8; 32]).await.unwrap(), 7);
    assert_eq!(kids(w, &w.wire).await, before);
    let address = portal.application.redirect_uris[0].clone();
    let client = w.client(&portal.application.id.to_string(), &address).with_secret(&portal);
    let tokens = client.sign_in("ann").await;
    w.app().user_info(&tokens.access_token).await.must_be(200);
    let mut sign_on = w.site().begin().await;
    sign_on.password("ann", PASSWORD).await.must_be(200);
    sign_on.passcode(&phone.passcode()).await.must_be(200);
    // A key that is neither of the two opens nothing, and changes nothing.
    w.key_is([9; 32]);
    let locked = w.reseal([10; 32]).await;
    assert!(matches!(locked, Err(ResealError::Locked { .. })), "{locked:?}");
    w.key_is([7; 32]);
    assert_eq!(w.reseal([8; 32]).await.unwrap(), 0, "it is done already");
}
