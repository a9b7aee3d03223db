//! One sign-on of an app at the bank. Every step tells an answer from silence: an answer that says that nothing could be decided
//! counts as none.

use std::error::Error;

use countersign_emulator::{Browser, BrowserError, Page};
use countersign_protocol::{
    encoding,
    entropy::{SystemEntropy, random},
    jose,
};
use serde_json::{Value, json};

use super::site::{ASKING, PASSWORD, Site};
use crate::{LoadError, bank::REDIRECT_URI};

/// What an app keeps of a sign-on.
#[derive(Clone)]
pub(super) struct Session {
    browser: Browser,
    issuer: String,
    application: String,
    /// The sign-on policy that is asked for; none: that of the application.
    policy: Option<&'static str>,
    verifier: String,
}

/// Why a step has no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unanswered {
    /// Nothing came.
    #[error("{}", with_causes(.0))]
    Lost(#[from] BrowserError),
    /// The server says that it could decide nothing, or the limits of requests have refused it before anything was looked at.
    #[error("status {status}, {body}")]
    Undecided { status: u16, body: String },
    /// The flow has no step that could be taken.
    #[error("the flow does not go on: {0}")]
    Ended(Value),
}

pub(super) type Answer = Result<Value, Unanswered>;

/// A browser that can be shared by sessions: its set-up is dear.
pub(super) fn browser() -> Result<Browser, LoadError> {
    Browser::new(REDIRECT_URI, b"").map_err(|error| LoadError::other(error.to_string()))
}

impl Session {
    /// A new sign-on at the native app, or at the web site.
    pub fn new(browser: &Browser, site: &Site, is_native: bool) -> Self {
        let application = if is_native { &site.native } else { &site.web };
        Self {
            browser: browser.clone(),
            issuer: site.issuer.clone(),
            application: application.clone(),
            policy: None,
            verifier: encoding::encode(random::<32>(&SystemEntropy)),
        }
    }

    /// A sign-on under the policy that asks phones by push: silently on the phone, visibly at the web site.
    pub fn asking(browser: &Browser, site: &Site, is_silent: bool) -> Self {
        Self { policy: Some(ASKING), ..Self::new(browser, site, is_silent) }
    }

    /// Begins a flow, with a mobile payload if there is one.
    pub async fn begin(&self, payload: Option<&str>) -> Answer {
        let challenge = encoding::encode(jose::digest(&self.verifier));
        let mut parameters = vec![
            ("client_id", self.application.as_str()),
            ("response_type", "code"),
            ("response_mode", "pi.flow"),
            ("redirect_uri", REDIRECT_URI),
            ("scope", "openid"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            // A passcode leaves a session in the browser, and whoever has one is not asked.
            ("prompt", "login"),
        ];
        parameters.extend(payload.map(|payload| ("mobilePayload", payload)));
        parameters.extend(self.policy.map(|policy| ("acr_values", policy)));
        decided(self.browser.authorize(&self.issuer, &parameters).await)
    }

    /// Gives the password.
    pub async fn password(&self, flow: &Value, username: &str) -> Answer {
        let credentials = json!({ "username": username, "password": PASSWORD });
        self.act(flow, "usernamePassword.check", &credentials).await
    }

    /// Gives a passcode.
    pub async fn passcode(&self, flow: &Value, passcode: &str) -> Answer {
        self.act(flow, "otp.check", &json!({ "otp": passcode })).await
    }

    /// Looks how far a flow is.
    pub async fn look(&self, flow: &Value) -> Answer {
        let href = flow.pointer("/_links/self/href").and_then(Value::as_str);
        let href = href.ok_or_else(|| Unanswered::Ended(flow.clone()))?;
        decided(self.browser.visit(href).await)
    }

    async fn act(&self, flow: &Value, action: &str, body: &Value) -> Answer {
        let href = flow.pointer("/_links/self/href").and_then(Value::as_str);
        let href = href.ok_or_else(|| Unanswered::Ended(flow.clone()))?;
        let media_type = format!("application/vnd.pingidentity.{action}+json");
        decided(self.browser.action(href, &media_type, body).await)
    }

    /// Presents a refresh token.
    pub async fn refresh(&self, token: &str) -> Answer {
        let fields = [
            ("grant_type", "refresh_token"),
            ("refresh_token", token),
            ("client_id", &self.application),
        ];
        decided(self.browser.submit(&format!("{}/token", self.issuer), &fields).await)
    }

    /// Redeems a code.
    pub async fn redeem(&self, code: &str) -> Answer {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT_URI),
            ("client_id", &self.application),
            ("code_verifier", &self.verifier),
        ];
        decided(self.browser.submit(&format!("{}/token", self.issuer), &fields).await)
    }
}

/// The answer of a server that must answer.
pub(super) fn answered(answer: Answer) -> Result<Value, LoadError> {
    answer.map_err(|why| {
        LoadError::other(format!("the server that was just started does not answer: {why}"))
    })
}

fn decided(page: Result<Page, BrowserError>) -> Answer {
    let page = page?;
    if page.status >= 500 || page.status == 429 {
        return Err(Unanswered::Undecided { status: page.status, body: page.body });
    }
    Ok(page.json()?)
}

/// An error of the network names only the address; what went wrong is in its causes.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// The status of a flow, or the code of the error that came instead.
pub(super) fn status(answer: &Value) -> &str {
    let member = answer.get("status").or_else(|| answer.get("code"));
    member.and_then(Value::as_str).unwrap_or_default()
}

/// The code of a completed flow.
pub(super) fn code_of(flow: &Value) -> Option<String> {
    flow.pointer("/authorizeResponse/code")?.as_str().map(str::to_owned)
}

/// The refresh token of a token answer.
pub(super) fn refresh_token_of(answer: &Value) -> Option<String> {
    answer.get("refresh_token")?.as_str().map(str::to_owned)
}

/// The ID token of a token answer, which is there only when the code counted.
pub(super) fn id_token_of(answer: &Value) -> Option<String> {
    answer.get("id_token")?.as_str().map(str::to_owned)
}
