//! Signing on and off at the bank: the authorization code flow with PKCE (OIDC Core, section 3.1; RFC 7636), and RP-initiated
//! logout.

use countersign_protocol::{
    encoding,
    id_token::{self, Expected, IdTokenClaims, IdTokenError},
    jose,
    jwk::JwkSet,
    secret::Secret,
    time::{Clock, SystemClock},
};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::{Site, Visitor, keep, unguessable};

/// A sign-on that has begun.
pub struct Begun {
    state: String,
    nonce: String,
    verifier: String,
}

/// Why nobody is signed on.
#[derive(Debug, thiserror::Error)]
pub enum SignOnError {
    /// This browser has not begun it.
    #[error("this sign-on was begun in another browser, or too long ago")]
    Unknown,
    /// The platform has signed nobody on.
    #[error("{0}")]
    Refused(String),
    /// The platform does not answer as it must.
    #[error("the platform does not answer: {0}")]
    Platform(#[from] reqwest::Error),
    /// The answer is none.
    #[error("the platform's answer cannot be read: {0}")]
    Answer(#[from] serde_json::Error),
    /// The token is not good.
    #[error("the ID token is not good: {0}")]
    Token(#[from] IdTokenError),
    /// An address is none.
    #[error(transparent)]
    Url(#[from] url::ParseError),
}

#[derive(Deserialize)]
struct Tokens {
    id_token: Secret<String>,
    access_token: Secret<String>,
}

impl Site {
    /// Begins a sign-on: where to send the browser, and the state that it must remember.
    pub fn begin(&self) -> Result<(String, String), SignOnError> {
        let begun = Begun { state: unguessable(), nonce: unguessable(), verifier: unguessable() };
        let challenge = encoding::encode(jose::digest(&begun.verifier));
        let client_id = self.bank.web.to_string();
        let parameters = [
            ("client_id", &*client_id),
            ("response_type", "code"),
            ("scope", "openid profile"),
            ("redirect_uri", &self.callback),
            ("state", &begun.state),
            ("nonce", &begun.nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        let url = Url::parse_with_params(&format!("{}/authorize", self.issuer), parameters)?;
        let state = begun.state.clone();
        self.visits(|visits| keep(&mut visits.begun, begun));
        Ok((url.into(), state))
    }

    /// Ends a sign-on with the code that came back: the session of who is signed on.
    pub async fn finish(&self, state: &str, code: &str) -> Result<String, SignOnError> {
        let begun = self.take(state).ok_or(SignOnError::Unknown)?;
        let tokens = self.redeem(code, &begun.verifier).await?;
        let claims = self.verify(&tokens.id_token, &begun.nonce).await?;
        let name = self.name(&tokens.access_token, &claims.sub).await?;
        let visitor = Visitor { id: claims.sub, name, amr: claims.amr, id_token: tokens.id_token };
        let session = unguessable();
        self.visits(|visits| keep(&mut visits.sessions, (session.clone(), visitor)));
        Ok(session)
    }

    /// Forgets a sign-on that has failed.
    pub fn give_up(&self, state: &str) {
        self.take(state);
    }

    /// Ends a session: where to send the browser, so that the platform's session ends too.
    pub fn end(&self, session: &str) -> String {
        let ended = self.visits(|visits| {
            let at = visits.sessions.iter().position(|(id, _)| id == session)?;
            visits.sessions.remove(at)
        });
        let Some((_, visitor)) = ended else { return self.home.clone() };
        let parameters = [
            ("id_token_hint", visitor.id_token.expose().as_str()),
            ("post_logout_redirect_uri", &self.home),
        ];
        let url = Url::parse_with_params(&format!("{}/signoff", self.issuer), parameters);
        url.map_or_else(|_| self.home.clone(), Into::into)
    }

    fn take(&self, state: &str) -> Option<Begun> {
        self.visits(|visits| {
            let at = visits.begun.iter().position(|begun| begun.state == state)?;
            visits.begun.remove(at)
        })
    }

    async fn redeem(&self, code: &str, verifier: &str) -> Result<Tokens, SignOnError> {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.callback),
            ("code_verifier", verifier),
        ];
        let (id, secret) = (self.bank.web.to_string(), self.bank.web_secret.expose());
        let request = self.client.post(format!("{}/token", self.issuer)).form(&fields);
        let answer = request.basic_auth(id, Some(secret)).send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        if !status.is_success() {
            return Err(SignOnError::Refused(text));
        }
        Ok(serde_json::from_str(&text)?)
    }

    async fn verify(
        &self,
        token: &Secret<String>,
        nonce: &str,
    ) -> Result<IdTokenClaims, SignOnError> {
        let text = self.client.get(format!("{}/jwks", self.issuer)).send().await?.text().await?;
        let keys: JwkSet = serde_json::from_str(&text)?;
        let audience = self.bank.web.to_string();
        let expected = Expected {
            issuer: &self.issuer,
            audience: &audience,
            nonce: Some(nonce),
            max_age_seconds: None,
        };
        Ok(id_token::verify(token.expose(), &keys, &expected, SystemClock.now())?)
    }

    /// What the person is called, from the userinfo endpoint.
    async fn name(&self, token: &Secret<String>, subject: &str) -> Result<String, SignOnError> {
        let request = self.client.get(format!("{}/userinfo", self.issuer));
        let answer = request.bearer_auth(token.expose()).send().await?.text().await?;
        let claims: Value = serde_json::from_str(&answer)?;
        // OIDC Core, section 5.3.4: it must be about the same subject.
        if claims.get("sub").and_then(Value::as_str) != Some(subject) {
            return Err(SignOnError::Refused("the userinfo is about somebody else".to_owned()));
        }
        let part = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
        let known = || self.bank.person(subject).map(|person| person.name.clone());
        Ok(part("name").or_else(known).or_else(|| part("preferred_username")).unwrap_or_default())
    }
}
