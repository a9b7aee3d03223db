//! A sign-on in the bank's app, on screens of its own: the flow API of the platform (`response_mode=pi.flow`).

use countersign_emulator::{Browser, BrowserError};
use countersign_protocol::{
    encoding,
    entropy::{SystemEntropy, random},
    jose,
};
use serde_json::{Value, json};

use crate::bank::APP_REDIRECT_URI;

/// A sign-on that has begun.
pub struct SignIn {
    browser: Browser,
    issuer: String,
    client_id: String,
    verifier: String,
    flow: String,
}

/// How far it has come.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Signed in, with this ID token.
    Done { id_token: String },
    /// A passcode is asked for.
    Passcode,
    /// A phone is asked. This number is to be picked there, if it is to be matched.
    Waiting { number: Option<String> },
    /// What was sent does not count, for this reason; the same is asked again.
    Problem(String),
    /// It is over.
    Refused(String),
}

impl SignIn {
    /// Begins one with a mobile payload, and sends name and password.
    pub async fn begin(
        issuer: &str,
        client_id: &str,
        payload: &str,
        (username, password): (&str, &str),
    ) -> Result<(Self, Step), BrowserError> {
        let browser = Browser::new(APP_REDIRECT_URI, b"")?;
        let verifier = encoding::encode(random::<32>(&SystemEntropy));
        let challenge = encoding::encode(jose::digest(&verifier));
        let parameters = [
            ("client_id", client_id),
            ("response_type", "code"),
            ("response_mode", "pi.flow"),
            ("redirect_uri", APP_REDIRECT_URI),
            ("scope", "openid profile"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("mobilePayload", payload),
        ];
        let begun = browser.authorize(issuer, &parameters).await?.json()?;
        let flow = text(&begun, "/_links/self/href").unwrap_or_default();
        let (issuer, client_id) = (issuer.to_owned(), client_id.to_owned());
        let sign_in = Self { browser, issuer, client_id, verifier, flow };
        let status = text(&begun, "/status");
        if status.as_deref() != Some("USERNAME_PASSWORD_REQUIRED") {
            let step = sign_in.step(&begun).await?;
            return Ok((sign_in, step));
        }
        let credentials = json!({ "username": username, "password": password });
        let step = sign_in.act("usernamePassword.check", &credentials).await?;
        Ok((sign_in, step))
    }

    /// Sends a passcode.
    pub async fn check_passcode(&self, passcode: &str) -> Result<Step, BrowserError> {
        self.act("otp.check", &json!({ "otp": passcode })).await
    }

    /// Looks how far it has come.
    pub async fn read(&self) -> Result<Step, BrowserError> {
        let body = self.browser.visit(&self.flow).await?.json()?;
        self.step(&body).await
    }

    async fn act(&self, action: &str, body: &Value) -> Result<Step, BrowserError> {
        let media_type = format!("application/vnd.pingidentity.{action}+json");
        let answer = self.browser.action(&self.flow, &media_type, body).await?.json()?;
        self.step(&answer).await
    }

    async fn step(&self, body: &Value) -> Result<Step, BrowserError> {
        let Some(status) = text(body, "/status") else {
            let why = text(body, "/details/0/message").or_else(|| text(body, "/message"));
            return Ok(Step::Problem(why.unwrap_or_else(|| "something went wrong".to_owned())));
        };
        Ok(match &*status {
            "COMPLETED" => {
                let code = text(body, "/authorizeResponse/code").unwrap_or_default();
                self.redeem(&code).await?
            }
            "OTP_REQUIRED" => Step::Passcode,
            "PUSH_CONFIRMATION_REQUIRED" => {
                Step::Waiting { number: text(body, "/numberMatching/number") }
            }
            "PUSH_CONFIRMATION_TIMED_OUT" => {
                Step::Refused("The other phone did not answer in time.".to_owned())
            }
            _ => {
                let why = text(body, "/authorizeResponse/error_description");
                Step::Refused(why.unwrap_or(status))
            }
        })
    }

    async fn redeem(&self, code: &str) -> Result<Step, BrowserError> {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", APP_REDIRECT_URI),
            ("client_id", &self.client_id),
            ("code_verifier", &self.verifier),
        ];
        let tokens = self.browser.token(&self.issuer, &fields).await?;
        Ok(match text(&tokens, "/id_token") {
            Some(id_token) => Step::Done { id_token },
            None => Step::Refused("The platform gave no tokens.".to_owned()),
        })
    }
}

fn text(body: &Value, pointer: &str) -> Option<String> {
    body.pointer(pointer)?.as_str().map(str::to_owned)
}

/// Who an ID token is about, once the SDK has verified it.
pub fn subject(id_token: &str) -> Option<String> {
    let claims = encoding::decode(id_token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    text(&claims, "/sub")
}
