//! The media type of a request, which says what is to be done (platform API, section 1.2).

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
};

use super::refusal::Refusal;
use crate::{
    app::App,
    http::{caller::media_type, problem::Problem},
};

/// The media type of the body.
pub(super) struct Media(String);

const PREFIX: &str = "application/vnd.pingidentity.";

impl FromRequestParts<Arc<App>> for Media {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Self::Rejection> {
        Ok(Self(media_type(parts).unwrap_or_default().to_ascii_lowercase()))
    }
}

impl Media {
    /// The action that it names among these.
    pub fn action(&self, known: &[&'static str]) -> Result<&'static str, Refusal> {
        let named = known.iter().find(|action| self.names(action));
        named.copied().ok_or_else(|| {
            let types: Vec<_> =
                known.iter().map(|action| format!("{PREFIX}{action}+json")).collect();
            unsupported(&types.join(", "))
        })
    }

    /// Whether it is this one.
    pub fn is_exactly(&self, media_type: &str) -> bool {
        self.0 == media_type
    }

    /// The action that it names among these; none for plain JSON.
    pub fn is(&self, known: &[&'static str]) -> Result<Option<&'static str>, Refusal> {
        if self.0 == "application/json" {
            return Ok(None);
        }
        self.action(known).map(Some)
    }

    fn names(&self, action: &str) -> bool {
        let named = self.0.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix("+json"));
        named.is_some_and(|named| named.eq_ignore_ascii_case(action))
    }
}

fn unsupported(known: &str) -> Refusal {
    let message = format!("Content-Type must be one of {known}");
    let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    Refusal::Problem(Problem::new(status, "INVALID_REQUEST", message))
}
