//! The plain code flow in a browser that has a session: authorize, the redirect with the code, the tokens.

use countersign_protocol::{
    encoding,
    entropy::{SystemEntropy, random},
    jose,
};
use form_urlencoded::Serializer;
use hyper::StatusCode;
use serde_json::json;

use crate::{
    LoadError,
    bank::{Bank, PASSWORD, PEOPLE, REDIRECT_URI, person},
    connection::Connection,
    drive::Scenario,
};

const PASSWORD_CHECK: &str = "application/vnd.pingidentity.usernamePassword.check+json";

/// One browser. Its first round begins the session, with a password.
pub struct CodeFlow {
    username: String,
    session: Option<String>,
    authorize: String,
    flows: String,
    token: String,
    form: String,
}

impl CodeFlow {
    /// So many browsers, each of another user.
    pub fn clients(bank: &Bank, count: usize) -> Result<Vec<Self>, LoadError> {
        if count > PEOPLE {
            return Err(LoadError::other("each connection needs a user with a password"));
        }
        let query = Serializer::new(String::new())
            .append_pair("client_id", &bank.site)
            .append_pair("response_type", "code")
            .append_pair("redirect_uri", REDIRECT_URI)
            .append_pair("scope", "openid")
            .append_pair("code_challenge_method", "S256")
            .finish();
        let form = Serializer::new(String::new())
            .append_pair("grant_type", "authorization_code")
            .append_pair("client_id", &bank.site)
            .append_pair("redirect_uri", REDIRECT_URI)
            .finish();
        let client = |number| Self {
            username: person(number),
            session: None,
            authorize: format!("{}?{query}", bank.path("/as/authorize")),
            flows: bank.path("/flows"),
            token: bank.path("/as/token"),
            form: form.clone(),
        };
        Ok((0..count).map(client).collect())
    }

    async fn sign_on(&self, connection: &mut Connection) -> Result<String, LoadError> {
        let challenge = encoding::encode(jose::digest("not redeemed"));
        let path = format!("{}&response_mode=pi.flow&code_challenge={challenge}", self.authorize);
        let begun = connection.get(&path).await?;
        let resume = begun.text_member("resumeUrl").and_then(|url| url.split_once("flowId="));
        let (Some((_, flow)), Some(cookie)) = (resume, begun.cookie("ST")) else {
            return Err(begun.unexpected("authorize begins no flow"));
        };
        let path = format!("{}/{flow}", self.flows);
        let password = json!({ "username": self.username, "password": PASSWORD }).to_string();
        let done = connection.post_json(&path, (PASSWORD_CHECK, password), cookie).await?;
        let session = done.cookie("SID-").map(str::to_owned);
        session.ok_or_else(|| done.unexpected("the sign-on begins no session"))
    }
}

impl Scenario for CodeFlow {
    async fn round(&mut self, connection: &mut Connection) -> Result<(), LoadError> {
        let Some(session) = &self.session else {
            self.session = Some(self.sign_on(connection).await?);
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
