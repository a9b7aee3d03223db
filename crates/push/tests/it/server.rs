//! A server that remembers what it is asked and answers as a test wants.

use std::sync::{Arc, Mutex};

use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, crypto};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::world::IDENTITY;

/// What a server was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Which connection it came on, from 0.
    pub connection: usize,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Asked {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn form(&self) -> Vec<(String, String)> {
        form_urlencoded::parse(&self.body).into_owned().collect()
    }
}

/// Status and body, and perhaps a header field.
pub struct Reply(pub u16, pub String, pub Option<(&'static str, String)>);

impl From<(u16, &str)> for Reply {
    fn from((status, body): (u16, &str)) -> Self {
        Self(status, body.to_owned(), None)
    }
}

impl From<(u16, Value)> for Reply {
    fn from((status, body): (u16, Value)) -> Self {
        Self(status, body.to_string(), None)
    }
}

type Respond = dyn Fn(&Asked) -> Reply + Send + Sync;

/// A server on this machine. It ends with the test's runtime.
pub struct Server {
    pub base: String,
    seen: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    pub async fn plain(respond: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::start(None, respond).await
    }

    pub async fn tls(
        protocols: &[&[u8]],
        respond: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::start(Some(acceptor(protocols)), respond).await
    }

    async fn start(
        acceptor: Option<TlsAcceptor>,
        respond: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let scheme = if acceptor.is_some() { "https" } else { "http" };
        let seen = Arc::<Mutex<Vec<Asked>>>::default();
        let (respond, log): (Arc<Respond>, _) = (Arc::new(respond), Arc::clone(&seen));
        tokio::spawn(async move {
            let mut connection = 0;
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                let (respond, log) = (Arc::clone(&respond), Arc::clone(&log));
                match acceptor.clone() {
                    None => drop(tokio::spawn(serve(stream, connection, respond, log))),
                    Some(acceptor) => drop(tokio::spawn(async move {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            serve(stream, connection, respond, log).await;
                        }
                    })),
                }
                connection += 1;
            }
        });
        Self { base: format!("{scheme}://localhost:{port}"), seen }
    }

    /// All that was asked so far.
    pub fn seen(&self) -> Vec<Asked> {
        self.seen.lock().unwrap().clone()
    }

    /// How often a path was asked for.
    pub fn count(&self, path: &str) -> usize {
        self.seen().iter().filter(|asked| asked.path == path).count()
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    connection: usize,
    respond: Arc<Respond>,
    log: Arc<Mutex<Vec<Asked>>>,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let (respond, log) = (Arc::clone(&respond), Arc::clone(&log));
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes().to_vec();
            let path = head.uri.path().to_owned();
            let asked = Asked { connection, path, headers: head.headers, body };
            log.lock().unwrap().push(asked.clone());
            let Reply(status, body, header) = respond(&asked);
            let mut response = Response::builder().status(status);
            if let Some((name, value)) = header {
                response = response.header(name, value);
            }
            response.body(Full::new(Bytes::from(body)))
        }
    });
    // A client that breaks off is no concern of the server.
    let _ = auto::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

fn acceptor(protocols: &[&[u8]]) -> TlsAcceptor {
    let key = PrivatePkcs8KeyDer::from(IDENTITY.key.clone()).into();
    let mut config =
        ServerConfig::builder_with_provider(Arc::new(crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![IDENTITY.certificate.clone().into()], key)
            .unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

/// Accepts one TLS connection that speaks HTTP/2.
pub async fn accept_h2(listener: &TcpListener) -> TlsStream<TcpStream> {
    let (stream, _) = listener.accept().await.unwrap();
    acceptor(&[b"h2"]).accept(stream).await.unwrap()
}
