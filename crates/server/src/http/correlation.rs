//! Gives every request a name, which its answer, its audit records and its log line share, and tells how it ended.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{FromRequestParts, MatchedPath, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use countersign_domain::audit::Source;
use countersign_protocol::device_api::CORRELATION_HEADER;
use tracing::{Instrument, Level, Span, field::Empty};

use super::{
    peer::Peer,
    problem::{Cause, Problem, render},
};
use crate::{
    app::{App, Origin},
    telemetry::{ExternalId, ExternalIds, REQUEST, TraceContext},
};

/// The name of a request.
#[derive(Clone, Debug)]
pub(crate) struct Correlation(pub String);

impl Correlation {
    /// The name of the request that these are the parts of.
    pub fn of(parts: &Parts) -> String {
        let known = parts.extensions.get::<Self>();
        known.map(|Self(id)| id.clone()).unwrap_or_default()
    }
}

enum Named {}

/// Platform API, section 1.2.
const TRANSACTION: &str = "x-ping-external-transaction-id";
const SESSION: &str = "x-ping-external-session-id";

/// W3C Trace Context, section 3.2.
const TRACE: &str = "traceparent";

/// Names the request, writes the body of errors, tells how it ended, and adds the headers that every answer has.
pub(crate) async fn layer(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Response {
    let told = Told::of(&app, &request);
    let served = app.metrics().begin(told.route(), told.method.as_str());
    let span = told.span();
    request.extensions_mut().insert(Correlation(told.id.clone()));
    let origin = Origin { correlation: told.id.clone(), source: source(&request), by: None };
    let mut response = origin.scope(next.run(request).instrument(span.clone())).await;
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        let (parts, _) = response.into_parts();
        let body = render(&problem, &told.id);
        let mut answer = (parts.status, body).into_response();
        answer.headers_mut().extend(parts.headers);
        *answer.extensions_mut() = parts.extensions;
        response = answer;
    }
    let status = response.status().as_u16();
    span.record("http.response.status_code", status);
    let cause = response.extensions_mut().remove::<Cause>();
    told.line(status, served.answered(status), cause);
    add_headers(&app, &told.id, response.headers_mut());
    response
}

/// What every answer has.
fn add_headers(app: &App, id: &str, headers: &mut HeaderMap) {
    if let Ok(value) = HeaderValue::from_str(id) {
        headers.insert(CORRELATION_HEADER, value);
    }
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
}

/// What is told of a request. Never its query, its other headers or its body, which hold what is secret.
struct Told {
    id: String,
    method: Method,
    route: Option<MatchedPath>,
    /// Of a request to a route. Elsewhere it may be anything that somebody has pasted.
    path: Option<String>,
    external: ExternalIds,
    trace: Option<HeaderValue>,
}

impl Told {
    fn of(app: &App, request: &Request) -> Self {
        let route = request.extensions().get::<MatchedPath>().cloned();
        let headers = request.headers();
        let external = |name| headers.get(name).and_then(|value| ExternalId::new(value.as_bytes()));
        Self {
            id: app.new_id::<Named>().to_string(),
            method: request.method().clone(),
            path: route.is_some().then(|| request.uri().path().to_owned()),
            route,
            external: ExternalIds {
                transaction: external(TRANSACTION),
                session: external(SESSION),
            },
            trace: headers.get(TRACE).cloned(),
        }
    }

    fn route(&self) -> Option<&str> {
        self.route.as_ref().map(MatchedPath::as_str)
    }

    fn traceparent(&self) -> Option<&str> {
        self.trace.as_ref().and_then(|value| value.to_str().ok())
    }

    /// One of the three kinds of spans, beside use cases and deliveries. At debug, so that it costs nothing where nobody
    /// traces.
    fn span(&self) -> Span {
        tracing::debug_span!(
            target: REQUEST,
            "request",
            correlation.id = self.id,
            http.request.method = self.method.as_str(),
            http.route = self.route(),
            http.response.status_code = Empty,
            traceparent = self.traceparent(),
        )
    }

    /// The one line that a request gets: an error if it is our fault, else told of what changes something or signs somebody
    /// in, else at debug.
    fn line(&self, status: u16, time: Duration, cause: Option<Cause>) {
        macro_rules! line {
            ($level:expr, $cause:expr, $message:literal) => {
                tracing::event!(
                    target: REQUEST,
                    $level,
                    correlation.id = self.id,
                    http.request.method = self.method.as_str(),
                    http.route = self.route(),
                    url.path = self.path,
                    http.response.status_code = status,
                    duration_ms = time.as_secs_f64() * 1e3,
                    transaction.id = self.external.transaction.as_ref().map(ExternalId::as_str),
                    session.id = self.external.session.as_ref().map(ExternalId::as_str),
                    trace.id = self.trace_id(),
                    cause = $cause,
                    $message
                )
            };
        }
        if let Some(Cause(cause)) = cause {
            line!(Level::ERROR, cause, "a request failed");
        } else if self.is_noteworthy() {
            line!(Level::INFO, Empty, "a request was answered");
        } else {
            line!(Level::DEBUG, Empty, "a request was answered");
        }
    }

    fn trace_id(&self) -> Option<String> {
        self.traceparent().and_then(TraceContext::parse).map(|it| format!("{:032x}", it.trace))
    }

    fn is_noteworthy(&self) -> bool {
        let is_safe = self.method.is_safe();
        self.route().is_some_and(|route| {
            !is_safe || route.ends_with("/as/authorize") || route.ends_with("/as/resume")
        })
    }
}

/// Who sends a request, as far as the listener knows.
fn source(request: &Request) -> Option<Source> {
    let peer = Peer::address(request.extensions());
    let agent = request.headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    Source::of(peer, agent)
}

impl<S: Sync> FromRequestParts<S> for Correlation {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        parts.extensions.get().cloned().ok_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}
