//! `POST /{environment}/as/device_authorization` (RFC 8628, section 3.1).

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::{
    caller::{At, Client},
    correlation::Correlation,
    form::{FormError, Members},
    oauth_error::OAuthError,
};
use crate::app::{
    App, AuthorizeDevice, AuthorizeDeviceError, ClientCredentials, DeviceAuthorization, Realm,
};

/// `POST /{environment}/as/device_authorization`
pub(crate) async fn authorize(
    State(app): State<Arc<App>>,
    At(realm): At,
    client: Client,
    Correlation(correlation): Correlation,
    members: Result<Members, FormError>,
) -> Response {
    let request = match request(&app, &realm, &client, members).await {
        Ok(request) => request,
        Err(error) => return error.told_to(&client),
    };
    let (client_credentials, scope) = request;
    let request = AuthorizeDevice { client: client_credentials, scope, correlation };
    match app.authorize_device(&realm, request).await {
        Ok(authorization) => success(&authorization),
        Err(error) => OAuthError::from(error).told_to(&client),
    }
}

async fn request(
    app: &App,
    realm: &Realm,
    client: &Client,
    members: Result<Members, FormError>,
) -> Result<(ClientCredentials, Option<String>), OAuthError> {
    let members = members?;
    Ok((client.credentials(app, realm, &members).await?, members.text("scope")))
}

fn success(authorization: &DeviceAuthorization) -> Response {
    let DeviceAuthorization { user_code, verification_uri: uri, .. } = authorization;
    let separator = if uri.contains('?') { '&' } else { '?' };
    let body = json!({
        "device_code": authorization.device_code.expose(),
        "user_code": user_code,
        "verification_uri": uri,
        "verification_uri_complete": format!("{uri}{separator}user_code={user_code}"),
        "expires_in": authorization.expires_in_seconds,
        "interval": authorization.interval_seconds,
    });
    Json(body).into_response()
}

impl From<AuthorizeDeviceError> for OAuthError {
    fn from(error: AuthorizeDeviceError) -> Self {
        let description = error.to_string();
        match error {
            AuthorizeDeviceError::Client(error) => error.into(),
            AuthorizeDeviceError::UnauthorizedClient => {
                Self::new("unauthorized_client", description)
            }
            AuthorizeDeviceError::Scope(_) => Self::new("invalid_scope", description),
            AuthorizeDeviceError::Fault(fault) => fault.into(),
        }
    }
}
