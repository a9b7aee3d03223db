//! The way to the phones and the faults of emulated services from outside the program: HTTP with JSON under `/__admin`.
//!
//! Whoever reaches it may read all messages, so it listens on loopback, and answers neither to a name that a web page could make
//! point there nor to a page itself.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use countersign_protocol::mobile_payload::PushEnvironment;
use http::request::Parts;
use http::uri::Authority;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::StartError;
use super::apns::ApnsServer;
use super::fault::{Faults, Order};
use super::fcm::FcmServer;
use super::installation::{Installation, Installations, ReinstallError};
use super::listener::Listener;

/// A body may have so many bytes.
const MAX_BODY: usize = 64 * 1_024;

/// And must be complete within this time.
const BODY_LIMIT: Duration = Duration::from_secs(30);

/// A page of phones has so many.
const PAGE: usize = 100;

/// A message is waited for at most so long, and unless it is told so long.
const MAX_WAIT: Duration = Duration::from_mins(1);
const WAIT: Duration = Duration::from_secs(30);

/// A service with what is done to it from here.
#[derive(Clone)]
struct Managed {
    url: String,
    installations: Arc<Installations>,
    faults: Arc<Faults>,
}

struct Services {
    apns: Managed,
    fcm: Managed,
}

/// Serves the interface. It ends when this is dropped.
pub struct Admin {
    listener: Listener,
}

/// Why there is no interface.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The address is one that others reach.
    #[error("the admin interface shows all messages: it listens on loopback only, not on {0}")]
    NotLoopback(SocketAddr),
    /// The address is taken.
    #[error(transparent)]
    Start(#[from] StartError),
}

impl Admin {
    /// Starts it for these services, which need not outlive it.
    pub async fn start(
        listen: SocketAddr,
        apns: &ApnsServer,
        fcm: &FcmServer,
    ) -> Result<Self, AdminError> {
        if !listen.ip().is_loopback() {
            return Err(AdminError::NotLoopback(listen));
        }
        let services = Arc::new(Services {
            apns: Managed {
                url: apns.url(),
                installations: Arc::clone(apns.installations()),
                faults: Arc::clone(apns.faults()),
            },
            fcm: Managed {
                url: fcm.url().to_owned(),
                installations: Arc::clone(fcm.installations()),
                faults: Arc::clone(fcm.faults()),
            },
        });
        let socket = Listener::bind(listen).await?;
        let listener = Listener::start(socket, move |stream| serve(Arc::clone(&services), stream));
        Ok(Self { listener })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.listener.address()
    }
}

async fn serve(services: Arc<Services>, stream: TcpStream) {
    let service = service_fn(move |request| {
        let services = Arc::clone(&services);
        async move {
            let answer = answer(&services, request).await.unwrap_or_else(Answer::from);
            Ok::<_, std::convert::Infallible>(answer)
        }
    });
    let server = auto::Builder::new(TokioExecutor::new());
    if let Err(error) = server.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a connection to the admin interface of the emulator broke");
    }
}

type Answer = Response<Full<Bytes>>;

/// What is wrong with a request.
struct Refusal {
    status: u16,
    error: String,
}

impl From<Refusal> for Answer {
    fn from(Refusal { status, error }: Refusal) -> Self {
        json_answer(status, &json!({ "error": error }))
    }
}

async fn answer(services: &Services, request: Request<Incoming>) -> Result<Answer, Refusal> {
    let (parts, body) = request.into_parts();
    check_origin(&parts)?;
    let path: Vec<_> = parts.uri.path().trim_start_matches('/').split('/').collect();
    let service = match path.as_slice() {
        ["__admin"] if parts.method == Method::GET => {
            let urls = json!({ "apns": services.apns.url, "fcm": services.fcm.url });
            return Ok(json_answer(200, &urls));
        }
        ["__admin", "apns", ..] => &services.apns,
        ["__admin", "fcm", ..] => &services.fcm,
        _ => return Err(nowhere()),
    };
    let body = tokio::time::timeout(BODY_LIMIT, Limited::new(body, MAX_BODY).collect()).await;
    let Ok(Ok(body)) = body else {
        return Err(refuse(400, "the body is too large or incomplete"));
    };
    let body = body.to_bytes();
    let query = parts.uri.query().unwrap_or_default();
    match (parts.method.as_str(), path.get(2..).unwrap_or_default()) {
        ("GET", ["phones"]) => Ok(service.list(query)),
        ("POST", ["phones"]) => service.install(&read(&body)?),
        ("GET", ["phones", token]) => service.phone(token),
        ("PATCH", ["phones", token]) => service.change(token, &read(&body)?),
        ("DELETE", ["phones", token]) => service.uninstall(token),
        ("POST", ["phones", token, "reinstall"]) => service.reinstall(token),
        ("POST", ["phones", token, "release"]) => service.release(token),
        ("GET", ["phones", token, "messages"]) => service.messages(token),
        ("POST", ["phones", token, "receive"]) => {
            service.receive(token, read_or_default(&body)?).await
        }
        ("GET", ["faults"]) => Ok(json_answer(200, &json!({ "faults": service.faults.list() }))),
        ("POST", ["faults"]) => service.order(read(&body)?),
        ("DELETE", ["faults"]) => {
            service.faults.clear();
            Ok(nothing())
        }
        _ => Err(nowhere()),
    }
}

/// Refuses what a web page in the browser of this machine could send.
fn check_origin(Parts { uri, headers, .. }: &Parts) -> Result<(), Refusal> {
    // HTTP/2 names the host in the address (RFC 9113 section 8.3.1).
    let field = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = field.or_else(|| uri.authority().map(Authority::as_str)).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let local = name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if !local || headers.contains_key(header::ORIGIN) {
        return Err(refuse(403, "the admin interface is for this machine, and not for web pages"));
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Install {
    app: String,
    environment: Option<PushEnvironment>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    online: Option<bool>,
    expired: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Receive {
    limit_ms: Option<u64>,
}

impl Managed {
    fn list(&self, query: &str) -> Answer {
        let after = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "after");
        let after = after.map(|(_, token)| token.into_owned());
        let page = self.installations.list(after.as_deref(), PAGE);
        let next = page.get(PAGE - 1).map(|(token, _)| token.clone());
        let phones: Vec<_> = page.iter().map(|(token, phone)| show(token, phone)).collect();
        json_answer(200, &json!({ "phones": phones, "next": next }))
    }

    fn install(&self, install: &Install) -> Result<Answer, Refusal> {
        if install.app.is_empty() {
            return Err(refuse(400, "app: must be the topic of APNs or the project of FCM"));
        }
        let token = match install.environment {
            Some(environment) => self.installations.install_in(environment, &install.app),
            None => self.installations.install(&install.app),
        };
        let token = token.map_err(|full| refuse(503, full.to_string()))?;
        Ok(json_answer(201, &json!({ "token": token })))
    }

    fn phone(&self, token: &str) -> Result<Answer, Refusal> {
        let phone = self.installations.find(token).ok_or_else(unknown)?;
        Ok(json_answer(200, &show(token, &phone)))
    }

    fn change(&self, token: &str, change: &Change) -> Result<Answer, Refusal> {
        if let Some(online) = change.online {
            self.installations.set_online(token, online).map_err(|_| unknown())?;
        }
        match change.expired {
            Some(true) => self.installations.expire(token).map_err(|_| unknown())?,
            Some(false) => return Err(refuse(400, "expired: a token never comes back")),
            None => {}
        }
        self.phone(token)
    }

    fn uninstall(&self, token: &str) -> Result<Answer, Refusal> {
        self.installations.uninstall(token).map_err(|_| unknown())?;
        Ok(nothing())
    }

    fn reinstall(&self, token: &str) -> Result<Answer, Refusal> {
        let token = self.installations.reinstall(token).map_err(|error| match error {
            ReinstallError::UnknownToken(_) => unknown(),
            ReinstallError::Full(full) => refuse(503, full.to_string()),
        })?;
        Ok(json_answer(201, &json!({ "token": token })))
    }

    fn release(&self, token: &str) -> Result<Answer, Refusal> {
        self.installations.release(token).map_err(|_| unknown())?;
        Ok(nothing())
    }

    fn messages(&self, token: &str) -> Result<Answer, Refusal> {
        let mailbox = self.installations.mailbox(token).map_err(|_| unknown())?;
        Ok(json_answer(200, &json!({ "messages": mailbox.messages() })))
    }

    /// The next message, or 204 if none comes in time.
    async fn receive(&self, token: &str, receive: Receive) -> Result<Answer, Refusal> {
        let limit = receive.limit_ms.map_or(WAIT, Duration::from_millis);
        if limit > MAX_WAIT {
            return Err(refuse(400, "limit_ms: must be at most 60000"));
        }
        let mailbox = self.installations.mailbox(token).map_err(|_| unknown())?;
        let message = mailbox.receive(limit).await;
        Ok(message.map_or_else(nothing, |message| json_answer(200, &json!(message))))
    }

    fn order(&self, order: Order) -> Result<Answer, Refusal> {
        self.faults.order(order).map_err(|error| refuse(400, error.to_string()))?;
        Ok(nothing())
    }
}

fn show(token: &str, phone: &Installation) -> Value {
    let mut shown = json!(phone);
    if let Some(members) = shown.as_object_mut() {
        members.insert("token".to_owned(), token.into());
    }
    shown
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    countersign_protocol::json::parse(body)
        .map_err(|error| refuse(400, format!("the body {error}")))
}

fn read_or_default<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, Refusal> {
    if body.is_empty() { Ok(T::default()) } else { read(body) }
}

fn unknown() -> Refusal {
    refuse(404, "nothing was ever installed under this token")
}

fn nowhere() -> Refusal {
    refuse(404, "there is nothing here: docs/emulator.md lists what is")
}

fn refuse(status: u16, error: impl Into<String>) -> Refusal {
    Refusal { status, error: error.into() }
}

fn nothing() -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer
}

fn json_answer(status: u16, body: &Value) -> Answer {
    let mut answer = Response::new(Full::from(format!("{body}\n")));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    let json = http::HeaderValue::from_static("application/json");
    answer.headers_mut().insert(header::CONTENT_TYPE, json);
    answer
}
