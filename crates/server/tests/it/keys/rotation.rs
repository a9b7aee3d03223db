//! Keys that are replaced in order, which nobody notices.

use std::{collections::BTreeSet, sync::Arc};

use countersign_domain::audit::{
    Action::{KeyCreated, KeyRotated},
    Record,
};
use countersign_protocol::jose::Algorithm;
use countersign_server::app::{AdministerError, Rotation};

use tokio::task::JoinSet;

use super::{
    key_set, kid, kids, publish_seconds, retired_seconds, rotate, rotate_and_wait, states,
};
use crate::world::World;

on_both_engines!(
    a_phone_that_knows_the_old_keys_is_enrolled_with_the_new_ones,
    a_token_holds_after_the_key_that_signed_it_has_retired,
    a_key_is_published_before_it_signs_and_after,
    keys_are_replaced_by_themselves_after_ninety_days,
    of_many_who_rotate_at_a_time_one_makes_the_successors,
);

async fn a_phone_that_knows_the_old_keys_is_enrolled_with_the_new_ones(w: &mut World) {
    let phone = w.phone().await;
    let before = w.sign_in_on(&phone, "ann").await.tokens().await;
    // Lets the phone fetch the keys.
    phone.sdk.process_id_token(&before.id_token).await.unwrap().unwrap();
    let sign_on = w.sign_in_on(&phone, "ann").await;
    rotate(w, Rotation::InOrder).await;
    w.advance(publish_seconds());
    w.server.tend_keys().await.unwrap();
    // The code of the sign-on before has expired meanwhile; a new one is redeemed for a token of the new key.
    assert_eq!(
        sign_on.client.redeem(&sign_on.client.token_request(&sign_on.code())).await.status,
        400
    );
    let after = w.sign_in_on(&phone, "ann").await.tokens().await;
    assert_ne!(kid(&before.id_token), kid(&after.id_token));
    phone.approve(&after).await;
    assert_eq!(phone.sdk.info().await.unwrap().len(), 1);
}

async fn a_token_holds_after_the_key_that_signed_it_has_retired(w: &mut World) {
    rotate(w, Rotation::InOrder).await;
    w.advance(publish_seconds() - 1);
    w.server.tend_keys().await.unwrap();
    let tokens = w.app().sign_in("ann").await;
    w.advance(1);
    w.server.tend_keys().await.unwrap();
    assert_eq!(states(w, Algorithm::Es256).await, ["retired", "current"]);
    w.advance(3_598);
    w.server.tend_keys().await.unwrap();
    w.app().user_info(&tokens.access_token).await.must_be(200);
    assert!(kids(w, &w.wire).await.contains(&kid(&tokens.id_token)));
    // The token ends before its key does.
    w.advance(1);
    w.app().user_info(&tokens.access_token).await.must_be(401);
    assert!(kids(w, &w.wire).await.contains(&kid(&tokens.id_token)));
}

async fn a_key_is_published_before_it_signs_and_after(w: &mut World) {
    let old = kids(w, &w.wire).await;
    let made = rotate(w, Rotation::InOrder).await;
    assert_eq!(made.len(), 2);
    let set = key_set(w, &w.wire).await;
    let algorithms: Vec<&str> = set.iter().map(|key| key["alg"].as_str().unwrap()).collect();
    assert_eq!(algorithms, ["RS256", "ES256", "RS256", "ES256"]);
    assert_eq!(kids(w, &w.wire).await[..2], old, "those that sign come first");
    assert_eq!(kid(&w.app().sign_in("ann").await.id_token), old[0]);
    assert!(rotate(w, Rotation::InOrder).await.is_empty(), "successors wait already");
    w.advance(publish_seconds());
    w.server.tend_keys().await.unwrap();
    let new = kids(w, &w.wire).await;
    assert_eq!(kid(&w.app().sign_in("ann").await.id_token), new[0]);
    assert_eq!(new[2..], old, "those that have signed come last");
    w.advance(retired_seconds());
    w.server.tend_keys().await.unwrap();
    assert_eq!(kids(w, &w.wire).await, new[..2]);
}

async fn keys_are_replaced_by_themselves_after_ninety_days(w: &mut World) {
    w.server.tend_keys().await.unwrap();
    w.advance(90 * 86_400 - 1);
    assert_eq!(w.server.tend_keys().await.unwrap(), 0);
    w.advance(1);
    assert_eq!(w.server.tend_keys().await.unwrap(), 2);
    assert_eq!(w.server.tend_keys().await.unwrap(), 0);
    w.advance(publish_seconds());
    assert_eq!(w.server.tend_keys().await.unwrap(), 4);
    assert_eq!(states(w, Algorithm::Rs256).await, ["retired", "current"]);
    let records = w.server.list_audit(w.bank.environment.id, None, 100).await.unwrap();
    let told: Vec<_> = records.iter().filter(|record| record.event.key.is_some()).collect();
    let actions: Vec<_> = told.iter().map(|record| record.event.action).collect();
    assert_eq!(actions, [KeyCreated, KeyCreated, KeyRotated, KeyRotated]);
    // Lines of one moment are in no order.
    let kids = |records: &[&Record]| -> BTreeSet<Option<String>> {
        records.iter().map(|record| record.event.key.clone()).collect()
    };
    assert_eq!(kids(&told[..2]), kids(&told[2..]));
}

async fn of_many_who_rotate_at_a_time_one_makes_the_successors(w: &mut World) {
    let mut callers = JoinSet::new();
    for _ in 0..8 {
        let (server, environment) = (Arc::clone(&w.server), w.bank.environment.id);
        callers
            .spawn(async move { server.rotate_keys(environment, None, Rotation::InOrder).await });
    }
    let made = callers.join_all().await;
    let mut sizes: Vec<_> = made.into_iter().map(|made| made.unwrap().len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [0, 0, 0, 0, 0, 0, 0, 2]);
    assert_eq!(states(w, Algorithm::Rs256).await, ["current", "next"]);
}

#[tokio::test]
async fn one_algorithm_can_be_rotated_alone() {
    let w = World::new().await;
    let environment = w.bank.environment.id;
    w.server.rotate_keys(environment, Some(Algorithm::Es256), Rotation::InOrder).await.unwrap();
    assert_eq!(states(&w, Algorithm::Es256).await, ["current", "next"]);
    assert_eq!(states(&w, Algorithm::Rs256).await, ["current"]);
}

#[tokio::test]
async fn only_the_keys_of_the_environment_are_rotated() {
    let w = World::new().await;
    let other = w.server.create_environment("Other").await.unwrap();
    let url = format!("/{}/as/jwks", other.id);
    let before = w.wire.get(&url).await.json();
    rotate_and_wait(&w).await;
    assert_eq!(w.wire.get(&url).await.json(), before);
    let nowhere = w.server.rotate_keys(w.server.new_id(), None, Rotation::InOrder).await;
    assert!(matches!(nowhere, Err(AdministerError::NotFound)), "{nowhere:?}");
}

#[tokio::test]
async fn keys_outlive_a_restart_in_the_middle_of_a_rotation() {
    let mut w = World::new().await;
    rotate(&w, Rotation::InOrder).await;
    let before = kids(&w, &w.wire).await;
    w.restart().await;
    assert_eq!(kids(&w, &w.wire).await, before);
    w.advance(publish_seconds());
    w.server.tend_keys().await.unwrap();
    let after = kids(&w, &w.wire).await;
    assert_eq!((&after[..2], &after[2..]), (&before[2..], &before[..2]));
}

#[tokio::test]
async fn a_node_that_cannot_ask_goes_on_with_the_keys_it_knows() {
    let w = World::new().await;
    let known = kids(&w, &w.wire).await;
    w.server.store().close().await;
    w.advance(86_400);
    assert_eq!(kids(&w, &w.wire).await, known);
}

#[tokio::test]
async fn a_clock_that_jumps_stops_nothing() {
    let w = World::new().await;
    let tokens = w.app().sign_in("ann").await;
    let year = 365 * 86_400;
    w.advance(year);
    rotate(&w, Rotation::InOrder).await;
    w.advance(-year);
    w.server.tend_keys().await.unwrap();
    w.app().user_info(&tokens.access_token).await.must_be(200);
    w.advance(publish_seconds());
    w.server.tend_keys().await.unwrap();
    assert_eq!(states(&w, Algorithm::Es256).await, ["retired", "current"]);
    w.app().user_info(&tokens.access_token).await.must_be(200);
}
