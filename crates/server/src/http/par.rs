//! `POST /{environment}/as/par` (RFC 9126).

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use countersign_domain::authorization::Parameters;
use serde_json::json;

use super::{
    caller::{At, Client},
    correlation::Correlation,
    form::{FormError, Members},
    oauth_error::OAuthError,
};
use crate::app::{App, PushError, PushRequest, Pushed, Realm};

/// `POST /{environment}/as/par`
pub(crate) async fn push(
    State(app): State<Arc<App>>,
    At(realm): At,
    client: Client,
    Correlation(correlation): Correlation,
    members: Result<Members, FormError>,
) -> Response {
    let call = Call { app, realm, correlation };
    match call.take(&client, members).await {
        Ok(pushed) => {
            let body = json!({ "request_uri": pushed.request_uri, "expires_in": pushed.expires_in_seconds });
            (StatusCode::CREATED, Json(body)).into_response()
        }
        Err(error) => error.told_to(&client),
    }
}

/// One request to push.
struct Call {
    app: Arc<App>,
    realm: Arc<Realm>,
    correlation: String,
}

impl Call {
    async fn take(
        self,
        client: &Client,
        members: Result<Members, FormError>,
    ) -> Result<Pushed, OAuthError> {
        let members = members?;
        let credentials = client.credentials(&self.app, &self.realm, &members).await?;
        let dpop =
            client.dpop.verify(&self.app, &self.realm, &format!("{}/par", self.realm.issuer))?;
        let parameters = Parameters::read(|name| members.text(name));
        let correlation = self.correlation;
        let request = PushRequest { client: credentials, parameters, dpop, correlation };
        Ok(self.app.push_request(&self.realm, request).await?)
    }
}

impl From<PushError> for OAuthError {
    fn from(error: PushError) -> Self {
        match error {
            PushError::Client(error) => error.into(),
            PushError::Refused { error, description } => Self::new(error.name(), description),
            PushError::Dpop(refusal) => refusal.into(),
            PushError::Fault(fault) => fault.into(),
        }
    }
}
