//! A worker application that gets an access token for itself.

use form_urlencoded::Serializer;
use hyper::StatusCode;

use crate::{LoadError, bank::Bank, connection::Connection, drive::Scenario};

/// One worker.
pub struct ClientCredentials {
    token: String,
    form: String,
}

impl ClientCredentials {
    /// So many workers.
    #[must_use]
    pub fn clients(bank: &Bank, count: usize) -> Vec<Self> {
        let form = Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", &bank.worker)
            .append_pair("client_secret", &bank.worker_secret)
            .finish();
        let client = || Self { token: bank.path("/as/token"), form: form.clone() };
        (0..count).map(|_| client()).collect()
    }
}

impl Scenario for ClientCredentials {
    async fn round(&mut self, connection: &mut Connection) -> Result<(), LoadError> {
        let tokens = connection.post_form(&self.token, self.form.clone()).await?;
        match tokens.text_member("access_token") {
            Some(_) if tokens.status == StatusCode::OK => Ok(()),
            Some(_) | None => Err(tokens.unexpected("the token endpoint gives no access token")),
        }
    }
}
