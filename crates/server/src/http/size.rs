//! Refuses requests that are too large before anything reads them. Bodies are measured as they are read.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode, Uri},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::problem::Problem;
use crate::app::App;

/// 414 (RFC 9110, section 15.5.15) and 431 (RFC 6585, section 5).
pub(crate) async fn layer(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let settings = app.settings();
    let too_large = |status, what: &str, most: usize| {
        let message = format!("{what} must not have more than {most} bytes");
        Problem::new(status, "INVALID_REQUEST", message).into_response()
    };
    if target_bytes(request.uri()) > settings.target_bytes {
        let what = "the path and the query";
        return too_large(StatusCode::URI_TOO_LONG, what, settings.target_bytes);
    }
    if header_bytes(request.headers()) > settings.header_bytes {
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return too_large(status, "the header fields", settings.header_bytes);
    }
    next.run(request).await
}

fn target_bytes(uri: &Uri) -> usize {
    uri.path_and_query().map_or(0, |target| target.as_str().len())
}

fn header_bytes(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}
