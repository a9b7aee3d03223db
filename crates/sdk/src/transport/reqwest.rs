//! The transport of desktops, emulators and tests: reqwest on tokio, with rustls.

mod socket;

use std::error::Error as _;
use std::time::Duration;

use ::reqwest::{Certificate, Client, redirect};
use async_trait::async_trait;

use crate::platform::{
    MAX_BODY_BYTES, Method, Request, Response, Socket, Transport, TransportError,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(15);

/// Sends requests with reqwest. Needs a tokio runtime.
#[derive(Debug, Clone)]
pub struct ReqwestTransport {
    client: Client,
    /// A WebSocket begins with a request of HTTP/1.1 on a connection of its own.
    socket_client: Client,
}

/// A trust root that is not a certificate.
#[derive(Debug, thiserror::Error)]
#[error("the trust roots cannot be used: {0}")]
pub struct CertificateError(#[from] ::reqwest::Error);

impl ReqwestTransport {
    /// Trusts what the system trusts, and the PEM certificates in `extra_roots`, which may be
    /// empty.
    pub fn new(extra_roots: &[u8]) -> Result<Self, CertificateError> {
        let roots = Certificate::from_pem_bundle(extra_roots)?;
        let builder = || {
            Client::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                // The addresses are fixed by the protocol; whoever redirects a proof wants to have it.
                .redirect(redirect::Policy::none())
                .tls_certs_merge(roots.clone())
        };
        Ok(Self { client: builder().build()?, socket_client: builder().http1_only().build()? })
    }
}

#[async_trait]
impl Transport for ReqwestTransport {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let builder = match request.method {
            Method::Get => self.client.get(&request.url),
            Method::Post => self.client.post(&request.url).body(request.body),
        };
        let wait = Duration::from_secs(request.wait_seconds.into());
        let with_headers = request
            .headers
            .iter()
            .fold(builder, |builder, (name, value)| builder.header(name, value));
        let mut answer =
            with_headers.timeout(TIMEOUT + wait).send().await.map_err(|error| classify(&error))?;
        let headers = answer
            .headers()
            .iter()
            .filter_map(|(name, value)| {
                Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
            })
            .collect();
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| classify(&error))? {
            if body.len() + chunk.len() > MAX_BODY_BYTES {
                return Err(TransportError::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Response { status: answer.status().as_u16(), headers, body })
    }

    async fn open_socket(
        &self,
        url: &str,
        protocol: &str,
    ) -> Result<Box<dyn Socket>, TransportError> {
        Ok(Box::new(socket::open(&self.socket_client, url, protocol).await?))
    }
}

/// A certificate that is not trusted will not be at the next try either.
fn classify(error: &::reqwest::Error) -> TransportError {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    if text.contains("invalid peer certificate") {
        TransportError::NotTrusted(text)
    } else {
        TransportError::NoAnswer(text)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers one request with `answer` and gives its own address, and then what it was sent.
    async fn server(answer: Vec<u8>) -> (String, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/path", listener.local_addr().unwrap());
        let served = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4_096];
            let length = stream.read(&mut request).await.unwrap();
            // The client may hang up in the middle of a body that is too long for it.
            let _ = stream.write_all(&answer).await;
            String::from_utf8(request[..length].to_vec()).unwrap()
        });
        (url, served)
    }

    fn get(url: &str) -> Request {
        Request {
            method: Method::Get,
            url: url.to_owned(),
            headers: vec![("X-Test".to_owned(), "1".to_owned())],
            body: Vec::new(),
            wait_seconds: 0,
        }
    }

    fn transport() -> ReqwestTransport {
        ReqwestTransport::new(b"").unwrap()
    }

    #[tokio::test]
    async fn status_headers_and_body_come_through() {
        let answer = b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\n{}".to_vec();
        let (url, served) = server(answer).await;
        let response = transport().send(get(&url)).await.unwrap();
        assert_eq!((response.status, response.header("RETRY-AFTER")), (503, Some("7")));
        assert_eq!(response.body, b"{}");
        let request = served.await.unwrap();
        assert!(request.starts_with("GET /path HTTP/1.1\r\n") && request.contains("x-test: 1"));
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed() {
        let answer =
            b"HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n".to_vec();
        let (url, _served) = server(answer).await;
        let response = transport().send(get(&url)).await.unwrap();
        assert_eq!((response.status, response.header("location")), (302, Some("/other")));
    }

    #[tokio::test]
    async fn a_body_without_end_is_given_up() {
        let mut answer = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
        answer.resize(answer.len() + MAX_BODY_BYTES + 1, b' ');
        let (url, _served) = server(answer).await;
        assert_eq!(transport().send(get(&url)).await, Err(TransportError::TooLong));
    }

    #[tokio::test]
    async fn no_server_and_a_broken_answer_are_no_answer() {
        let (url, served) =
            server(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}".to_vec()).await;
        assert!(matches!(transport().send(get(&url)).await, Err(TransportError::NoAnswer(_))));
        served.await.unwrap();
        assert!(matches!(transport().send(get(&url)).await, Err(TransportError::NoAnswer(_))));
    }

    #[test]
    fn roots_that_are_not_certificates_are_refused() {
        let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(ReqwestTransport::new(broken).is_err());
    }
}
