//! Errors of the OAuth endpoints that answer in JSON: token, introspection, revocation and their kin (RFC 6749, section 5.2).

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use countersign_protocol::secret::Secret;
use serde_json::json;

use super::{
    caller::Client,
    dpop::DPOP_NONCE,
    form::{FormError, Members},
    limit::Surface,
    problem::{fault_status, mark_fault},
};
use crate::{
    app::{ClientError, Fault, describable},
    limits::Limited,
};

/// What is wrong, as clients are told it.
#[derive(Debug)]
pub(crate) struct OAuthError {
    status: StatusCode,
    error: &'static str,
    description: String,
    challenge: bool,
    fault: Option<Fault>,
    limited: Option<Limited>,
    dpop_nonce: Option<String>,
}

impl OAuthError {
    /// An error with status 400. The description is for developers, and names the member.
    pub fn new(error: &'static str, description: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            error,
            description: description.into(),
            challenge: false,
            fault: None,
            limited: None,
            dpop_nonce: None,
        }
    }

    /// A member is missing, repeated or malformed.
    pub fn invalid_request(description: impl Into<String>) -> Self {
        Self::new("invalid_request", description)
    }

    /// With a nonce that the next `DPoP` proof must repeat.
    pub fn with_dpop_nonce(self, nonce: String) -> Self {
        Self { dpop_nonce: Some(nonce), ..self }
    }

    /// As it is told to this client: who came by the `Authorization` header is told by a header which scheme it should use.
    pub fn told_to(self, client: &Client) -> Response {
        let challenge = client.basic.is_some() && self.status == StatusCode::UNAUTHORIZED;
        Self { challenge, ..self }.into_response()
    }
}

impl Members {
    /// A member that an OAuth endpoint cannot do without.
    pub fn required(&self, name: &str) -> Result<String, OAuthError> {
        self.text(name).ok_or_else(|| missing(name))
    }

    /// A secret that an OAuth endpoint cannot do without.
    pub fn required_secret(&self, name: &str) -> Result<Secret<String>, OAuthError> {
        self.secret(name).ok_or_else(|| missing(name))
    }
}

fn missing(name: &str) -> OAuthError {
    OAuthError::invalid_request(format!("{name} is required"))
}

impl From<FormError> for OAuthError {
    fn from(error: FormError) -> Self {
        Self { status: error.status(), ..Self::invalid_request(error.to_string()) }
    }
}

impl From<Limited> for OAuthError {
    fn from(limited: Limited) -> Self {
        Self { limited: Some(limited), ..Self::new("too_many_requests", "") }
    }
}

impl From<Fault> for OAuthError {
    fn from(fault: Fault) -> Self {
        let (status, _) = fault_status(&fault);
        let (error, description) = match fault {
            Fault::Busy(_) => ("temporarily_unavailable", "the service is busy; try again"),
            Fault::Internal(_) => ("server_error", "an unexpected error happened"),
        };
        Self { status, fault: Some(fault), ..Self::new(error, description) }
    }
}

impl From<ClientError> for OAuthError {
    fn from(error: ClientError) -> Self {
        let description = error.to_string();
        match error {
            ClientError::InvalidClient | ClientError::Assertion(_) | ClientError::Keys(_) => Self {
                status: StatusCode::UNAUTHORIZED,
                ..Self::new("invalid_client", description)
            },
            ClientError::Fault(fault) => fault.into(),
        }
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        if let Some(limited) = self.limited {
            return Surface::OAuth.refuse(limited);
        }
        let description = describable(&self.description);
        let body = json!({ "error": self.error, "error_description": description });
        let mut response = (self.status, Json(body)).into_response();
        if self.challenge {
            let basic = HeaderValue::from_static("Basic realm=\"token\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, basic);
        }
        if let Some(nonce) = self.dpop_nonce.and_then(|nonce| HeaderValue::try_from(nonce).ok()) {
            response.headers_mut().insert(DPOP_NONCE, nonce);
        }
        match &self.fault {
            Some(fault) => mark_fault(response, fault),
            None => response,
        }
    }
}
