//! The back end of a bank: a worker application that calls the platform.

use std::time::Duration;

use reqwest::{Client, Method, header::CONTENT_TYPE};
use serde_json::Value;
use url::Url;

use crate::browser::BrowserError;

const TIMEOUT: Duration = Duration::from_mins(1);

/// A worker application with an access token.
#[derive(Debug, Clone)]
pub struct Backend {
    client: Client,
    base_url: String,
    environment: String,
    token: String,
}

/// What the platform answers to a back end.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The body; null where there is none.
    pub body: Value,
}

impl Backend {
    /// Takes an access token at `issuer`, which ends with `/as` as that of every environment.
    pub async fn sign_in(
        issuer: &str,
        client_id: &str,
        client_secret: &str,
    ) -> Result<Self, BrowserError> {
        let client = Client::builder().timeout(TIMEOUT).build()?;
        let fields = [("grant_type", "client_credentials")];
        let url = Url::parse(&format!("{issuer}/token"))?;
        let request = client.post(url).basic_auth(client_id, Some(client_secret)).form(&fields);
        let answer: Value = serde_json::from_str(&request.send().await?.text().await?)?;
        let token = answer.get("access_token").and_then(Value::as_str).unwrap_or_default();
        let address = issuer.trim_end_matches("/as");
        let (base_url, environment) = address.rsplit_once('/').unwrap_or_default();
        let (base_url, environment) = (base_url.to_owned(), environment.to_owned());
        Ok(Self { client, base_url, environment, token: token.to_owned() })
    }

    /// The id of its environment.
    #[must_use]
    pub fn environment(&self) -> &str {
        &self.environment
    }

    /// Sends a request to a path of the platform.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Reply, BrowserError> {
        let url = Url::parse(&format!("{}{path}", self.base_url))?;
        let mut request = self.client.request(method, url).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        let text = answer.text().await?;
        let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text)? };
        Ok(Reply { status, body })
    }
}
