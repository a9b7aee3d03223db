//! Requests to the router and its answers, without a network between them.

use std::net::{IpAddr, SocketAddr};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::ConnectInfo,
};
use http::{HeaderMap, Method, Request, StatusCode};
use serde_json::Value;
use tower::ServiceExt;
use url::Url;

pub const FORM: &str = "application/x-www-form-urlencoded";
pub const JSON: &str = "application/json";

/// The way to the server.
#[derive(Clone)]
pub struct Wire {
    router: Router,
    remote: Option<IpAddr>,
}

impl Wire {
    pub const fn new(router: Router) -> Self {
        Self { router, remote: None }
    }

    /// From now on requests come from this address.
    pub fn come_from(&mut self, address: &str) {
        self.remote = Some(address.parse().unwrap());
    }

    /// The server itself, for answers that break the promises of others.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// Sends a request. Whatever a test asks, the answer keeps the promises of all answers.
    pub async fn send(&self, mut request: Request<Body>) -> Answer {
        if let Some(remote) = self.remote {
            request.extensions_mut().insert(ConnectInfo(SocketAddr::new(remote, 4711)));
        }
        // Boxed, since every test would carry its room about.
        let response = Box::pin(self.router.clone().oneshot(request)).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let answer = Answer { status: parts.status, headers: parts.headers, body };
        answer.keeps_promises();
        answer
    }

    pub async fn get(&self, url: &str) -> Answer {
        self.send(get(url)).await
    }
}

pub fn get(url: &str) -> Request<Body> {
    request(Method::GET, url)
}

pub fn post(url: &str, media_type: &str, body: impl Into<Body>) -> Request<Body> {
    let posted = request(Method::POST, url).map(|_| body.into());
    with(posted, "content-type", media_type)
}

/// A request to the path and query of `url`, as a server gets it.
pub fn request(method: Method, url: &str) -> Request<Body> {
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |slash| &rest[slash..]),
        None => url,
    };
    Request::builder().method(method).uri(path).body(Body::empty()).unwrap()
}

pub fn with(mut request: Request<Body>, name: &'static str, value: &str) -> Request<Body> {
    request.headers_mut().append(name, value.parse().unwrap());
    request
}

/// The members of a query or a form, in their order.
#[derive(Clone, Debug, Default)]
pub struct Members(Vec<(String, String)>);

impl Members {
    /// With this value, instead of the one that is there.
    pub fn with(self, name: &str, value: &str) -> Self {
        self.without(name).and(name, value)
    }

    /// With one more value, even if there is one.
    pub fn and(mut self, name: &str, value: &str) -> Self {
        self.0.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.0.retain(|(other, _)| other != name);
        self
    }

    pub fn encoded(&self) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.0).finish()
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Members {
    fn from(members: [(&str, &str); N]) -> Self {
        Self(members.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec())
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    pub fn media_type(&self) -> &str {
        self.header("content-type").split(';').next().unwrap()
    }

    /// Where it redirects to.
    pub fn location(&self) -> Option<&str> {
        self.headers.get("location").map(|value| value.to_str().unwrap())
    }

    /// A member of the query of where it redirects to.
    pub fn returned(&self, name: &str) -> Option<String> {
        let url = Url::parse(self.location()?).unwrap();
        url.query_pairs().find(|(other, _)| other == name).map(|(_, value)| value.into_owned())
    }

    /// `code` of an error envelope, and code and target of its first detail.
    pub fn problem(&self) -> (String, String, String) {
        let body = self.json();
        let text = |pointer| body.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        (
            text("/code").to_owned(),
            text("/details/0/code").to_owned(),
            text("/details/0/target").to_owned(),
        )
    }

    #[track_caller]
    pub fn must_be(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// It is one that says no.
    #[track_caller]
    pub fn must_be_refused(self) -> Self {
        assert!(self.status.is_client_error(), "{self:?}");
        self
    }

    fn keeps_promises(&self) {
        let id = self.header("correlation-id");
        assert!(id.len() == 36, "no Correlation-Id: {self:?}");
        assert!(!self.status.is_server_error(), "the server failed: {self:?}");
        assert_eq!(self.header("x-content-type-options"), "nosniff", "{self:?}");
        assert_eq!(self.header("referrer-policy"), "no-referrer", "{self:?}");
        assert!(!self.header("cache-control").is_empty(), "{self:?}");
        // Answers to HEAD have no body.
        if self.media_type() == JSON && self.status.is_client_error() && !self.body.is_empty() {
            let body = self.json();
            assert!(body.get("id").is_none_or(|told| told == id), "{self:?}");
        }
    }
}
