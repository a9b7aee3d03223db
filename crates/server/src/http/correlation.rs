//! Gives every request a name, which its answer, its audit records and its log lines share.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    extract::{ConnectInfo, FromRequestParts, Request, State},
    http::{HeaderValue, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use countersign_domain::audit::Source;
use countersign_protocol::device_api::CORRELATION_HEADER;

use super::problem::{Cause, Problem, render};
use crate::app::{App, Origin};

/// The name of a request.
#[derive(Clone, Debug)]
pub(crate) struct Correlation(pub String);

enum Named {}

/// Names the request, writes the body of errors, logs what failed, and adds the headers that every answer has.
pub(crate) async fn layer(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Response {
    let id = app.new_id::<Named>().to_string();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    request.extensions_mut().insert(Correlation(id.clone()));
    let origin = Origin { correlation: id.clone(), source: source(&request), by: None };
    let mut response = origin.scope(next.run(request)).await;
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        let (parts, _) = response.into_parts();
        let body = render(&problem, &id);
        let mut answer = (parts.status, body).into_response();
        answer.headers_mut().extend(parts.headers);
        *answer.extensions_mut() = parts.extensions;
        response = answer;
    }
    let status = response.status();
    if let Some(Cause(cause)) = response.extensions_mut().remove::<Cause>() {
        tracing::error!(request.id = %id, %method, path, status = status.as_u16(), cause, "a request failed");
    } else if status.is_client_error() || status.is_server_error() {
        tracing::debug!(request.id = %id, %method, path, status = status.as_u16(), "a request was refused");
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(CORRELATION_HEADER, value);
    }
    let headers = response.headers_mut();
    let defaults = [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in defaults {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if app.settings().is_https() {
        let year = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
    response
}

/// Who sends a request, as far as the listener knows.
fn source(request: &Request) -> Option<Source> {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let agent = request.headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    Source::of(peer.map(|ConnectInfo(address)| address.ip()), agent)
}

impl<S: Sync> FromRequestParts<S> for Correlation {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        parts.extensions.get().cloned().ok_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}
