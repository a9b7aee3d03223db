//! Health for load balancers and supervisors, and metrics for operators.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::json;

use super::caller::Anyone;
use crate::{
    app::App,
    telemetry::{MEDIA_TYPE, collect, render},
};

/// `GET /healthz`: the process lives. It says nothing about what it depends on, since a restart would not mend that.
pub(crate) async fn live(_: Anyone) -> Response {
    Json(json!({ "status": "live" })).into_response()
}

/// `GET /readyz`: whether requests should come here.
pub(crate) async fn ready(State(app): State<Arc<App>>, _: Anyone) -> Response {
    match app.check_readiness().await {
        Ok(()) => Json(json!({ "status": "ready" })).into_response(),
        Err(reason) => {
            let body = json!({ "status": "unready", "reason": reason.name() });
            (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
        }
    }
}

/// `GET /metrics`, in the text format of Prometheus.
async fn metrics(State(app): State<Arc<App>>) -> Response {
    ([(header::CONTENT_TYPE, MEDIA_TYPE)], render(&collect(&app))).into_response()
}

/// What operators ask, for a listener that only they reach: metrics are nobody else's business.
pub(crate) fn operator_router(app: Arc<App>) -> Router {
    Router::new()
        .route("/healthz", get(live))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(app)
}
