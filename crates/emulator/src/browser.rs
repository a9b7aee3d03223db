//! A browser without a screen: cookies, forms, redirects, and the flow API; it stops where the app
//! would take over.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::{Certificate, Client, Method, Response, redirect};
use serde_json::Value;
use url::Url;

const TIMEOUT: Duration = Duration::from_secs(30);

/// A page leads to the next at most this often.
const MAX_REDIRECTS: u32 = 10;

/// Where a visit ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The address of the page.
    pub url: String,
    /// Its status.
    pub status: u16,
    /// Where it leads: set only when that is the app's own address, to which a browser hands over.
    pub location: Option<String>,
    /// Its text.
    pub body: String,
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum BrowserError {
    /// No answer.
    #[error("no answer: {0}")]
    Http(#[from] reqwest::Error),
    /// An address is not one.
    #[error("not an address: {0}")]
    Url(#[from] url::ParseError),
    /// Pages lead to one another without end.
    #[error("more than {MAX_REDIRECTS} redirects")]
    TooManyRedirects,
    /// The page is not JSON.
    #[error("not JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl Page {
    /// The text as JSON.
    pub fn json(&self) -> Result<Value, BrowserError> {
        Ok(serde_json::from_str(&self.body)?)
    }

    /// The parameter `name` of where it leads: `code`, `state`, `error`.
    #[must_use]
    pub fn location_parameter(&self, name: &str) -> Option<String> {
        let query = self.location.as_ref()?.split_once('?')?.1;
        let query = query.split('#').next().unwrap_or_default();
        let mut parameters = form_urlencoded::parse(query.as_bytes());
        parameters.find(|(other, _)| other == name).map(|(_, value)| value.into_owned())
    }
}

/// A browser with its own cookies.
#[derive(Debug, Clone)]
pub struct Browser {
    client: Client,
    redirect_uri: String,
}

impl Browser {
    /// A browser on the device of an app that listens at `redirect_uri`. It also trusts the PEM
    /// certificates in `extra_roots`, which may be empty.
    pub fn new(redirect_uri: &str, extra_roots: &[u8]) -> Result<Self, BrowserError> {
        let client = Client::builder()
            .cookie_store(true)
            .timeout(TIMEOUT)
            // Followed by hand: an app's address need not be http.
            .redirect(redirect::Policy::none())
            .tls_certs_merge(Certificate::from_pem_bundle(extra_roots)?)
            .build()?;
        Ok(Self { client, redirect_uri: redirect_uri.to_owned() })
    }

    /// Begins an authorization at `issuer`.
    pub async fn authorize(
        &self,
        issuer: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Page, BrowserError> {
        let url = Url::parse_with_params(&format!("{issuer}/authorize"), parameters)?;
        self.visit(url.as_str()).await
    }

    /// Visits `url`.
    pub async fn visit(&self, url: &str) -> Result<Page, BrowserError> {
        let url = Url::parse(url)?;
        self.follow(self.client.get(url).send().await?).await
    }

    /// Sends a form to `url`.
    pub async fn submit(&self, url: &str, fields: &[(&str, &str)]) -> Result<Page, BrowserError> {
        let url = Url::parse(url)?;
        self.follow(self.client.post(url).form(fields).send().await?).await
    }

    /// Does one step of a flow with own screens: posts `body` to `flow_url` as `media_type`, which
    /// names the step.
    pub async fn action(
        &self,
        flow_url: &str,
        media_type: &str,
        body: &Value,
    ) -> Result<Page, BrowserError> {
        let request = self
            .client
            .request(Method::POST, Url::parse(flow_url)?)
            .header(CONTENT_TYPE, media_type)
            .body(body.to_string());
        self.follow(request.send().await?).await
    }

    /// Asks the token endpoint of `issuer`, as the app does when it got a code.
    pub async fn token(
        &self,
        issuer: &str,
        fields: &[(&str, &str)],
    ) -> Result<Value, BrowserError> {
        self.submit(&format!("{issuer}/token"), fields).await?.json()
    }

    async fn follow(&self, mut answer: Response) -> Result<Page, BrowserError> {
        for _ in 0..MAX_REDIRECTS {
            let location = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            let location = location.filter(|_| answer.status().is_redirection());
            let Some(location) = location.map(str::to_owned) else {
                return page(answer, None).await;
            };
            if location.starts_with(&self.redirect_uri) {
                return page(answer, Some(location)).await;
            }
            answer = self.client.get(answer.url().join(&location)?).send().await?;
        }
        Err(BrowserError::TooManyRedirects)
    }
}

async fn page(answer: Response, location: Option<String>) -> Result<Page, BrowserError> {
    let (url, status) = (answer.url().to_string(), answer.status().as_u16());
    Ok(Page { url, status, location, body: answer.text().await? })
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::task::JoinHandle;

    use super::*;

    const REDIRECT_URI: &str = "org.bank.app:/callback";
    const BODY: &str = r#"{"status":""}"#;

    /// Answers one request after the other, with these heads, and gives the requests in the end.
    async fn server(answers: &'static [&'static str]) -> (String, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}/e/as", listener.local_addr().unwrap());
        let served = tokio::spawn(async move {
            let mut requests = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                requests.push(receive(&mut stream).await);
                let text = format!(
                    "HTTP/1.1 {answer}Connection: close\r\nContent-Length: 13\r\n\r\n{BODY}"
                );
                stream.write_all(text.as_bytes()).await.unwrap();
            }
            requests
        });
        (issuer, served)
    }

    /// Reads head and body, so that nothing is unread when the connection is closed.
    async fn receive(stream: &mut TcpStream) -> String {
        let mut request = String::new();
        loop {
            if let Some((head, body)) = request.split_once("\r\n\r\n") {
                let length = head.split_once("content-length: ").map_or("0", |(_, rest)| rest);
                if body.len() >= length.lines().next().unwrap().parse().unwrap() {
                    return request;
                }
            }
            let mut chunk = [0; 4_096];
            let length = stream.read(&mut chunk).await.unwrap();
            request.push_str(std::str::from_utf8(&chunk[..length]).unwrap());
        }
    }

    #[tokio::test]
    async fn redirects_are_followed_with_cookies_up_to_the_app() {
        let (issuer, served) = server(&[
            "302 Found\r\nLocation: /e/flow\r\nSet-Cookie: a=1; Path=/\r\n",
            "303 See Other\r\nLocation: org.bank.app:/callback?code=c%2B1&state=s\r\n",
        ])
        .await;
        let browser = Browser::new(REDIRECT_URI, b"").unwrap();
        let page = browser.authorize(&issuer, &[("scope", "openid profile")]).await.unwrap();
        assert_eq!(page.status, 303);
        assert_eq!(page.location_parameter("code").as_deref(), Some("c+1"));
        assert_eq!(page.location_parameter("error"), None);
        let requests = served.await.unwrap();
        assert!(requests[0].starts_with("GET /e/as/authorize?scope=openid+profile "));
        assert!(requests[1].starts_with("GET /e/flow ") && requests[1].contains("cookie: a=1"));
    }

    #[tokio::test]
    async fn a_step_of_a_flow_is_named_by_its_media_type() {
        let (issuer, served) =
            server(&["200 OK\r\nContent-Length: 13\r\nConnection: close\r\n\r\n{\"status\":\"\"}"])
                .await;
        let browser = Browser::new(REDIRECT_URI, b"").unwrap();
        let page =
            browser.action(&issuer, "application/x+json", &serde_json::json!({"a": 1})).await;
        assert_eq!(page.unwrap().json().unwrap(), serde_json::json!({"status": ""}));
        let request = served.await.unwrap().remove(0);
        assert!(request.contains("content-type: application/x+json"), "{request}");
        assert!(request.ends_with(r#"{"a":1}"#), "{request}");
    }
}
