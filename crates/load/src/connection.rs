//! One HTTP/1.1 connection that is kept alive: hyper without anything around it, so that the load costs little.

use std::net::SocketAddr;

use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, StatusCode,
    body::Bytes,
    client::conn::http1::{self, SendRequest},
    header::{
        CONTENT_TYPE, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue, LOCATION, SET_COOKIE,
    },
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::LoadError;

/// The media type of forms.
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

/// The media type of proofs to the device API.
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A connection to a server.
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: HeaderValue,
}

/// What a server answers.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Connection {
    /// Connects.
    pub async fn open(address: SocketAddr) -> Result<Self, LoadError> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // It ends with the sender. An error of it reaches the sender too.
        tokio::spawn(connection);
        let host = HeaderValue::from_str(&address.to_string());
        Ok(Self { sender, host: host.map_err(hyper::http::Error::from)? })
    }

    /// Asks for `path`, which begins with a slash and may have a query.
    pub async fn get(&mut self, path: &str) -> Result<Answer, LoadError> {
        let request = Request::builder().method(Method::GET).uri(path);
        self.send(request.header(HOST, self.host.clone()).body(Full::default())?).await
    }

    /// Asks as a browser that has this cookie.
    pub async fn get_with(&mut self, path: &str, cookie: &str) -> Result<Answer, LoadError> {
        let request = Request::builder().method(Method::GET).uri(path);
        let request = request.header(HOST, self.host.clone()).header(COOKIE, cookie);
        self.send(request.body(Full::default())?).await
    }

    /// Asks as a browser that has this cookie, and lets the answer wait for up to so many seconds (RFC 7240, section 4.3).
    pub async fn wait_for(
        &mut self,
        path: &str,
        cookie: &str,
        seconds: u8,
    ) -> Result<Answer, LoadError> {
        let request = Request::builder().method(Method::GET).uri(path);
        let request = request.header(HOST, self.host.clone()).header(COOKIE, cookie);
        let request = request.header("prefer", format!("wait={seconds}"));
        self.send(request.body(Full::default())?).await
    }

    /// Posts a proof to `path`.
    pub async fn post_proof(&mut self, path: &str, proof: &str) -> Result<Answer, LoadError> {
        let request = Request::builder().method(Method::POST).uri(path);
        let request = request.header(HOST, self.host.clone()).header(CONTENT_TYPE, JSON);
        self.send(request.body(Full::from(format!(r#"{{"proof":"{proof}"}}"#)))?).await
    }

    /// Sends JSON of this media type to `path`, as a browser that has this cookie.
    pub async fn post_json(
        &mut self,
        path: &str,
        (media_type, json): (&'static str, String),
        cookie: &str,
    ) -> Result<Answer, LoadError> {
        let request = Request::builder().method(Method::POST).uri(path);
        let request = request.header(HOST, self.host.clone()).header(COOKIE, cookie);
        let request = request.header(CONTENT_TYPE, HeaderValue::from_static(media_type));
        self.send(request.body(Full::from(json))?).await
    }

    /// Sends an encoded form to `path`.
    pub async fn post_form(&mut self, path: &str, form: String) -> Result<Answer, LoadError> {
        let request = Request::builder().method(Method::POST).uri(path);
        let request = request.header(HOST, self.host.clone()).header(CONTENT_TYPE, FORM);
        self.send(request.body(Full::from(form))?).await
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, LoadError> {
        self.sender.ready().await?;
        let (head, body) = self.sender.send_request(request).await?.into_parts();
        let (status, headers) = (head.status, head.headers);
        Ok(Answer { status, headers, body: body.collect().await?.to_bytes() })
    }
}

impl Answer {
    /// The text member `name` of the JSON body, whatever it is nested in; read by search, because parsing would cost the
    /// load more than the request. Fit for values that need no escapes: codes and tokens.
    #[must_use]
    pub fn text_member(&self, name: &str) -> Option<&str> {
        let text = str::from_utf8(&self.body).ok()?;
        let start = text.split_once(&format!("\"{name}\":\""))?.1;
        start.split_once('"').map(|(value, _)| value)
    }

    /// Whether the JSON body has this text member, whatever it is nested in; read by search too.
    #[must_use]
    pub fn has_member(&self, name: &str, value: &str) -> bool {
        let member = format!("\"{name}\":\"{value}\"");
        str::from_utf8(&self.body).is_ok_and(|text| text.contains(&member))
    }

    /// The parameter `name` of the address that the browser is sent to.
    #[must_use]
    pub fn location_parameter(&self, name: &str) -> Option<&str> {
        let (_, query) = self.header(&LOCATION).next()?.split_once('?')?;
        query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }

    /// The first cookie whose name begins so, as `name=value`.
    #[must_use]
    pub fn cookie(&self, prefix: &str) -> Option<&str> {
        let line = self.header(&SET_COOKIE).find(|line| line.starts_with(prefix))?;
        line.split(';').next()
    }

    fn header(&self, name: &HeaderName) -> impl Iterator<Item = &str> {
        self.headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok())
    }

    /// This answer as an error.
    #[must_use]
    pub fn unexpected(&self, what: &'static str) -> LoadError {
        let body = String::from_utf8_lossy(&self.body).into_owned();
        LoadError::Unexpected { what, status: self.status.as_u16(), body }
    }
}
