//! `POST /{environment}/as/token` (RFC 6749, section 3.2).

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use countersign_domain::application::TokenEndpointAuthMethod;
use serde_json::json;

use super::{
    caller::{At, Client},
    correlation::Correlation,
    form::{FormError, Members},
    limit::Surface,
    problem::mark_fault,
};
use crate::{
    app::{App, ClientCredentials, ClientError, ExchangeCode, ExchangeError, Tokens},
    limits::Group,
};

/// `POST /{environment}/as/token`
pub(crate) async fn exchange(
    State(app): State<Arc<App>>,
    At(realm): At,
    client: Client,
    Correlation(correlation): Correlation,
    members: Result<Members, FormError>,
) -> Response {
    let by_basic = client.basic.is_some();
    let request = match members
        .map_err(|error| TokenError::new(error.status(), "invalid_request", &error.to_string()))
        .and_then(|members| request(&client, &members, correlation))
    {
        Ok(request) => request,
        Err(error) => return error.into_response(),
    };
    let named = &request.client.client_id;
    if let Err(limited) =
        app.limits().application(Group::Token, realm.environment, named, app.now())
    {
        return Surface::OAuth.refuse(limited);
    }
    match app.exchange_code(&realm, request).await {
        Ok(tokens) => success(&tokens),
        Err(ExchangeError::Fault(fault) | ExchangeError::Client(ClientError::Fault(fault))) => {
            let error = TokenError::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", "");
            mark_fault(error.into_response(), &fault)
        }
        Err(error) => TokenError::of(&error, by_basic).into_response(),
    }
}

fn request(
    client: &Client,
    members: &Members,
    correlation: String,
) -> Result<ExchangeCode, TokenError> {
    let bad = |description: &str| {
        TokenError::new(StatusCode::BAD_REQUEST, "invalid_request", description)
    };
    let credentials = credentials(client, members)?;
    match members.text("grant_type").as_deref() {
        Some("authorization_code") => {}
        Some(_) => {
            let description = "grant_type must be authorization_code";
            let status = StatusCode::BAD_REQUEST;
            return Err(TokenError::new(status, "unsupported_grant_type", description));
        }
        None => return Err(bad("grant_type is required")),
    }
    Ok(ExchangeCode {
        client: credentials,
        code: members.secret("code").ok_or_else(|| bad("code is required"))?,
        redirect_uri: members.text("redirect_uri"),
        code_verifier: members.secret("code_verifier"),
        correlation,
    })
}

/// One way of client authentication, never two (RFC 6749, section 2.3).
fn credentials(client: &Client, members: &Members) -> Result<ClientCredentials, TokenError> {
    let bad = |description: &str| {
        TokenError::new(StatusCode::BAD_REQUEST, "invalid_request", description)
    };
    let (client_id, secret) = (members.text("client_id"), members.secret("client_secret"));
    match (&client.basic, client_id, secret) {
        (Some(_), _, Some(_)) => Err(bad("client_secret must not be sent twice")),
        (Some(basic), Some(client_id), None) if client_id != basic.client_id => {
            Err(bad("client_id must be the one of the Authorization header"))
        }
        (Some(basic), _, None) => Ok(ClientCredentials {
            client_id: basic.client_id.clone(),
            method: TokenEndpointAuthMethod::ClientSecretBasic,
            secret: Some(basic.secret.clone()),
        }),
        (None, Some(client_id), secret) => Ok(ClientCredentials {
            client_id,
            method: match secret {
                Some(_) => TokenEndpointAuthMethod::ClientSecretPost,
                None => TokenEndpointAuthMethod::None,
            },
            secret,
        }),
        (None, None, _) => Err(bad("client_id is required")),
    }
}

fn success(tokens: &Tokens) -> Response {
    let body = json!({
        "access_token": tokens.access_token.expose(),
        "token_type": "Bearer",
        "expires_in": tokens.expires_in_seconds,
        "scope": tokens.scope,
        "id_token": tokens.id_token.expose(),
    });
    // RFC 6749, section 5.1.
    ([(header::PRAGMA, "no-cache")], Json(body)).into_response()
}

/// An error of RFC 6749, section 5.2.
struct TokenError {
    status: StatusCode,
    error: &'static str,
    description: String,
    challenge: bool,
}

impl TokenError {
    fn new(status: StatusCode, error: &'static str, description: &str) -> Self {
        Self { status, error, description: description.to_owned(), challenge: false }
    }

    fn of(error: &ExchangeError, by_basic: bool) -> Self {
        let (status, code) = match error {
            ExchangeError::Client(ClientError::InvalidClient) => {
                (StatusCode::UNAUTHORIZED, "invalid_client")
            }
            ExchangeError::UnauthorizedClient => (StatusCode::BAD_REQUEST, "unauthorized_client"),
            ExchangeError::MalformedVerifier => (StatusCode::BAD_REQUEST, "invalid_request"),
            ExchangeError::UnknownCode | ExchangeError::Grant(_) => {
                (StatusCode::BAD_REQUEST, "invalid_grant")
            }
            ExchangeError::Client(ClientError::Fault(_)) | ExchangeError::Fault(_) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "server_error")
            }
        };
        let challenge = by_basic && status == StatusCode::UNAUTHORIZED;
        Self { challenge, ..Self::new(status, code, &error.to_string()) }
    }
}

impl IntoResponse for TokenError {
    fn into_response(self) -> Response {
        let body = json!({ "error": self.error, "error_description": self.description });
        let mut response = (self.status, Json(body)).into_response();
        if self.challenge {
            let basic = HeaderValue::from_static("Basic realm=\"token\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, basic);
        }
        response
    }
}
