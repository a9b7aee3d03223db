//! What an authorization request says in the end: by itself, pushed before (RFC 9126), or as a request object (RFC 9101).

use countersign_domain::{
    application::Application, authorization::Parameters, id::Id, pushed_request::PushedRequest,
    user::User,
};
use countersign_store::{StoreError, Tx, Work, pushed_request as pushed_requests};

use super::{
    App, Call, Realm,
    realm::REQUEST_URI,
    start_flow::{StartError, UNKNOWN_CLIENT},
};

/// A request whose members are in place.
pub(super) struct Resolved {
    /// Who asks.
    pub application: Id<Application>,
    /// What it asks for.
    pub parameters: Parameters,
    /// The only user that the sign-on may end with, as an ID token of before says.
    pub named: Option<Id<User>>,
    /// The user that the application itself has authenticated.
    pub vouched: Option<Id<User>>,
    /// The pushed request that this came of.
    pushed: Option<Id<PushedRequest>>,
}

impl App {
    /// Puts the members of a request in place. What counts once is spent later, in the transaction of the flow.
    pub(super) async fn resolve_request(
        &self,
        realm: &Realm,
        call: &Call,
        parameters: Parameters,
    ) -> Result<Resolved, StartError> {
        let client_id = parameters.client_id.as_ref();
        let client_id = client_id.ok_or_else(|| StartError::untrusted("client_id is required"))?;
        let application = client_id.parse().map_err(|_| StartError::untrusted(UNKNOWN_CLIENT))?;
        // Any other address is refused in its place: request objects are not fetched.
        let pushed = parameters.request_uri.as_ref().filter(|uri| uri.starts_with(REQUEST_URI));
        let (parameters, pushed) = match pushed {
            None => (parameters, None),
            Some(request_uri) => {
                let request = self.pushed_request(realm, call, application, request_uri).await?;
                (request.parameters, Some(request.id))
            }
        };
        Ok(Resolved { application, parameters, named: None, vouched: None, pushed })
    }

    /// The request that was pushed under this address, if a flow of the application can begin with it.
    async fn pushed_request(
        &self,
        realm: &Realm,
        call: &Call,
        application: Id<Application>,
        request_uri: &str,
    ) -> Result<PushedRequest, StartError> {
        // There is no trusted address to answer to: the redirect URI is in the request that was not found.
        let unknown = || StartError::untrusted(UNKNOWN_REQUEST_URI);
        let id = realm.pushed_request_of(request_uri).ok_or_else(unknown)?;
        let read = ReadPushed { call: call.clone(), id };
        let request = self.store.read(read).await?.ok_or_else(unknown)?;
        let taken = request.take(application, call.now);
        taken.map_err(|refusal| StartError::untrusted(refusal.to_string()))?;
        Ok(request)
    }
}

const UNKNOWN_REQUEST_URI: &str =
    "request_uri must be one that the pushed authorization request endpoint gave, and not too old";

struct ReadPushed {
    call: Call,
    id: Id<PushedRequest>,
}

impl Work for ReadPushed {
    type Output = Option<PushedRequest>;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<PushedRequest>, StoreError> {
        let request = pushed_requests::load(tx, self.call.environment, self.id).await?;
        Ok(request.map(|request| request.into_value()))
    }
}

impl Resolved {
    /// Spends what counts once, and refuses what the application must not send.
    pub async fn take(
        &self,
        tx: &mut Tx<'_>,
        call: &Call,
        application: &Application,
    ) -> Result<(), StartError> {
        let Some(id) = self.pushed else {
            return if application.oidc.pushed_requests.required {
                Err(StartError::untrusted(
                    "the application must push its requests (RFC 9126) and send request_uri",
                ))
            } else {
                Ok(())
            };
        };
        let old = pushed_requests::load(tx, call.environment, id).await?;
        let old = old.ok_or_else(|| StartError::untrusted(UNKNOWN_REQUEST_URI))?;
        let taken = old.take(application.id, call.now);
        let taken = taken.map_err(|refusal| StartError::untrusted(refusal.to_string()))?;
        Ok(pushed_requests::swap(tx, &old, &taken).await?)
    }
}
