//! How clients prove themselves, at every endpoint that is theirs (RFC 6749, section 2.3; RFC 7521, section 4.2).

use super::{caller::Client, form::Members, oauth_error::OAuthError};
use crate::{
    app::{App, ClientCredentials, Realm},
    limits::Group,
};

/// The only kind of assertion (RFC 7523, section 2.2).
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

impl Client {
    /// One way of client authentication, never two. An assertion is verified; that it is the registered way, and counts, is
    /// decided with what the request asks for.
    pub async fn credentials(
        &self,
        app: &App,
        realm: &Realm,
        members: &Members,
    ) -> Result<ClientCredentials, OAuthError> {
        let bad = |description: &str| OAuthError::invalid_request(description);
        let client_id = members.text("client_id");
        let named = self.basic.as_ref().map(|basic| &basic.client_id).or(client_id.as_ref());
        if let Some(named) = named {
            app.limits().application(Group::Token, realm.environment, named, app.now())?;
        }
        let (secret, assertion) =
            (members.secret("client_secret"), members.secret("client_assertion"));
        match (members.text("client_assertion_type").as_deref(), &assertion) {
            (None, None) | (Some(JWT_BEARER), Some(_)) => {}
            (_, None) => {
                return Err(bad("client_assertion is required with client_assertion_type"));
            }
            (_, Some(_)) => {
                return Err(bad(&format!("client_assertion_type must be {JWT_BEARER}")));
            }
        }
        match (&self.basic, secret, assertion, client_id) {
            (Some(basic), None, None, client_id) => {
                if client_id.is_some_and(|client_id| client_id != basic.client_id) {
                    return Err(bad("client_id must be the one of the Authorization header"));
                }
                Ok(ClientCredentials::basic(basic.client_id.clone(), basic.secret.clone()))
            }
            (None, None, Some(assertion), client_id) => {
                Ok(app.verify_assertion(realm, client_id, &assertion).await?)
            }
            (None, Some(secret), None, Some(client_id)) => {
                Ok(ClientCredentials::post(client_id, secret))
            }
            (None, None, None, Some(client_id)) => Ok(ClientCredentials::public(client_id)),
            (None, _, None, None) => Err(bad("client_id is required")),
            (Some(_), Some(_), None, _) => Err(bad("client_secret must not be sent twice")),
            (Some(_), _, Some(_), _) | (None, Some(_), Some(_), _) => {
                Err(bad("client_assertion must not be sent with a client_secret"))
            }
        }
    }
}
