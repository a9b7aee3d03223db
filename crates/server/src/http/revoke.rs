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
use crate::app::{App, Realm, RevokeError, RevokeToken};

/// `POST /{environment}/as/revoke`
pub(crate) async fn revoke(
    State(app): State<Arc<App>>,
    At(realm): At,
    client: Client,
    Correlation(correlation): Correlation,
    members: Result<Members, FormError>,
) -> Response {
    let call = Call { app, realm, correlation };
    match call.revoke(&client, members).await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(error) => error.told_to(&client),
    }
}

/// One revocation request.
struct Call {
    app: Arc<App>,
    realm: Arc<Realm>,
    correlation: String,
}

impl Call {
    async fn revoke(
        self,
        client: &Client,
        members: Result<Members, FormError>,
    ) -> Result<(), OAuthError> {
        let members = members?;
        // `token_type_hint` is not needed: no access token looks like a refresh token.
        let request = RevokeToken {
            client: client.credentials(&self.app, &self.realm, &members).await?,
            token: members.required_secret("token")?,
            correlation: self.correlation,
        };
        Ok(self.app.revoke_token(&self.realm, request).await?)
    }
}

impl From<RevokeError> for OAuthError {
    fn from(error: RevokeError) -> Self {
        match error {
            RevokeError::Client(error) => error.into(),
            RevokeError::Fault(fault) => fault.into(),
        }
    }
}
