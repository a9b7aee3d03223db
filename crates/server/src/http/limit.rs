//! Counts requests before anything is read for them, and refuses those that are too many in the words of their surface.

use std::sync::Arc;

use axum::{
    Json,
    extract::{FromRequestParts, RawPathParams, Request, State},
    http::{HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::{
    form::Members,
    page::{Page, Screen},
    peer::Peer,
    problem::Problem,
    sign_on::html,
};
use crate::{
    app::App,
    limits::{Group, Limited},
};

/// Who reads the refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Surface {
    /// A person.
    Page,
    /// An OIDC client.
    OAuth,
    /// An app or the SDK.
    Envelope,
}

/// What requests to a route count as.
#[derive(Clone)]
pub(crate) struct Counted {
    pub app: Arc<App>,
    /// What is read.
    pub reads: Group,
    /// What is sent.
    pub writes: Group,
    pub surface: Surface,
}

/// Refuses a request of somebody who has sent too many.
pub(crate) async fn layer(
    State(counted): State<Counted>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    match counted.count(&mut parts).await {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(limited) => counted.surface_of(&parts).refuse(limited),
    }
}

impl Counted {
    async fn count(&self, parts: &mut Parts) -> Result<(), Limited> {
        let reads = matches!(parts.method, Method::GET | Method::HEAD);
        let group = if reads { self.reads } else { self.writes };
        // Decoded, so that one environment is the same however its id is written.
        let params = RawPathParams::from_request_parts(parts, &()).await.ok();
        let environment = params.as_ref().and_then(|params| {
            params.iter().find(|(name, _)| *name == "environment")?.1.parse().ok()
        });
        let address = Peer::address(&parts.extensions);
        self.app.limits().request(group, address, environment, self.app.now())
    }

    /// An app that draws its own screens reads no pages.
    fn surface_of(&self, parts: &Parts) -> Surface {
        let query = parts.uri.query().unwrap_or_default();
        let mode = Members::parse(query.as_bytes()).ok().and_then(|m| m.text("response_mode"));
        match self.surface {
            Surface::Page if mode.as_deref() == Some("pi.flow") => Surface::Envelope,
            surface => surface,
        }
    }
}

impl Surface {
    /// 429 with `Retry-After` (RFC 6585, section 4).
    pub fn refuse(self, limited: Limited) -> Response {
        let status = StatusCode::TOO_MANY_REQUESTS;
        let seconds = limited.seconds;
        let response = match self {
            Self::Page => {
                let screen = Screen::TooMany { seconds };
                html(status, &Page::new("", screen), None)
            }
            // No registered code says this: `slow_down` is for polling device clients (RFC 8628, section 3.5), and
            // `temporarily_unavailable` for answers by redirect (RFC 6749, section 4.1.2.1).
            Self::OAuth => {
                let description = limited.to_string();
                let body =
                    json!({ "error": "too_many_requests", "error_description": description });
                (status, Json(body)).into_response()
            }
            Self::Envelope => {
                Problem::new(status, "REQUEST_LIMITED", limited.to_string()).into_response()
            }
        };
        retry_after(response, limited)
    }
}

/// Says when to come back.
pub(crate) fn retry_after(mut response: Response, limited: Limited) -> Response {
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(limited.seconds));
    response
}
