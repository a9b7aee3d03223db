//! Keys that others may know: replaced at once, with what they signed.

use countersign_domain::{audit::Action, signing_key::MAX_KEYS};
use countersign_protocol::jose::Algorithm;
use countersign_server::app::{AdministerError, Rotation};

use super::{kid, kids, rotate, rotate_and_wait, states};
use crate::world::World;

const NOW: Rotation = Rotation::AtOnce { withdraw_after_seconds: 0 };

on_both_engines!(
    a_withdrawn_key_is_gone_at_once_with_all_that_it_signed,
    a_key_that_is_withdrawn_soon_goes_then,
    an_offer_outlives_the_key_that_signed_it,
);

async fn a_withdrawn_key_is_gone_at_once_with_all_that_it_signed(w: &mut World) {
    rotate_and_wait(w).await;
    rotate(w, Rotation::InOrder).await;
    assert_eq!(states(w, Algorithm::Es256).await, ["retired", "current", "next"]);
    let (old, tokens) = (kids(w, &w.wire).await, w.app().sign_in("ann").await);
    rotate(w, NOW).await;
    let new = kids(w, &w.wire).await;
    assert_eq!(new.len(), 2);
    assert!(new.iter().all(|kid| !old.contains(kid)));
    w.app().user_info(&tokens.access_token).await.must_be(401);
    let again = w.app().sign_in("ann").await;
    assert_eq!(kid(&again.id_token), new[0]);
    w.app().user_info(&again.access_token).await.must_be(200);
    let records = w.server.list_audit(w.bank.environment.id, None, 100).await.unwrap();
    let withdrawn = records.iter().filter(|record| {
        record.event.action == Action::KeyDeleted
            && record.event.reason.as_deref() == Some("withdrawn")
            && record.event.key.as_ref().is_some_and(|kid| old.contains(kid))
    });
    assert_eq!(withdrawn.count(), old.len());
}

async fn a_key_that_is_withdrawn_soon_goes_then(w: &mut World) {
    let tokens = w.app().sign_in("ann").await;
    rotate(w, Rotation::AtOnce { withdraw_after_seconds: 60 }).await;
    assert_ne!(kid(&w.app().sign_in("ann").await.id_token), kid(&tokens.id_token));
    w.advance(59);
    w.server.tend_keys().await.unwrap();
    w.app().user_info(&tokens.access_token).await.must_be(200);
    w.advance(1);
    w.server.tend_keys().await.unwrap();
    w.app().user_info(&tokens.access_token).await.must_be(401);
}

async fn an_offer_outlives_the_key_that_signed_it(w: &mut World) {
    let phone = w.phone().await;
    let tokens = w.sign_in_on(&phone, "ann").await.tokens().await;
    let offer = phone.sdk.process_id_token(&tokens.id_token).await.unwrap().unwrap();
    let mut begun = w.app().begin().await;
    rotate(w, NOW).await;
    offer.approve().await.unwrap();
    // Codes, cookies and forms are not signed but hashed, under a key of its own.
    begun.password("ann", crate::world::PASSWORD).await.must_be(200);
}

#[tokio::test]
async fn a_key_set_does_not_grow_without_bound() {
    let w = World::new().await;
    let rotate = |withdraw_after_seconds| {
        let rotation = Rotation::AtOnce { withdraw_after_seconds };
        w.server.rotate_keys(w.bank.environment.id, Some(Algorithm::Es256), rotation)
    };
    for _ in 2..MAX_KEYS {
        rotate(60).await.unwrap();
    }
    let full = rotate(60).await;
    assert!(matches!(full, Err(AdministerError::Invalid(_))), "{full:?}");
    rotate(0).await.unwrap();
    assert_eq!(kids(&w, &w.wire).await.len(), 2);
}

#[tokio::test]
async fn a_key_is_not_withdrawn_later_than_it_would_go_by_itself() {
    let w = World::new().await;
    for withdraw_after_seconds in [-1, super::retired_seconds() + 1] {
        let rotation = Rotation::AtOnce { withdraw_after_seconds };
        let refused = w.server.rotate_keys(w.bank.environment.id, None, rotation).await;
        let Err(AdministerError::Invalid(invalid)) = refused else { panic!("{refused:?}") };
        let told = "withdraw_after_seconds must be from 0 to 87000";
        assert_eq!(invalid.to_string(), told);
    }
}
