//! Device authorization end to end: authorize with a mobile payload, the flow that is completed at once, the code, the
//! tokens.

use std::sync::Arc;

use countersign_protocol::{
    encoding,
    entropy::{SystemEntropy, random},
    jose::{self, Algorithm},
    time::{Clock, SystemClock},
};
use form_urlencoded::Serializer;
use hyper::StatusCode;

use crate::{
    LoadError,
    bank::{Bank, REDIRECT_URI, username},
    connection::{Answer, Connection},
    drive::Scenario,
    phone::Phone,
};

/// What all clients share.
struct Requests {
    issuer: String,
    authorize: String,
    token: String,
    form: String,
}

/// One client: the apps on some phones, used one after another.
pub struct DeviceAuthorization {
    requests: Arc<Requests>,
    phones: Vec<(String, Phone)>,
    next: usize,
}

impl DeviceAuthorization {
    /// So many clients, which share the phones of a bank out among themselves.
    pub fn clients(
        bank: &Bank,
        algorithm: Algorithm,
        count: usize,
    ) -> Result<Vec<Self>, LoadError> {
        let application = bank.application(algorithm);
        let requests = Arc::new(Requests::new(bank, application));
        let client = || Self { requests: Arc::clone(&requests), phones: Vec::new(), next: 0 };
        let mut clients: Vec<Self> = (0..count).map(|_| client()).collect();
        for (index, number) in bank.driven_users().enumerate() {
            if let Some(client) = clients.get_mut(index % count) {
                client.phones.push((username(number), Phone::of(number, application)?));
            }
        }
        if clients.iter().any(|client| client.phones.is_empty()) {
            return Err(LoadError::other("each connection needs a phone of its own"));
        }
        Ok(clients)
    }
}

impl Requests {
    fn new(bank: &Bank, application: &str) -> Self {
        let query = Serializer::new(String::new())
            .append_pair("client_id", application)
            .append_pair("response_type", "code")
            .append_pair("response_mode", "pi.flow")
            .append_pair("redirect_uri", REDIRECT_URI)
            .append_pair("scope", "openid")
            .append_pair("code_challenge_method", "S256")
            .finish();
        let form = Serializer::new(String::new())
            .append_pair("grant_type", "authorization_code")
            .append_pair("client_id", application)
            .append_pair("redirect_uri", REDIRECT_URI)
            .finish();
        Self {
            issuer: bank.issuer.clone(),
            authorize: format!("{}?{query}", bank.path("/as/authorize")),
            token: bank.path("/as/token"),
            form,
        }
    }
}

impl Scenario for DeviceAuthorization {
    async fn round(&mut self, connection: &mut Connection) -> Result<(), LoadError> {
        self.sign_on(connection).await.map(drop)
    }
}

impl DeviceAuthorization {
    /// Signs in with the next phone, and gives what the token endpoint says.
    pub(crate) async fn sign_on(
        &mut self,
        connection: &mut Connection,
    ) -> Result<Answer, LoadError> {
        let Some((username, phone)) = self.phones.get(self.next % self.phones.len()) else {
            return Err(LoadError::other("a client has no phone"));
        };
        self.next += 1;
        let Requests { issuer, authorize, token, form } = self.requests.as_ref();
        let payload = phone.payload(issuer, SystemClock.now(), &SystemEntropy);
        let verifier = encoding::encode(random::<32>(&SystemEntropy));
        let challenge = encoding::encode(jose::digest(&verifier));
        // All of these are in the alphabet of base64url or plain names, and need no escapes.
        let path = format!(
            "{authorize}&login_hint={username}&code_challenge={challenge}&mobilePayload={payload}"
        );
        let flow = connection.get(&path).await?;
        let code = match flow.text_member("code") {
            Some(code) if flow.status == StatusCode::OK => code,
            Some(_) | None => return Err(flow.unexpected("authorize gives no code")),
        };
        let form = format!("{form}&code={code}&code_verifier={verifier}");
        let tokens = connection.post_form(token, form).await?;
        match tokens.text_member("id_token") {
            Some(_) if tokens.status == StatusCode::OK => Ok(tokens),
            Some(_) | None => Err(tokens.unexpected("the token endpoint gives no ID token")),
        }
    }
}
