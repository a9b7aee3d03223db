//! One sign-on of an app at the bank. Every step gives nothing where there was no answer, or one that says that nothing could
//! be decided.

use countersign_emulator::{Browser, BrowserError, Page};
use countersign_protocol::{
    encoding,
    entropy::{SystemEntropy, random},
    jose,
};
use serde_json::{Value, json};

use super::site::{PASSWORD, Site};
use crate::{LoadError, bank::REDIRECT_URI};

/// What an app keeps of a sign-on.
#[derive(Clone)]
pub(super) struct Session {
    browser: Browser,
    issuer: String,
    application: String,
    verifier: String,
}

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
            verifier: encoding::encode(random::<32>(&SystemEntropy)),
        }
    }

    /// Begins a flow, with a mobile payload if there is one.
    pub async fn begin(&self, payload: Option<&str>) -> Option<Value> {
        let challenge = encoding::encode(jose::digest(&self.verifier));
        let mut parameters = vec![
            ("client_id", self.application.as_str()),
            ("response_type", "code"),
            ("response_mode", "pi.flow"),
            ("redirect_uri", REDIRECT_URI),
            ("scope", "openid"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        parameters.extend(payload.map(|payload| ("mobilePayload", payload)));
        decided(self.browser.authorize(&self.issuer, &parameters).await)
    }

    /// Gives the password.
    pub async fn password(&self, flow: &Value, username: &str) -> Option<Value> {
        let credentials = json!({ "username": username, "password": PASSWORD });
        self.act(flow, "usernamePassword.check", &credentials).await
    }

    /// Gives a passcode.
    pub async fn passcode(&self, flow: &Value, passcode: &str) -> Option<Value> {
        self.act(flow, "otp.check", &json!({ "otp": passcode })).await
    }

    async fn act(&self, flow: &Value, action: &str, body: &Value) -> Option<Value> {
        let href = flow.pointer("/_links/self/href")?.as_str()?;
        let media_type = format!("application/vnd.pingidentity.{action}+json");
        decided(self.browser.action(href, &media_type, body).await)
    }

    /// Redeems a code.
    pub async fn redeem(&self, code: &str) -> Option<Value> {
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

fn decided(page: Result<Page, BrowserError>) -> Option<Value> {
    // 429: the limits of requests have refused it, before anything was looked at.
    let page = page.ok().filter(|page| page.status < 500 && page.status != 429)?;
    page.json().ok()
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

/// The ID token of a token answer, which is there only when the code counted.
pub(super) fn id_token_of(answer: &Value) -> Option<String> {
    answer.get("id_token")?.as_str().map(str::to_owned)
}
