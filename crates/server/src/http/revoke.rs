//! `POST /{environment}/as/revoke` (RFC 7009).

use std::sync::Arc;

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};

use super::{
    caller::{At, Client},
    correlation::Correlation,
    form::{FormError, Members},
    oauth_error::OAuthError,
};
use crate::app::{App, RevokeError, RevokeToken};

/// `POST /{environment}/as/revoke`
pub(crate) async fn revoke(
    State(app): State<Arc<App>>,
    At(realm): At,
    client: Client,
    Correlation(correlation): Correlation,
    members: Result<Members, FormError>,
) -> Response {
    // `token_type_hint` is not needed: no access token looks like a refresh token.
    let request = match request(&client, members, correlation) {
        Ok(request) => request,
        Err(error) => return error.told_to(&client),
    };
    match app.revoke_token(&realm, request).await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(error) => OAuthError::from(error).told_to(&client),
    }
}

fn request(
    client: &Client,
    members: Result<Members, FormError>,
    correlation: String,
) -> Result<RevokeToken, OAuthError> {
    let members = members?;
    let credentials = client.credentials(&members)?;
    Ok(RevokeToken { client: credentials, token: members.required_secret("token")?, correlation })
}

impl From<RevokeError> for OAuthError {
    fn from(error: RevokeError) -> Self {
        match error {
            RevokeError::Client(error) => error.into(),
            RevokeError::Fault(fault) => fault.into(),
        }
    }
}
