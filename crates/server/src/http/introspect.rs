//! `POST /{environment}/as/introspect` (RFC 7662).

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};

use super::{
    caller::{At, Client},
    form::{FormError, Members},
    oauth_error::OAuthError,
};
use crate::app::{App, IntrospectError, IntrospectToken, Introspection, Realm};

/// `POST /{environment}/as/introspect`
pub(crate) async fn introspect(
    State(app): State<Arc<App>>,
    At(realm): At,
    client: Client,
    members: Result<Members, FormError>,
) -> Response {
    match answer(&app, &realm, &client, members).await {
        Ok(introspection) => Json(introspection).into_response(),
        Err(error) => error.told_to(&client),
    }
}

async fn answer(
    app: &Arc<App>,
    realm: &Arc<Realm>,
    client: &Client,
    members: Result<Members, FormError>,
) -> Result<Introspection, OAuthError> {
    let members = members?;
    // `token_type_hint` is not needed: no access token looks like a refresh token.
    let request = IntrospectToken {
        client: client.credentials(app, realm, &members).await?,
        token: members.required_secret("token")?,
    };
    Ok(app.introspect_token(realm, request).await?)
}

impl From<IntrospectError> for OAuthError {
    fn from(error: IntrospectError) -> Self {
        match error {
            IntrospectError::Client(error) => error.into(),
            IntrospectError::Fault(fault) => fault.into(),
        }
    }
}
