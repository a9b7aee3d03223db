//! Ends a session on the wish of the person or an application (OIDC RP-Initiated Logout 1.0).

use std::sync::Arc;

use countersign_domain::{
    application::Application,
    id::Id,
    id_token_hint::{self, IdTokenHint},
    session::Session,
};
use countersign_protocol::secret::Secret;
use countersign_store::{Tx, Versioned, Work, application, session as sessions};

use super::{App, Call, Fault, Realm, fault::faults, session};

/// A wish to be signed off, as it came.
#[derive(Clone, Debug, Default)]
pub struct SignOff {
    /// `id_token_hint`
    pub id_token_hint: Option<String>,
    /// `client_id`
    pub client_id: Option<String>,
    /// `post_logout_redirect_uri`
    pub post_logout_redirect_uri: Option<String>,
    /// `state`
    pub state: Option<String>,
    /// The cookie of the session of the browser, if it has one.
    pub session: Option<Secret<String>>,
    /// Whether the person has confirmed it.
    pub confirmed: bool,
    /// The name under which the request is logged.
    pub correlation: String,
}

/// What comes of it.
#[derive(Debug, PartialEq, Eq)]
pub enum SignedOff {
    /// Nobody is signed in here any more. The browser goes on to this address of the application, if it named one.
    Done { redirect_uri: Option<String> },
    /// Nothing shows that the person wants it: they are asked (section 2 of the specification).
    Ask,
}

/// Why nobody was signed off. Shown to the person, never redirected.
#[derive(Debug, thiserror::Error)]
pub enum SignOffError {
    /// The hint does not count.
    #[error("id_token_hint: {0}")]
    Hint(#[from] id_token_hint::Refusal),
    /// Not an application of this environment.
    #[error("client_id is not that of an application in this environment")]
    UnknownClient,
    /// The hint was made for another application.
    #[error("client_id must be the one that id_token_hint was made for")]
    OtherClient,
    /// Not an address of the application, or of no known one.
    #[error("post_logout_redirect_uri is not one that is registered for client_id")]
    UnknownAddress,
    /// It could not be decided.
    #[error(transparent)]
    Fault(Fault),
}

faults!(SignOffError);

impl App {
    /// Signs off.
    pub async fn sign_off(
        &self,
        realm: &Arc<Realm>,
        request: SignOff,
    ) -> Result<SignedOff, SignOffError> {
        let call = self.call(realm.environment, &request.correlation);
        let client_id = request.client_id.as_ref().map(|id| id.parse()).transpose();
        let client_id = client_id.map_err(|_| SignOffError::UnknownClient)?;
        let verify = |token: &String| {
            id_token_hint::id_token_hint(token, realm.keys.public(), &realm.issuer, None, call.now)
        };
        let hint = request.id_token_hint.as_ref().map(verify).transpose()?;
        if let (Some(hint), Some(client_id)) = (&hint, client_id)
            && hint.application != client_id
        {
            return Err(SignOffError::OtherClient);
        }
        let session = request.session.as_ref().and_then(|cookie| realm.session_of(cookie.expose()));
        self.store.write(EndSession { call, request, hint, client_id, session }).await
    }
}

struct EndSession {
    call: Call,
    request: SignOff,
    hint: Option<IdTokenHint>,
    client_id: Option<Id<Application>>,
    session: Option<Id<Session>>,
}

impl Work for EndSession {
    type Output = SignedOff;
    type Error = SignOffError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<SignedOff, SignOffError> {
        let redirect_uri = self.redirect_uri(tx).await?;
        let (environment, now) = (self.call.environment, self.call.now);
        let session = match self.session {
            Some(id) => sessions::load(tx, environment, id, now).await?,
            None => None,
        };
        let Some(session) = session else { return Ok(SignedOff::Done { redirect_uri }) };
        if !self.is_wanted(&session) {
            return Ok(SignedOff::Ask);
        }
        session::end(tx, &self.call, &session).await?;
        Ok(SignedOff::Done { redirect_uri })
    }
}

impl EndSession {
    /// A page of another site can send a browser here. Only a token of this very session, or the person, can end it.
    fn is_wanted(&self, session: &Versioned<Session>) -> bool {
        let named = self.hint.as_ref().and_then(|hint| hint.session.as_ref());
        self.request.confirmed || named.is_some_and(|sid| *sid == session.id.to_string())
    }

    /// The address to go on to, if it is the application's.
    async fn redirect_uri(&self, tx: &mut Tx<'_>) -> Result<Option<String>, SignOffError> {
        let id = self.client_id.or(self.hint.as_ref().map(|hint| hint.application));
        let application = match id {
            Some(id) => application::load(tx, self.call.environment, id).await?,
            None => None,
        };
        if self.client_id.is_some() && application.is_none() {
            return Err(SignOffError::UnknownClient);
        }
        let Some(address) = &self.request.post_logout_redirect_uri else { return Ok(None) };
        let known = application.is_some_and(|application| {
            application.oidc.post_logout_redirect_uris.contains(address)
        });
        if !known {
            return Err(SignOffError::UnknownAddress);
        }
        let Some(state) = &self.request.state else { return Ok(Some(address.clone())) };
        let separator = if address.contains('?') { '&' } else { '?' };
        let state: String = form_urlencoded::byte_serialize(state.as_bytes()).collect();
        Ok(Some(format!("{address}{separator}state={state}")))
    }
}
