//! Takes an authorization request from the application itself (RFC 9126), so that its user's browser carries a name only.

use std::sync::Arc;

use countersign_domain::{
    authorization::{self, ErrorCode, Parameters, Refusal},
    dpop::DpopProof,
    pushed_request::{PushedRequest, State},
};
use countersign_protocol::mobile_payload;
use countersign_store::{Tx, Work, pushed_request as pushed_requests};

use super::{
    App, Call, Fault, Realm,
    authenticate_client::{ClientCredentials, ClientError, LoadApplication},
    check_dpop::{self, DpopRefusal},
    fault::faults,
    protected_resource,
    resolve_request::{Opened, Refusal as ObjectRefusal},
};

/// A request to be pushed.
#[derive(Clone, Debug)]
pub struct PushRequest {
    /// Who asks.
    pub client: ClientCredentials,
    /// What for.
    pub parameters: Parameters,
    /// The proof of the key that the code is to be bound to (RFC 9449, section 10.1).
    pub dpop: Option<DpopProof>,
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
    /// The proof of the key does not count.
    #[error(transparent)]
    Dpop(#[from] DpopRefusal),
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
        let PushRequest { client, parameters, dpop, .. } = request;
        let invalid =
            |description: &str| PushError::refused(ErrorCode::InvalidRequest, description);
        if parameters.request_uri.is_some() {
            return Err(invalid("request_uri must not be pushed"));
        }
        if parameters.client_id.as_ref().is_some_and(|id| id != client.client_id()) {
            return Err(invalid("client_id must be that of the client that pushes"));
        }
        let opened = self.pushed_members(realm, &client, parameters).await?;
        // Spent when the flow begins; told now, when the application can still mend it.
        if let Some(jws) = &opened.parameters.mobile_payload {
            let verified = mobile_payload::verify(jws, &realm.issuer, call.now);
            verified.map_err(|error| invalid(&format!("mobilePayload: {error}")))?;
        }
        let (app, realm) = (Arc::clone(self), Arc::clone(realm));
        self.store.write(Push { app, realm, call, client, opened, dpop }).await
    }
}

impl App {
    /// The members of a request that is pushed, with those of its object in their place.
    async fn pushed_members(
        &self,
        realm: &Realm,
        client: &ClientCredentials,
        parameters: Parameters,
    ) -> Result<Opened, PushError> {
        let parameters = Parameters { template: None, client_context: None, ..parameters };
        if parameters.request.is_none() {
            return Ok(Opened { parameters, is_its_own: false });
        }
        let id = client.client_id().parse().map_err(|_| ClientError::InvalidClient)?;
        let load = LoadApplication { environment: realm.environment, id };
        let application = self.store.read(load).await?.ok_or(ClientError::InvalidClient)?;
        match self.open_request_object(realm, &application, &parameters).await {
            Ok(opened) => Ok(opened),
            Err(ObjectRefusal::Told { error, description }) => {
                Err(PushError::Refused { error, description })
            }
            Err(ObjectRefusal::Fault(fault)) => Err(fault.into()),
        }
    }
}

struct Push {
    app: Arc<App>,
    realm: Arc<Realm>,
    call: Call,
    client: ClientCredentials,
    opened: Opened,
    dpop: Option<DpopProof>,
}

impl Work for Push {
    type Output = Pushed;
    type Error = PushError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Pushed, PushError> {
        let application = self.app.authenticate_client(tx, &self.realm, &self.client).await?;
        let mut parameters = self.opened.parameters.clone();
        if self.dpop.is_some() {
            let key = check_dpop::bind(tx, &application, self.dpop.as_ref()).await?;
            let key = key.map(|key| key.to_string());
            if parameters.dpop_jkt.is_some() && parameters.dpop_jkt != key {
                let rule = "dpop_jkt must be the key of the DPoP proof";
                return Err(PushError::refused(ErrorCode::InvalidRequest, rule));
            }
            parameters.dpop_jkt = key;
        }
        let scope = parameters.scope.as_deref();
        let access = protected_resource::access(tx, &application, scope).await?;
        authorization::check(&application, &parameters, access)?;
        if application.oidc.request_objects.signature_required && !self.opened.is_its_own {
            let rule = "request is required: the application must sign what it asks for";
            return Err(PushError::refused(ErrorCode::InvalidRequest, rule));
        }
        let expires_in_seconds = application.oidc.pushed_requests.timeout_seconds;
        let request = PushedRequest {
            id: self.call.new_id(),
            environment: application.environment,
            application: application.id,
            parameters,
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
