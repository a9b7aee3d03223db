//! How clients prove themselves, at every endpoint that is theirs (RFC 6749, section 2.3).

use countersign_domain::application::TokenEndpointAuthMethod;

use super::{caller::Client, form::Members, oauth_error::OAuthError};
use crate::app::ClientCredentials;

impl Client {
    /// One way of client authentication, never two.
    pub fn credentials(&self, members: &Members) -> Result<ClientCredentials, OAuthError> {
        let bad = OAuthError::invalid_request;
        let (client_id, secret) = (members.text("client_id"), members.secret("client_secret"));
        match (&self.basic, client_id, secret) {
            (Some(_), _, Some(_)) => Err(bad("client_secret must not be sent twice")),
            (Some(basic), Some(client_id), None) if client_id != basic.client_id => {
                Err(bad("client_id must be the one of the Authorization header"))
            }
            (Some(basic), _, None) => Ok(ClientCredentials {
                client_id: basic.client_id.clone(),
                method: TokenEndpointAuthMethod::ClientSecretBasic,
                secret: Some(basic.secret.clone()),
            }),
            (None, Some(client_id), secret) => Ok(ClientCredentials {
                client_id,
                method: match secret {
                    Some(_) => TokenEndpointAuthMethod::ClientSecretPost,
                    None => TokenEndpointAuthMethod::None,
                },
                secret,
            }),
            (None, None, _) => Err(bad("client_id is required")),
        }
    }
}
