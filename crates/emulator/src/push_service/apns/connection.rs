//! A connection to APNs, and the requests on it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use countersign_protocol::mobile_payload::PushEnvironment;
use countersign_protocol::time::Timestamp;
use h2::server::SendResponse;
use h2::{Reason as Code, RecvStream};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header, request::Parts};
use serde_json::json;
use tokio::io::DuplexStream;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::super::fault::{Fault, Stage, Stamp};
use super::super::listener::HANDSHAKE_LIMIT;
use super::super::mailbox::Message;
use super::super::uuid;
use super::Apns;
use super::check::{self, Refusal};
use super::provider_token::Proved;
use super::reason::Reason;
use super::relay::{self, Word};

/// So much of a body is read.
const MAX_READ: usize = 64 * 1_024;

/// A body must be complete within this time.
const BODY_LIMIT: Duration = Duration::from_secs(30);

const RELAY_BUFFER: usize = 64 * 1_024;

/// A connection says few things by itself.
const WORDS: usize = 16;

/// As seen with Apple.
const MAX_HEADER_LIST: u32 = 8_000;

pub struct Connection {
    apns: Arc<Apns>,
    proved: Mutex<Proved>,
    words: mpsc::Sender<Word>,
    goes_away: Option<GoesAway>,
    /// So many streams may be open at a time.
    limit: AtomicU32,
    /// What a good provider token raises the limit to.
    later_limit: u32,
    open: AtomicU32,
    last_stream_id: AtomicU32,
}

/// The fault [`Fault::GoAway`].
struct GoesAway {
    processed: u32,
    unprocessed: u32,
    code: u32,
    debug: Bytes,
}

impl GoesAway {
    /// So many are opened before it is said.
    const fn streams(&self) -> u32 {
        self.processed.saturating_add(self.unprocessed)
    }
}

/// What comes of a request.
enum Outcome {
    Answer(Box<Response<Bytes>>),
    Shutdown(Box<Response<Bytes>>),
    Reset(Code),
    Hang { headers: bool },
}

impl Connection {
    /// Serves it to its end.
    pub async fn serve(apns: Arc<Apns>, acceptor: TlsAcceptor, stream: TcpStream) {
        let fault = apns.faults.take(Stage::Connection, None);
        if fault == Some(Fault::Refuse {}) {
            return;
        }
        let Ok(Ok(tls)) = tokio::time::timeout(HANDSHAKE_LIMIT, acceptor.accept(stream)).await
        else {
            return;
        };
        // A client that does not negotiate at all would speak HTTP/1.1.
        if tls.get_ref().1.alpn_protocol() != Some(b"h2") {
            return;
        }
        let (words, heard) = mpsc::channel(WORDS);
        let connection = Arc::new(Self::new(apns, words, fault));
        let limit = connection.limit.load(Ordering::Relaxed);
        let (ours, theirs) = tokio::io::duplex(RELAY_BUFFER);
        let (relayed, ()) =
            tokio::join!(relay::run(tls, theirs, heard, limit), connection.streams(ours));
        if let Err(error) = relayed {
            tracing::debug!(%error, "a connection to the emulated APNs broke");
        }
    }

    fn new(apns: Arc<Apns>, words: mpsc::Sender<Word>, fault: Option<Fault>) -> Self {
        let (mut limit, mut later_limit) = (apns.settings.first_streams, apns.settings.streams);
        let mut goes_away = None;
        match fault {
            Some(Fault::MaxConcurrentStreams { streams }) => {
                (limit, later_limit) = (streams, streams);
            }
            Some(Fault::GoAway { processed, unprocessed, code, debug }) => {
                let debug = debug.map(Bytes::from).unwrap_or_default();
                goes_away = Some(GoesAway { processed, unprocessed, code, debug });
                // The streams that are to be left unprocessed must be allowed to come.
                limit = later_limit;
            }
            Some(_) | None => {}
        }
        Self {
            apns,
            proved: Mutex::default(),
            words,
            goes_away,
            limit: AtomicU32::new(limit),
            later_limit,
            open: AtomicU32::new(0),
            last_stream_id: AtomicU32::new(0),
        }
    }

    async fn streams(self: Arc<Self>, io: DuplexStream) {
        let mut settings = h2::server::Builder::new();
        settings.max_header_list_size(MAX_HEADER_LIST);
        if self.goes_away.as_ref().is_some_and(|fault| fault.streams() == 0) {
            self.go_away(0).await;
        }
        let Ok(mut connection) = settings.handshake(io).await else { return };
        let mut handlers = JoinSet::new();
        let mut unprocessed = Vec::new();
        let mut opened = 0;
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            while handlers.try_join_next().is_some() {}
            if self.open.fetch_add(1, Ordering::Relaxed) >= self.limit.load(Ordering::Relaxed) {
                self.open.fetch_sub(1, Ordering::Relaxed);
                respond.send_reset(Code::REFUSED_STREAM);
                continue;
            }
            opened += 1;
            if self.goes_away.as_ref().is_some_and(|fault| opened > fault.processed) {
                // Kept, because dropping it would reset the stream.
                unprocessed.push((request, respond));
            } else {
                self.last_stream_id.store(respond.stream_id().as_u32(), Ordering::Relaxed);
                handlers.spawn(Arc::clone(&self).handle(request, respond));
            }
            let Some(fault) = &self.goes_away else { continue };
            if opened == fault.streams() {
                self.go_away(self.last_stream_id.load(Ordering::Relaxed)).await;
            }
        }
    }

    async fn go_away(&self, last_stream_id: u32) {
        let (code, debug) = match &self.goes_away {
            Some(fault) => (fault.code, fault.debug.clone()),
            None => (0, Bytes::new()),
        };
        // Nobody listens when the connection has ended.
        let _ = self.words.send(Word::GoAway { last_stream_id, code, debug }).await;
    }

    async fn handle(
        self: Arc<Self>,
        request: Request<RecvStream>,
        mut respond: SendResponse<Bytes>,
    ) {
        let outcome = self.outcome(request).await;
        match outcome {
            Outcome::Answer(answer) => self.answer(&mut respond, *answer),
            Outcome::Shutdown(answer) => {
                self.go_away(self.last_stream_id.load(Ordering::Relaxed)).await;
                self.answer(&mut respond, *answer);
            }
            Outcome::Reset(code) => {
                self.close();
                respond.send_reset(code);
            }
            Outcome::Hang { headers } => {
                let begun = headers.then(|| respond.send_response(Response::new(()), false));
                match begun {
                    Some(Ok(mut stream)) => {
                        let _ = std::future::poll_fn(|context| stream.poll_reset(context)).await;
                    }
                    Some(Err(_)) => {}
                    None => {
                        let _ = std::future::poll_fn(|context| respond.poll_reset(context)).await;
                    }
                }
                self.close();
            }
        }
    }

    /// Counts a stream as closed. This comes before the answer, so that a client that waits for it may open the next stream.
    fn close(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    fn answer(&self, respond: &mut SendResponse<Bytes>, answer: Response<Bytes>) {
        self.close();
        let (head, body) = answer.into_parts();
        let begun = respond.send_response(Response::from_parts(head, ()), body.is_empty());
        // An error says that the client is gone.
        if let Ok(mut stream) = begun
            && !body.is_empty()
        {
            let _ = stream.send_data(body, true);
        }
    }

    async fn outcome(&self, request: Request<RecvStream>) -> Outcome {
        let (parts, body) = request.into_parts();
        let id = check::message_id(&parts.headers);
        let id = id.unwrap_or_else(|| value(&uuid(&*self.apns.host.entropy)));
        let token = check::device_token(&parts.method, parts.uri.path());
        let token_of_fault = token.as_deref().ok();
        match self.apns.faults.take(Stage::Request, token_of_fault) {
            Some(Fault::Reason { reason, status, timestamp }) => {
                return Outcome::Answer(self.forced(&id, &reason, status, timestamp));
            }
            Some(Fault::Shutdown {}) => {
                return Outcome::Shutdown(refusal(&id, Reason::Shutdown.into()));
            }
            Some(Fault::Answer { status, content_type, body }) => {
                let mut answer = Response::new(Bytes::from(body));
                *answer.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
                if let Some(text) = content_type {
                    answer.headers_mut().insert(header::CONTENT_TYPE, value(&text));
                }
                return Outcome::Answer(Box::new(answer));
            }
            Some(Fault::Reset { code }) => return Outcome::Reset(Code::from(code)),
            Some(Fault::Hang { headers }) => return Outcome::Hang { headers },
            Some(Fault::Delay { milliseconds }) => {
                tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            }
            Some(_) | None => {}
        }
        let team = token.and_then(|token| Ok((token, self.authenticate(&parts.headers)?)));
        let (token, team) = match team {
            Ok(proved) => proved,
            Err(reason) => return Outcome::Answer(refusal(&id, reason.into())),
        };
        let Ok(Ok(body)) = tokio::time::timeout(BODY_LIMIT, read(body)).await else {
            return Outcome::Reset(Code::CANCEL);
        };
        let asked = Asked { id: &id, token: &token, team, body: body.as_deref() };
        Outcome::Answer(match self.push(&parts, &asked) {
            Ok(()) => self.accepted(&id),
            Err(refused) => refusal(&id, refused),
        })
    }

    /// The index of the team whose token it is. The first good one raises the limit of streams.
    fn authenticate(&self, headers: &HeaderMap) -> Result<usize, Reason> {
        let token = check::provider_token(headers)?;
        let settings = &self.apns.settings;
        let now = self.apns.host.clock.now();
        let mut proved = self.proved.lock().unwrap_or_else(PoisonError::into_inner);
        let team = proved.check(token, &settings.teams, settings.environment, now)?;
        if self.limit.swap(self.later_limit, Ordering::Relaxed) != self.later_limit {
            // There is always room: it is the first word.
            let _ = self.words.try_send(Word::MaxConcurrentStreams(self.later_limit));
        }
        settings.teams.iter().position(|other| other.id == team.id).ok_or(Reason::Forbidden)
    }

    /// Checks what is asked and delivers it.
    fn push(&self, parts: &Parts, asked: &Asked<'_>) -> Result<(), Refusal> {
        let apns = &self.apns;
        let fields = check::fields(&parts.headers)?;
        let team = apns.settings.teams.get(asked.team).ok_or(Reason::Forbidden)?;
        let topic = check::topic(&fields, team)?;
        let notification = check::notification(&fields, asked.body)?;
        let found = apns.installations.find(asked.token);
        check::token(asked.token, found.as_ref(), (apns.settings.environment, topic))?;
        check::size(notification.push_type, asked.body)?;
        let limit = apns.settings.messages_per_minute;
        if limit.is_some_and(|limit| !apns.installations.count(asked.token, limit)) {
            return Err(Reason::TooManyRequests.into());
        }
        let now = apns.host.clock.now();
        let payload = notification.payload.unwrap_or_default();
        let message = Message {
            id: String::from_utf8_lossy(asked.id.as_bytes()).into_owned(),
            accepted_at: now,
            kind: notification.kind,
            headers: fields.all.clone(),
            delivered: payload.clone(),
            sent: payload,
        };
        let fault = apns.faults.take(Stage::Delivery, Some(asked.token));
        let storing = check::storing(&fields, now);
        apns.installations.accept(asked.token, message, storing, fault.as_ref());
        Ok(())
    }

    fn accepted(&self, id: &HeaderValue) -> Box<Response<Bytes>> {
        let mut answer = Response::new(Bytes::new());
        answer.headers_mut().insert("apns-id", id.clone());
        if self.apns.settings.environment == PushEnvironment::Sandbox {
            let unique = value(&uuid(&*self.apns.host.entropy));
            answer.headers_mut().insert("apns-unique-id", unique);
        }
        Box::new(answer)
    }

    /// The answer of [`Fault::Reason`].
    fn forced(
        &self,
        id: &HeaderValue,
        reason: &str,
        status: Option<u16>,
        timestamp: Option<Stamp>,
    ) -> Box<Response<Bytes>> {
        let known = Reason::find(reason);
        let status = status.or(known.map(Reason::status)).unwrap_or(500);
        let now = self.apns.host.clock.now();
        let at = match timestamp {
            Some(Stamp::Now) => Some(now),
            Some(Stamp::SecondsFromNow(seconds)) => Some(now.plus_seconds(seconds)),
            Some(Stamp::Absent) => None,
            None => (known == Some(Reason::Unregistered)).then_some(now),
        };
        refused(id, status, reason, at)
    }
}

/// A request with what is known of it after authentication.
struct Asked<'a> {
    id: &'a HeaderValue,
    token: &'a str,
    team: usize,
    body: Option<&'a [u8]>,
}

/// The body, or nothing if it is far too large.
async fn read(mut body: RecvStream) -> Result<Option<Vec<u8>>, h2::Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        body.flow_control().release_capacity(chunk.len())?;
        if bytes.len() + chunk.len() > MAX_READ {
            return Ok(None);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Some(bytes))
}

fn refusal(id: &HeaderValue, Refusal { reason, at }: Refusal) -> Box<Response<Bytes>> {
    refused(id, reason.status(), reason.name(), at)
}

fn refused(
    id: &HeaderValue,
    status: u16,
    reason: &str,
    at: Option<Timestamp>,
) -> Box<Response<Bytes>> {
    let body = match at {
        Some(at) => json!({ "reason": reason, "timestamp": at.micros().div_euclid(1_000) }),
        None => json!({ "reason": reason }),
    };
    let mut answer = Response::new(Bytes::from(body.to_string()));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    answer.headers_mut().insert("apns-id", id.clone());
    Box::new(answer)
}

/// A header field of what was checked to be ASCII.
fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}
