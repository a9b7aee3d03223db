//! What an authorization request says in the end: by itself, pushed before (RFC 9126), or as a request object (RFC 9101).

use countersign_domain::{
    application::Application,
    authorization::{self, ErrorCode, Parameters},
    client_jwt::{self, Keys, RequestObject, SignedBy},
    environment::Environment,
    id::Id,
    id_token_hint,
    pushed_request::PushedRequest,
    spent_jwt::SpentJwt,
    user::User,
};
use countersign_store::{
    StoreError, Tx, Versioned, Work, pushed_request as pushed_requests, spent_jwt,
};

use super::{
    App, Call, Realm,
    authenticate_client::LoadApplication,
    realm::REQUEST_URI,
    start_flow::{StartError, UNKNOWN_CLIENT},
    verify_signed::{SignedError, SignedWith},
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
    /// Whether the application has signed what it asks for, or has sent it itself.
    is_its_own: bool,
    /// The pushed request that this came of.
    pushed: Option<Id<PushedRequest>>,
    /// What vouches, which counts once.
    spent: Option<SpentJwt>,
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
        let mut resolved = match pushed {
            None => Resolved::plain(application, parameters),
            Some(request_uri) => {
                let request = self.pushed_request(realm, call, application, request_uri).await?;
                let (pushed, is_its_own) = (Some(request.id), true);
                let parameters = request.parameters;
                Resolved { is_its_own, pushed, ..Resolved::of(application, parameters) }
            }
        };
        let Parameters { request, login_hint_token, id_token_hint, .. } = &resolved.parameters;
        if request.is_some() || login_hint_token.is_some() || id_token_hint.is_some() {
            let load = LoadApplication { environment: call.environment, id: application };
            let application = self.store.read(load).await?.filter(|found| found.enabled);
            let application = application.ok_or_else(|| StartError::untrusted(UNKNOWN_CLIENT))?;
            self.open_signed(realm, call, &application, &mut resolved).await?;
        }
        Ok(resolved)
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
        let read = ReadPushed { environment: call.environment, id };
        let request = self.store.read(read).await?.ok_or_else(unknown)?;
        let taken = request.take(application, call.now);
        taken.map_err(|refusal| StartError::untrusted(refusal.to_string()))?;
        Ok(request)
    }

    /// Opens what is signed in a request: its object, and what tells who the user is.
    async fn open_signed(
        &self,
        realm: &Realm,
        call: &Call,
        application: &Application,
        resolved: &mut Resolved,
    ) -> Result<(), StartError> {
        if resolved.parameters.request.is_some() {
            let opened = self.open_request_object(realm, application, &resolved.parameters).await;
            let refused = |why| told(application, &resolved.parameters, why);
            let opened = opened.map_err(refused)?;
            resolved.is_its_own |= opened.is_its_own;
            resolved.parameters = opened.parameters;
        }
        if let Some(token) = resolved.parameters.login_hint_token.take() {
            let verify = |keys: Keys<'_>| {
                let Keys { secret, .. } = keys;
                client_jwt::login_hint_token(&token, application, secret, &realm.issuer, call.now)
            };
            let opened = self.verify_signed(application, SignedWith::Secret, verify).await;
            let why = |error| Refusal::of("login_hint_token", ErrorCode::InvalidRequest, error);
            let told = |error| told(application, &resolved.parameters, why(error));
            let opened = opened.map_err(told)?;
            (resolved.vouched, resolved.spent) = (Some(opened.user), Some(opened.spent));
        }
        if let Some(token) = resolved.parameters.id_token_hint.take() {
            let keys = realm.keys.public();
            let application_id = Some(application.id);
            let hint =
                id_token_hint::id_token_hint(&token, keys, &realm.issuer, application_id, call.now);
            let hint = hint.map_err(|refusal| {
                let description = format!("id_token_hint: {refusal}");
                let why = Refusal::Told { error: ErrorCode::InvalidRequest, description };
                told(application, &resolved.parameters, why)
            })?;
            resolved.named = Some(hint.user);
        }
        Ok(())
    }

    /// The members of a request with those of its object in their place (OIDC Core, section 6.1).
    pub(super) async fn open_request_object(
        &self,
        realm: &Realm,
        application: &Application,
        parameters: &Parameters,
    ) -> Result<Opened, Refusal> {
        let jwt = parameters.request.clone().unwrap_or_default();
        let (issuer, now) = (realm.issuer.as_str(), self.now());
        let verify =
            |keys: Keys<'_>| client_jwt::request_object(&jwt, application, keys, issuer, now);
        let object = self.verify_signed(application, SignedWith::Either, verify).await;
        let why = |error| Refusal::of("request", ErrorCode::InvalidRequestObject, error);
        let object = object.map_err(why)?;
        let is_its_own = match object.signed_by {
            SignedBy::Nobody => false,
            // Each copy of an app has the same secret.
            SignedBy::Secret(_) => application.keeps_secrets(),
            SignedBy::Key(_) => true,
        };
        let alone = application.oidc.request_objects.signature_required;
        let around = if alone { nothing_but_names(parameters) } else { parameters.clone() };
        Ok(Opened { parameters: merged(&object, around, is_its_own), is_its_own })
    }
}

/// An opened request object.
pub(super) struct Opened {
    /// The members of the request as they are then.
    pub parameters: Parameters,
    /// Whether the application has signed them.
    pub is_its_own: bool,
}

/// Where everything must be signed, what is around the object does not count (RFC 9101, section 6.3). A second object by
/// reference is still an error (section 5).
fn nothing_but_names(around: &Parameters) -> Parameters {
    let Parameters { client_id, request_uri, .. } = around.clone();
    Parameters { client_id, request_uri, ..Parameters::default() }
}

/// The members of an object before those around it (OIDC Core, section 6.1). What only the application may say, nobody else
/// has added.
fn merged(object: &RequestObject, around: Parameters, is_its_own: bool) -> Parameters {
    let mut inside = Parameters::read(|name| object.text(name));
    if !is_its_own {
        (inside.template, inside.client_context) = (None, None);
    }
    let around = Parameters { template: None, client_context: None, ..around };
    Parameters { request: None, ..inside.or(around) }
}

/// Why something signed in a request does not count.
pub(super) enum Refusal {
    /// The application is told.
    Told { error: ErrorCode, description: String },
    /// It could not be decided.
    Fault(super::Fault),
}

impl Refusal {
    fn of(member: &str, error: ErrorCode, why: SignedError) -> Self {
        match why {
            SignedError::Fault(fault) => Self::Fault(fault),
            SignedError::Refused(_) | SignedError::Unavailable(_) | SignedError::KeySet(_) => {
                Self::Told { error, description: format!("{member}: {why}") }
            }
        }
    }
}

/// A refusal that goes to the application, if the request names an address that is its own.
fn told(application: &Application, parameters: &Parameters, why: Refusal) -> StartError {
    match why {
        Refusal::Fault(fault) => StartError::Fault(fault),
        Refusal::Told { error, description } => {
            match authorization::answer(application, parameters) {
                Ok(answer) => {
                    let state = parameters.state.clone();
                    StartError::Answered { answer, state, error, description }
                }
                Err(refusal) => refusal.into(),
            }
        }
    }
}

const UNKNOWN_REQUEST_URI: &str =
    "request_uri must be one that the pushed authorization request endpoint gave, and not too old";

struct ReadPushed {
    environment: Id<Environment>,
    id: Id<PushedRequest>,
}

impl Work for ReadPushed {
    type Output = Option<PushedRequest>;
    type Error = StoreError;
    const IS_BRIEF: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<PushedRequest>, StoreError> {
        let request = pushed_requests::load(tx, self.environment, self.id).await?;
        Ok(request.map(Versioned::into_value))
    }
}

impl Resolved {
    /// A request that the browser carries itself. What only the application may say does not count in it.
    fn plain(application: Id<Application>, parameters: Parameters) -> Self {
        let parameters = Parameters { template: None, client_context: None, ..parameters };
        Self::of(application, parameters)
    }

    const fn of(application: Id<Application>, parameters: Parameters) -> Self {
        Self {
            application,
            parameters,
            named: None,
            vouched: None,
            is_its_own: false,
            pushed: None,
            spent: None,
        }
    }

    /// Spends what counts once, and refuses what the application must not send.
    pub async fn take(
        &self,
        tx: &mut Tx<'_>,
        call: &Call,
        application: &Application,
    ) -> Result<(), StartError> {
        if application.oidc.request_objects.signature_required && !self.is_its_own {
            let description = "request is required: the application must sign what it asks for";
            let (error, description) = (ErrorCode::InvalidRequest, description.to_owned());
            return Err(told(application, &self.parameters, Refusal::Told { error, description }));
        }
        if let Some(spent) = &self.spent
            && !spent_jwt::spend(tx, call.environment, spent).await?
        {
            let description = "login_hint_token was used already".to_owned();
            let error = ErrorCode::InvalidRequest;
            return Err(told(application, &self.parameters, Refusal::Told { error, description }));
        }
        match self.pushed {
            Some(id) => take_pushed(tx, call, application, id).await,
            None if application.oidc.pushed_requests.required => Err(StartError::untrusted(
                "the application must push its requests (RFC 9126) and send request_uri",
            )),
            None => Ok(()),
        }
    }
}

async fn take_pushed(
    tx: &mut Tx<'_>,
    call: &Call,
    application: &Application,
    id: Id<PushedRequest>,
) -> Result<(), StartError> {
    let old = pushed_requests::load(tx, call.environment, id).await?;
    let old = old.ok_or_else(|| StartError::untrusted(UNKNOWN_REQUEST_URI))?;
    let taken = old.take(application.id, call.now);
    let taken = taken.map_err(|refusal| StartError::untrusted(refusal.to_string()))?;
    Ok(pushed_requests::swap(tx, &old, &taken).await?)
}
