//! Takes an authorization request from the application itself (RFC 9126), so that its user's browser carries a name only.

use std::sync::Arc;

use countersign_domain::{
    authorization::{self, ErrorCode, Parameters, Refusal},
    pushed_request::{PushedRequest, State},
};
use countersign_protocol::mobile_payload;
use countersign_store::{Tx, Work, pushed_request as pushed_requests};

use super::{
    App, Call, Fault, Realm,
    authenticate_client::{ClientCredentials, ClientError},
    fault::faults,
};

/// A request to be pushed.
#[derive(Clone, Debug)]
pub struct PushRequest {
    /// Who asks.
    pub client: ClientCredentials,
    /// What for.
    pub parameters: Parameters,
    /// The name under which the request is logged.
    pub correlation: String,
}

/// A request that waits for the browser (RFC 9126, section 2.2).
#[derive(Clone, Debug)]
pub struct Pushed {
    /// What the browser sends in its place.
    pub request_uri: String,
    /// How long it waits.
    pub expires_in_seconds: u16,
}

/// Why a request was not taken.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The client did not prove itself.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// It would be refused at the authorization endpoint too.
    #[error("{description}")]
    Refused { error: ErrorCode, description: String },
    /// It could not be decided.
    #[error(transparent)]
    Fault(Fault),
}

faults!(PushError);

impl App {
    /// Checks a request and keeps it for the browser.
    pub async fn push_request(
        self: &Arc<Self>,
        realm: &Arc<Realm>,
        request: PushRequest,
    ) -> Result<Pushed, PushError> {
        let call = self.call(realm.environment, &request.correlation);
        let PushRequest { client, parameters, .. } = request;
        let invalid =
            |description: &str| PushError::refused(ErrorCode::InvalidRequest, description);
        if parameters.request_uri.is_some() {
            return Err(invalid("request_uri must not be pushed"));
        }
        if parameters.client_id.as_ref().is_some_and(|id| *id != client.client_id) {
            return Err(invalid("client_id must be that of the client that pushes"));
        }
        // Spent when the flow begins; told now, when the application can still mend it.
        if let Some(jws) = &parameters.mobile_payload {
            let verified = mobile_payload::verify(jws, &realm.issuer, call.now);
            verified.map_err(|error| invalid(&format!("mobilePayload: {error}")))?;
        }
        let (app, realm) = (Arc::clone(self), Arc::clone(realm));
        self.store.write(Push { app, realm, call, client, parameters }).await
    }
}

struct Push {
    app: Arc<App>,
    realm: Arc<Realm>,
    call: Call,
    client: ClientCredentials,
    parameters: Parameters,
}

impl Work for Push {
    type Output = Pushed;
    type Error = PushError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Pushed, PushError> {
        let application = self.app.authenticate_client(tx, &self.realm, &self.client).await?;
        authorization::check(&application, &self.parameters)?;
        let expires_in_seconds = application.oidc.pushed_requests.timeout_seconds;
        let request = PushedRequest {
            id: self.call.new_id(),
            environment: application.environment,
            application: application.id,
            parameters: self.parameters.clone(),
            expires_at: self.call.now.plus_seconds(expires_in_seconds.into()),
            state: State::Waiting,
        };
        pushed_requests::insert(tx, &request).await?;
        Ok(Pushed { request_uri: self.realm.request_uri(request.id), expires_in_seconds })
    }
}

impl PushError {
    fn refused(error: ErrorCode, description: &str) -> Self {
        Self::Refused { error, description: description.to_owned() }
    }
}

impl From<Refusal> for PushError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Untrusted { description } => {
                Self::refused(ErrorCode::InvalidRequest, description)
            }
            Refusal::Answered { error, description, .. } => Self::refused(error, description),
        }
    }
}
