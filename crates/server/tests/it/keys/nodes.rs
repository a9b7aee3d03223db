//! Several nodes over one database: what one does to the keys, the others know soon.

use countersign_domain::signing_key::NODE_SECONDS;
use countersign_protocol::jose::Algorithm;
use countersign_server::app::Rotation;
use countersign_store::Engine;

use super::{kids, rotate, states};
use crate::{
    database::is_skipped,
    world::{Wire, World, get, with},
};

const NOW: Rotation = Rotation::AtOnce { withdraw_after_seconds: 0 };

async fn world() -> Option<World> {
    if is_skipped(Engine::Postgres) { None } else { Some(World::on(Engine::Postgres).await) }
}

async fn user_info(w: &World, wire: &Wire, access_token: &str) -> u16 {
    let bearer = format!("Bearer {access_token}");
    wire.send(with(get(&w.url("/as/userinfo")), "authorization", &bearer)).await.status.as_u16()
}

#[tokio::test]
async fn a_node_learns_in_time_what_another_has_done_to_the_keys() {
    let Some(w) = world().await else { return };
    let (other, there) = w.another_node().await;
    let before = kids(&w, &there).await;
    rotate(&w, NOW).await;
    assert_ne!(kids(&w, &w.wire).await, before, "its own node knows at once");
    // Half the time: the first request after it asks.
    w.advance(NODE_SECONDS / 2);
    assert_eq!(kids(&w, &there).await, kids(&w, &w.wire).await);
    other.store().close().await;
    w.end().await;
}

#[tokio::test]
async fn a_token_of_a_key_that_a_node_has_not_met_makes_it_ask_but_not_often() {
    let Some(w) = world().await else { return };
    let (other, there) = w.another_node().await;
    let known = kids(&w, &there).await;
    rotate(&w, NOW).await;
    let tokens = w.app().sign_in("ann").await;
    assert_eq!(user_info(&w, &there, &tokens.access_token).await, 401, "it has just asked");
    assert_eq!(kids(&w, &there).await, known);
    w.advance(5);
    assert_eq!(user_info(&w, &there, &tokens.access_token).await, 200);
    assert_eq!(kids(&w, &there).await, kids(&w, &w.wire).await);
    other.store().close().await;
    w.end().await;
}

#[tokio::test]
async fn of_two_nodes_that_see_a_key_grow_old_one_replaces_it() {
    let Some(w) = world().await else { return };
    let (other, there) = w.another_node().await;
    w.advance(90 * 86_400);
    let (here, away) = tokio::join!(w.server.tend_keys(), other.tend_keys());
    assert_eq!(here.unwrap() + away.unwrap(), 2);
    w.advance(super::publish_seconds());
    let (here, away) = tokio::join!(other.tend_keys(), w.server.tend_keys());
    assert_eq!(here.unwrap() + away.unwrap(), 4);
    for algorithm in [Algorithm::Rs256, Algorithm::Es256] {
        assert_eq!(states(&w, algorithm).await, ["retired", "current"]);
    }
    w.advance(NODE_SECONDS / 2);
    assert_eq!(kids(&w, &there).await, kids(&w, &w.wire).await);
    other.store().close().await;
    w.end().await;
}
