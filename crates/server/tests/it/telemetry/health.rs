//! Health, as load balancers ask for it.

use std::sync::Arc;

use axum::Router;
use countersign_server::{operator_router, router};
use http::StatusCode;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::world::{World, get};

on_both_engines!(a_node_whose_store_is_gone_sends_requests_elsewhere);

async fn ask(router: Router, path: &str) -> (StatusCode, Value) {
    let answer = router.oneshot(get(path)).await.unwrap();
    let status = answer.status();
    let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

async fn ready(w: &World) -> (u16, Value) {
    let (status, body) = ask(router(Arc::clone(&w.server)), "/readyz").await;
    (status.as_u16(), body)
}

fn unready(reason: &str) -> (u16, Value) {
    (503, json!({ "status": "unready", "reason": reason }))
}

#[tokio::test]
async fn a_node_that_leaves_says_so_and_answers_still() {
    let w = World::new().await;
    assert_eq!(ready(&w).await, (200, json!({ "status": "ready" })));
    w.server.drain();
    assert_eq!(ready(&w).await, unready("draining"));
    let (status, body) = ask(router(Arc::clone(&w.server)), "/healthz").await;
    assert_eq!(
        (status.as_u16(), body),
        (200, json!({ "status": "live" })),
        "it need not be killed"
    );
    w.app().sign_in("ann").await;
}

async fn a_node_whose_store_is_gone_sends_requests_elsewhere(w: &mut World) {
    assert_eq!(ready(w).await.0, 200);
    w.server.store().close().await;
    assert_eq!(ready(w).await.0, 200, "the store is asked once a second, however often we are");
    w.advance(1);
    assert_eq!(ready(w).await, unready("store_unavailable"));
}

#[tokio::test]
async fn metrics_are_for_operators_only() {
    let w = World::new().await;
    w.wire.get("/metrics").await.must_be(404);
    for path in ["/metrics", "/healthz", "/readyz"] {
        assert_eq!(ask(operator_router(Arc::clone(&w.server)), path).await.0, 200, "{path}");
    }
}
