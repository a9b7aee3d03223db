//! Who calls an endpoint for clients: each proves itself in exactly the way it is registered with (OIDC Core, section 9).

use countersign_domain::application::{Application, TokenEndpointAuthMethod};
use countersign_protocol::secret::Secret;
use countersign_store::{Tx, application};

use super::{App, Fault, Realm, create_application::open_secret, fault::faults};

/// How a client proves itself.
#[derive(Clone, Debug)]
pub struct ClientCredentials {
    /// `client_id`
    pub client_id: String,
    /// The way in which it came.
    pub method: TokenEndpointAuthMethod,
    /// `client_secret`, for the ways that have one.
    pub secret: Option<Secret<String>>,
}

/// Why a client is not who it says.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The client is unknown, or did not prove itself as registered.
    #[error("client authentication failed")]
    InvalidClient,
    /// It could not be decided.
    #[error(transparent)]
    Fault(Fault),
}

faults!(ClientError);

impl App {
    /// The application that a request comes from.
    pub(super) async fn authenticate_client(
        &self,
        tx: &mut Tx<'_>,
        realm: &Realm,
        client: &ClientCredentials,
    ) -> Result<Application, ClientError> {
        let id = client.client_id.parse().map_err(|_| ClientError::InvalidClient)?;
        let application = application::load(tx, realm.environment, id).await?;
        let application = application
            .filter(|application| application.enabled)
            .ok_or(ClientError::InvalidClient)?;
        // Exactly the registered way: a public client with a secret, or a secret sent elsewhere, is refused.
        if application.token_endpoint_auth_method != client.method {
            return Err(ClientError::InvalidClient);
        }
        let expected = open_secret(&self.vault, &application)?;
        let given =
            client.secret.as_ref().map(|secret| Secret::new(secret.expose().as_bytes().to_vec()));
        if expected == given {
            Ok(application.into_value())
        } else {
            Err(ClientError::InvalidClient)
        }
    }
}
