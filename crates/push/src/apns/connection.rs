//! One connection to APNs, kept for as long as it lives.
//!
//! Apple counts on few connections that last for days. A connection that APNs is about to close (GOAWAY) is left to finish what
//! it has begun, and the next request opens another, for which the name is resolved again: APNs drains a machine that way. What
//! APNs says that it has not processed may be sent again; of all else nobody knows, so it never is.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use h2::Reason;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::trust::{self, Trust};

/// How often an idle connection is asked whether it is alive, so that the next push does not find out.
const PING_INTERVAL: Duration = Duration::from_mins(1);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Streams before APNs has said how many it takes: without a token that it knows, it takes one.
const FIRST_STREAMS: usize = 1;
/// The most of an answer that is read.
const MAX_BODY_BYTES: usize = 4_096;
/// How many addresses of a name are tried.
const MAX_ADDRESSES: usize = 4;

/// A connection to one host of APNs.
pub struct Connection {
    host: String,
    port: u16,
    trust: Arc<Trust>,
    connect_timeout: Duration,
    live: Mutex<Live>,
}

#[derive(Default)]
struct Live {
    sender: Option<SendRequest<Full<Bytes>>>,
    /// Counts the connections, so that a request which fails on an old one does not close a new one.
    generation: u64,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Failure {
    /// APNs has not processed the request, and never will.
    Unprocessed(String),
    /// APNs may have processed it.
    Lost(String),
}

/// An answer, and by which connection it came.
pub struct Exchanged {
    pub response: Response<Vec<u8>>,
    pub generation: u64,
}

impl Connection {
    pub fn new(host: String, port: u16, trust: Arc<Trust>, connect_timeout: Duration) -> Self {
        Self { host, port, trust, connect_timeout, live: Mutex::default() }
    }

    /// Sends a request and reads the answer, within `limit`.
    pub async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        limit: Duration,
    ) -> Result<Exchanged, Failure> {
        let mut used = None;
        let answered = timeout(limit, async {
            let (mut sender, generation) = self.sender().await?;
            used = Some(generation);
            let response = sender.try_send_request(request).await.map_err(|error| {
                if error.message().is_some() {
                    return Failure::Unprocessed(shown(error.error()));
                }
                failure(error.error())
            })?;
            Ok(Exchanged { response: read(response).await?, generation })
        });
        let answered = answered
            .await
            .unwrap_or_else(|_| Err(Failure::Lost(format!("no answer in {limit:?}"))));
        if let (Err(_), Some(generation)) = (&answered, used) {
            self.leave(generation).await;
        }
        answered
    }

    /// Lets the next request open another connection, if this one is still used. Requests under way on it go on.
    pub async fn leave(&self, generation: u64) {
        let mut live = self.live.lock().await;
        if live.generation == generation {
            live.sender = None;
        }
    }

    /// The connection that lives, else a new one: one caller opens it, and the others wait for it.
    async fn sender(&self) -> Result<(SendRequest<Full<Bytes>>, u64), Failure> {
        let mut live = self.live.lock().await;
        if let Some(sender) = live.sender.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok((sender.clone(), live.generation));
        }
        let sender = self.open().await.map_err(|error| Failure::Unprocessed(shown(&*error)))?;
        live.generation += 1;
        live.sender = Some(sender.clone());
        Ok((sender, live.generation))
    }

    async fn open(&self) -> Result<SendRequest<Full<Bytes>>, Box<dyn Error + Send + Sync>> {
        let stream = timeout(self.connect_timeout, self.connect()).await??;
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_max_send_streams(FIRST_STREAMS)
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .keep_alive_while_idle(true)
            .handshake(TokioIo::new(stream))
            .await?;
        // It ends with the connection, or when the last sender is dropped; its error reaches each request by itself.
        tokio::spawn(connection);
        Ok(sender)
    }

    async fn connect(&self) -> Result<TlsStream<TcpStream>, Box<dyn Error + Send + Sync>> {
        let config = self.trust.client_config().await;
        let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await?;
        let patience = self.connect_timeout / u32::try_from(MAX_ADDRESSES)?;
        let mut failure: Box<dyn Error + Send + Sync> = "the name has no address".into();
        for address in found.take(MAX_ADDRESSES) {
            // One address that does not answer must not use up the time of the others.
            match timeout(patience, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    stream.set_nodelay(true)?;
                    let name = ServerName::try_from(self.host.clone())?;
                    let stream = TlsConnector::from(config).connect(name, stream).await?;
                    let is_h2 = stream.get_ref().1.alpn_protocol() == Some(trust::H2);
                    return if is_h2 { Ok(stream) } else { Err("it does not speak HTTP/2".into()) };
                }
                Ok(Err(error)) => failure = error.into(),
                Err(elapsed) => failure = elapsed.into(),
            }
        }
        Err(failure)
    }
}

async fn read(response: Response<Incoming>) -> Result<Response<Vec<u8>>, Failure> {
    let (head, mut body) = response.into_parts();
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Failure::Lost(shown(&error)))?;
        let Some(data) = frame.data_ref() else { continue };
        let room = MAX_BODY_BYTES.saturating_sub(read.len());
        read.extend_from_slice(data.get(..room).unwrap_or(data));
    }
    Ok(Response::from_parts(head, read))
}

/// RFC 9113: section 6.8, streams above the last one that GOAWAY names; section 8.7, `REFUSED_STREAM`.
fn failure(error: &hyper::Error) -> Failure {
    let cause = error.source().and_then(|source| source.downcast_ref::<h2::Error>());
    let is_unprocessed = cause.is_some_and(|cause| {
        let is_refused = cause.is_reset() && cause.reason() == Some(Reason::REFUSED_STREAM);
        cause.is_remote() && (cause.is_go_away() || is_refused)
    });
    if is_unprocessed { Failure::Unprocessed(shown(error)) } else { Failure::Lost(shown(error)) }
}

/// An error with its cause: of a connection that APNs closes, the cause has Apple's reason.
fn shown(error: &(dyn Error + 'static)) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
