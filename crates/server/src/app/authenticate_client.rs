//! Who calls an endpoint for clients: each proves itself in exactly the way it is registered with (OIDC Core, section 9).
//!
//! An assertion is verified before the transaction, with the keys of the client, and spent in it. A secret is compared in the
//! transaction, which reads the client in any case.

use countersign_domain::{
    application::{Application, TokenEndpointAuthMethod},
    client_jwt::{self, Assertion, Refusal},
    environment::Environment,
    id::Id,
};
use countersign_protocol::secret::Secret;
use countersign_store::{StoreError, Tx, Versioned, Work, application, spent_jwt};

use super::{
    App, Fault, Realm,
    application_secret::Secrets,
    fault::faults,
    verify_signed::{SignedError, SignedWith},
};

/// How a client proves itself.
#[derive(Clone, Debug)]
pub struct ClientCredentials {
    client_id: String,
    evidence: Evidence,
}

#[derive(Clone, Debug)]
enum Evidence {
    Nothing,
    Basic(Secret<String>),
    Post(Secret<String>),
    /// Verified, and not spent yet.
    Assertion(Assertion),
}

impl ClientCredentials {
    /// Of a client that does not prove itself.
    #[must_use]
    pub const fn public(client_id: String) -> Self {
        Self { client_id, evidence: Evidence::Nothing }
    }

    /// A secret in the `Authorization` header.
    #[must_use]
    pub const fn basic(client_id: String, secret: Secret<String>) -> Self {
        Self { client_id, evidence: Evidence::Basic(secret) }
    }

    /// A secret among the members of the form.
    #[must_use]
    pub const fn post(client_id: String, secret: Secret<String>) -> Self {
        Self { client_id, evidence: Evidence::Post(secret) }
    }

    /// Who it says it is.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Whether they count once, so that even a request which only reads must write that down.
    pub(super) const fn are_spent(&self) -> bool {
        matches!(self.evidence, Evidence::Assertion(_))
    }

    const fn method(&self) -> TokenEndpointAuthMethod {
        match &self.evidence {
            Evidence::Nothing => TokenEndpointAuthMethod::None,
            Evidence::Basic(_) => TokenEndpointAuthMethod::ClientSecretBasic,
            Evidence::Post(_) => TokenEndpointAuthMethod::ClientSecretPost,
            Evidence::Assertion(assertion) if assertion.algorithm.is_symmetric() => {
                TokenEndpointAuthMethod::ClientSecretJwt
            }
            Evidence::Assertion(_) => TokenEndpointAuthMethod::PrivateKeyJwt,
        }
    }
}

/// Why a client is not who it says.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The client is unknown, or did not prove itself as registered.
    #[error("client authentication failed")]
    InvalidClient,
    /// Its assertion breaks a rule.
    #[error("client authentication failed: client_assertion: {0}")]
    Assertion(Refusal),
    /// Its keys cannot be had.
    #[error("client authentication failed: {0}")]
    Keys(String),
    /// It could not be decided.
    #[error(transparent)]
    Fault(Fault),
}

faults!(ClientError);

impl From<SignedError> for ClientError {
    fn from(error: SignedError) -> Self {
        match error {
            SignedError::Refused(refusal) => Self::Assertion(refusal),
            SignedError::Unavailable(error) => Self::Keys(error.to_string()),
            SignedError::KeySet(error) => Self::Keys(error.to_string()),
            SignedError::Fault(fault) => Self::Fault(fault),
        }
    }
}

impl App {
    /// Verifies a client assertion (RFC 7523, section 3). `client_id` is the member of that name, which need not be there.
    pub async fn verify_assertion(
        &self,
        realm: &Realm,
        client_id: Option<String>,
        jwt: &Secret<String>,
    ) -> Result<ClientCredentials, ClientError> {
        let asserted = client_jwt::asserted_client(jwt.expose()).map_err(ClientError::Assertion)?;
        if client_id.is_some_and(|client_id| client_id != asserted) {
            let (claim, rule) = ("sub", "must be the client_id of the request");
            return Err(ClientError::Assertion(Refusal::Claim { claim, rule }));
        }
        let id = asserted.parse().map_err(|_| ClientError::InvalidClient)?;
        let load = LoadApplication { environment: realm.environment, id };
        let application = self.store.read(load).await?.filter(|application| application.enabled);
        let application = application.ok_or(ClientError::InvalidClient)?;
        // The registration says what is checked, never the header of the assertion.
        let with = match application.token_endpoint_auth_method {
            TokenEndpointAuthMethod::ClientSecretJwt => SignedWith::Secret,
            TokenEndpointAuthMethod::PrivateKeyJwt => SignedWith::Key,
            TokenEndpointAuthMethod::None
            | TokenEndpointAuthMethod::ClientSecretBasic
            | TokenEndpointAuthMethod::ClientSecretPost => return Err(ClientError::InvalidClient),
        };
        let (audiences, now) = (realm.audiences_of_clients(), self.now());
        let audiences: Vec<&str> = audiences.iter().map(String::as_str).collect();
        let verify = |keys: client_jwt::Keys<'_>| {
            client_jwt::assertion(jwt.expose(), id, keys, &audiences, now)
        };
        let assertion = self.verify_signed(&application, with, verify).await?;
        Ok(ClientCredentials { client_id: asserted, evidence: Evidence::Assertion(assertion) })
    }

    /// The application that a request comes from.
    pub(super) async fn authenticate_client(
        &self,
        tx: &mut Tx<'_>,
        realm: &Realm,
        client: &ClientCredentials,
    ) -> Result<Application, ClientError> {
        let id: Id<Application> =
            client.client_id.parse().map_err(|_| ClientError::InvalidClient)?;
        let application = application::load(tx, realm.environment, id).await?;
        let application = application
            .filter(|application| application.enabled)
            .ok_or(ClientError::InvalidClient)?;
        // Exactly the registered way: a public client with a secret, or a secret sent elsewhere, is refused.
        if application.token_endpoint_auth_method != client.method() {
            return Err(ClientError::InvalidClient);
        }
        match &client.evidence {
            Evidence::Nothing => {}
            Evidence::Basic(given) | Evidence::Post(given) => {
                if !Secrets::open(&self.vault, &application, self.now())?.include(given) {
                    return Err(ClientError::InvalidClient);
                }
            }
            Evidence::Assertion(assertion) => {
                let own = assertion.client == application.id;
                if !own || !spent_jwt::spend(tx, realm.environment, &assertion.spent).await? {
                    let (claim, rule) = ("jti", "must not have been used before");
                    return Err(ClientError::Assertion(Refusal::Claim { claim, rule }));
                }
            }
        }
        Ok(application.into_value())
    }

    /// Runs a work that reads, and writes at most that the evidence of the client is spent.
    pub(super) async fn read_for<W: Work>(
        &self,
        client: &ClientCredentials,
        work: W,
    ) -> Result<W::Output, W::Error> {
        if client.are_spent() { self.store.write(work).await } else { self.store.read(work).await }
    }
}

/// An application that is read before the transaction, because what it signed is verified before.
pub(super) struct LoadApplication {
    pub environment: Id<Environment>,
    pub id: Id<Application>,
}

impl Work for LoadApplication {
    type Output = Option<Application>;
    type Error = StoreError;
    const IS_BRIEF: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<Application>, StoreError> {
        let application = application::load(tx, self.environment, self.id).await?;
        Ok(application.map(Versioned::into_value))
    }
}
