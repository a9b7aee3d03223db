//! The plain code flow in a browser that has a session: authorize, the redirect with the code, the tokens.

use countersign_protocol::{
    encoding,
    entropy::{SystemEntropy, random},
    jose,
};
use form_urlencoded::Serializer;
use hyper::StatusCode;

use crate::{
    LoadError,
    bank::{Bank, REDIRECT_URI},
    connection::Connection,
    device_authorization::DeviceAuthorization,
    drive::Scenario,
};

/// One browser. Its first round begins the session, with a phone.
pub struct CodeFlow {
    phone: DeviceAuthorization,
    session: Option<String>,
    authorize: String,
    token: String,
    form: String,
}

impl CodeFlow {
    /// So many browsers, each of another user.
    pub fn clients(
        bank: &Bank,
        algorithm: jose::Algorithm,
        count: usize,
    ) -> Result<Vec<Self>, LoadError> {
        let application = bank.application(algorithm);
        let query = Serializer::new(String::new())
            .append_pair("client_id", application)
            .append_pair("response_type", "code")
            .append_pair("redirect_uri", REDIRECT_URI)
            .append_pair("scope", "openid")
            .append_pair("state", "6PZ0_ktMNbLbGE2E")
            .append_pair("code_challenge_method", "S256")
            .finish();
        let form = Serializer::new(String::new())
            .append_pair("grant_type", "authorization_code")
            .append_pair("client_id", application)
            .append_pair("redirect_uri", REDIRECT_URI)
            .finish();
        let client = |phone| Self {
            phone,
            session: None,
            authorize: format!("{}?{query}", bank.path("/as/authorize")),
            token: bank.path("/as/token"),
            form: form.clone(),
        };
        let phones = DeviceAuthorization::clients(bank, algorithm, count)?;
        Ok(phones.into_iter().map(client).collect())
    }
}

impl Scenario for CodeFlow {
    async fn round(&mut self, connection: &mut Connection) -> Result<(), LoadError> {
        let Some(session) = &self.session else {
            self.session = Some(self.phone.sign_on(connection).await?.session);
            return Ok(());
        };
        let verifier = encoding::encode(random::<32>(&SystemEntropy));
        let challenge = encoding::encode(jose::digest(&verifier));
        let path = format!("{}&code_challenge={challenge}", self.authorize);
        let sent = connection.get_with(&path, session).await?;
        let code = sent.location_parameter("code");
        let code =
            code.ok_or_else(|| sent.unexpected("authorize does not redirect with a code"))?;
        let form = format!("{}&code={code}&code_verifier={verifier}", self.form);
        let tokens = connection.post_form(&self.token, form).await?;
        match tokens.text_member("id_token") {
            Some(_) if tokens.status == StatusCode::OK => Ok(()),
            Some(_) | None => Err(tokens.unexpected("the token endpoint gives no ID token")),
        }
    }
}
