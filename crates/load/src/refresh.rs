//! Refreshes: a token for the next one and an access token, again and again.

use form_urlencoded::Serializer;
use hyper::StatusCode;

use crate::{
    LoadError, bank::Bank, connection::Connection, device_authorization::DeviceAuthorization,
    drive::Scenario,
};
use countersign_protocol::jose::Algorithm;

/// One app. Its first round gets the first refresh token, with a phone.
pub struct Refresh {
    phone: DeviceAuthorization,
    current: Option<String>,
    token: String,
    form: String,
}

impl Refresh {
    /// So many apps, each of another user.
    pub fn clients(
        bank: &Bank,
        algorithm: Algorithm,
        count: usize,
    ) -> Result<Vec<Self>, LoadError> {
        let form = Serializer::new(String::new())
            .append_pair("grant_type", "refresh_token")
            .append_pair("client_id", bank.application(algorithm))
            .finish();
        let client = |phone| Self {
            phone,
            current: None,
            token: bank.path("/as/token"),
            form: form.clone(),
        };
        let phones = DeviceAuthorization::clients(bank, algorithm, count)?;
        Ok(phones.into_iter().map(client).collect())
    }
}

impl Scenario for Refresh {
    async fn round(&mut self, connection: &mut Connection) -> Result<(), LoadError> {
        let Some(refresh_token) = &self.current else {
            let tokens = self.phone.sign_on(connection).await?;
            self.current = tokens.text_member("refresh_token").map(str::to_owned);
            let none = || LoadError::other("the application gets no refresh token");
            return self.current.as_ref().map(drop).ok_or_else(none);
        };
        let form = format!("{}&refresh_token={refresh_token}", self.form);
        let tokens = connection.post_form(&self.token, form).await?;
        match tokens.text_member("refresh_token") {
            Some(next) if tokens.status == StatusCode::OK => {
                self.current = Some(next.to_owned());
                Ok(())
            }
            Some(_) | None => Err(tokens.unexpected("the token endpoint gives no refresh token")),
        }
    }
}
