//! `/{environment}/as/userinfo` (OIDC Core, section 5.3).

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{
    caller::{At, Bearer},
    problem::FaultResponse,
};
use crate::app::{App, ReadUserInfoError};

/// `GET|POST /{environment}/as/userinfo`
pub(crate) async fn read(
    State(app): State<Arc<App>>,
    At(realm): At,
    Bearer(token): Bearer,
) -> Response {
    match app.read_user_info(&realm, token.expose()).await {
        Ok(info) => Json(info).into_response(),
        Err(ReadUserInfoError::InvalidToken) => {
            // RFC 6750, section 3.1.
            let challenge = "Bearer error=\"invalid_token\", error_description=\"the access token is not valid\"";
            (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)]).into_response()
        }
        Err(ReadUserInfoError::Fault(fault)) => FaultResponse(fault).into_response(),
    }
}
