//! Errors of the JSON surfaces: the envelope of the platform API, and faults on every surface.

use std::{any::Any, time::Duration};

use axum::{
    Json,
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, Response, StatusCode, header},
    middleware::Next,
    response::IntoResponse,
};
use serde::Serialize;
use serde_json::Value;

use crate::app::Fault;

/// An error of a JSON surface. It becomes a response body in the correlation layer, which knows its id.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    message: String,
    details: Vec<Detail>,
}

/// One thing that is wrong: which member breaks which rule.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Detail {
    pub code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inner_error: Option<Value>,
}

/// The envelope (platform API, section 1.6).
#[derive(Serialize)]
pub(crate) struct Envelope<'a> {
    id: &'a str,
    code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "<[Detail]>::is_empty")]
    details: &'a [Detail],
}

/// Why the server failed, for the log; the caller never sees it.
#[derive(Clone, Debug)]
pub(crate) struct Cause(pub String);

impl Problem {
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), details: Vec::new() }
    }

    /// 400: the request is as it should be, and cannot be done.
    pub fn request_failed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "REQUEST_FAILED", message)
    }

    /// 400: the request is malformed.
    pub fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_REQUEST", message)
    }

    /// 400: the request is well-formed, and a member breaks a rule.
    pub fn invalid_data(detail: Detail) -> Self {
        let message = "the request was not accepted; see details";
        Self::new(StatusCode::BAD_REQUEST, "INVALID_DATA", message).with(detail)
    }

    /// 403: the caller may not do this.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "ACCESS_FAILED", message)
    }

    /// 404: no such thing, or not this caller's.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", message)
    }

    /// Adds a detail.
    pub fn with(mut self, detail: Detail) -> Self {
        self.details.push(detail);
        self
    }

    /// The envelope, once the id is known.
    pub fn envelope<'a>(&'a self, id: &'a str) -> Envelope<'a> {
        Envelope { id, code: self.code, message: &self.message, details: &self.details }
    }
}

impl Detail {
    pub fn new(code: &'static str, target: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code, target: Some(target.into()), message: message.into(), inner_error: None }
    }

    pub fn with_inner(self, inner: Value) -> Self {
        Self { inner_error: Some(inner), ..self }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// A fault as an envelope.
impl From<Fault> for FaultResponse {
    fn from(fault: Fault) -> Self {
        Self(fault)
    }
}

/// A fault on a JSON surface: 503 with `Retry-After` or 500, with the cause for the log.
#[derive(Debug)]
pub(crate) struct FaultResponse(pub Fault);

impl IntoResponse for FaultResponse {
    fn into_response(self) -> Response<Body> {
        let (status, _) = fault_status(&self.0);
        let problem = if status == StatusCode::SERVICE_UNAVAILABLE {
            Problem::new(status, "UNAVAILABLE", "the service is busy; try again")
        } else {
            Problem::new(status, "UNEXPECTED_ERROR", "an unexpected error happened")
        };
        mark_fault(problem.into_response(), &self.0)
    }
}

/// Status and seconds to wait.
pub(crate) const fn fault_status(fault: &Fault) -> (StatusCode, Option<u32>) {
    match fault {
        Fault::Busy(_) => (StatusCode::SERVICE_UNAVAILABLE, Some(1)),
        Fault::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, None),
    }
}

/// Adds what every response to a fault has: when to come back, and the cause for the log.
pub(crate) fn mark_fault(mut response: Response<Body>, fault: &Fault) -> Response<Body> {
    let (status, retry_after) = fault_status(fault);
    *response.status_mut() = status;
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response.extensions_mut().insert(Cause(chain(fault)));
    response
}

/// An error with everything beneath it, in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(error.source(), |error| error.source());
    sources.fold(error.to_string(), |line, source| format!("{line}: {source}"))
}

/// What a panic becomes. Nothing of it reaches the caller.
#[expect(clippy::needless_pass_by_value, reason = "the layer hands the panic over")]
pub(crate) fn panicked(panic: Box<dyn Any + Send>) -> Response<Body> {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without words");
    let message = "an unexpected error happened";
    let problem = Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "UNEXPECTED_ERROR", message);
    let mut response = problem.into_response();
    response.extensions_mut().insert(Cause(format!("panic: {text}")));
    response
}

/// Ends a request that takes too long. What it has begun in the store is done whole or not at all.
pub(crate) async fn in_time(
    State(limit): State<Duration>,
    request: Request,
    next: Next,
) -> Response<Body> {
    let Ok(response) = tokio::time::timeout(limit, next.run(request)).await else {
        let message = "the request took too long; try again";
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", message);
        return ([(header::RETRY_AFTER, HeaderValue::from(1))], problem).into_response();
    };
    response
}

/// The envelope as a response body.
pub(crate) fn render(problem: &Problem, id: &str) -> Response<Body> {
    Json(problem.envelope(id)).into_response()
}

#[cfg(test)]
mod tests {
    use countersign_protocol::device_api::{ErrorBody, ErrorCode};

    use super::*;

    #[test]
    fn the_envelope_is_what_the_sdk_reads() {
        let detail = Detail::new("INVALID_VALUE", "proof.aud", "must be this address");
        let problem = Problem::invalid_request("no").with(detail);
        let json = serde_json::to_value(problem.envelope("x")).unwrap();
        let read: ErrorBody = serde_json::from_value(json).unwrap();
        assert_eq!(read.code, ErrorCode::InvalidRequest);
        assert_eq!(read.details[0].target.as_deref(), Some("proof.aud"));
    }
}
