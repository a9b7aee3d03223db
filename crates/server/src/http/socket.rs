//! `GET D/socket`: a WebSocket (RFC 6455) by which a phone is told what it is asked, at once and without a push service.

use std::{any::Any, borrow::Cow, sync::Arc};

use axum::{
    extract::{
        FromRequestParts, State, WebSocketUpgrade,
        ws::{CloseFrame, Message, Utf8Bytes, WebSocket},
    },
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use countersign_protocol::{
    challenge::{SOCKET_PROTOCOL, close_code},
    device_api::ProofBody,
    json,
    secret::Secret,
};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tokio_tungstenite::tungstenite;

use super::{
    caller::At,
    correlation::Correlation,
    problem::{Detail, Problem},
};
use crate::{
    app::{
        App, DeviceCall, DeviceCallError, Fault, Origin, Realm, Sight, Watch, WatchError, Woken,
    },
    settings::Sockets,
    sockets::Place,
};

/// The most bytes of a frame of a phone.
const FRAME_BYTES: usize = 8 * 1_024;

/// A phone says little, and an idle socket must cost little.
const READ_BUFFER_BYTES: usize = 1_024;

/// The most bytes of the reason of a close: a control frame has 125, and the code is two of them (RFC 6455, section 5.5).
const REASON_BYTES: usize = 123;

/// The place of a connection among the open ones. The listener hands it over with a request to upgrade, since the socket
/// outlives the conversation that it begins with.
#[derive(Clone)]
pub(crate) struct Held(
    #[expect(dead_code, reason = "it is held, not read")] pub Arc<dyn Any + Send + Sync>,
);

/// An installation that wants to listen. Who it is, it says by its first frame.
pub(crate) struct Knock {
    upgrade: WebSocketUpgrade,
    held: Option<Held>,
    correlation: String,
}

impl FromRequestParts<Arc<App>> for Knock {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        // Any page could open a socket from the browser of its visitor; apps have no origin (RFC 6455, section 10.2).
        if parts.headers.contains_key(header::ORIGIN) {
            let message = "browsers have no business here";
            let detail = Detail::new("INVALID_VALUE", "Origin", "must not be there");
            let problem = Problem::new(StatusCode::FORBIDDEN, "ACCESS_FAILED", message);
            return Err(problem.with(detail).into_response());
        }
        let held = parts.extensions.remove();
        let Correlation(correlation) = Correlation::from_request_parts(parts, app)
            .await
            .map_err(IntoResponse::into_response)?;
        let upgrade = WebSocketUpgrade::from_request_parts(parts, app).await;
        let upgrade = upgrade.map_err(|error| not_a_socket(&error.body_text()))?;
        let upgrade = upgrade
            .protocols([SOCKET_PROTOCOL])
            .max_frame_size(FRAME_BYTES)
            .max_message_size(FRAME_BYTES)
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0);
        if upgrade.selected_protocol().is_none() {
            let message = format!("Sec-WebSocket-Protocol must offer {SOCKET_PROTOCOL}");
            let detail = Detail::new("REQUIRED_VALUE", "Sec-WebSocket-Protocol", message.clone());
            return Err(Problem::invalid_request(message).with(detail).into_response());
        }
        Ok(Self { upgrade, held, correlation })
    }
}

/// 426 (RFC 9110, section 15.5.22).
fn not_a_socket(why: &str) -> Response {
    let message = format!("this address is a WebSocket by HTTP/1.1: {why}");
    let problem = Problem::new(StatusCode::UPGRADE_REQUIRED, "INVALID_REQUEST", message);
    let headers = [
        (header::UPGRADE, HeaderValue::from_static("websocket")),
        (header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13")),
    ];
    (headers, problem).into_response()
}

/// `GET D/socket`
pub(crate) async fn open(State(app): State<Arc<App>>, At(realm): At, knock: Knock) -> Response {
    if app.is_draining() {
        let message = "the node is being restarted; try again";
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", message);
        return ([(header::RETRY_AFTER, HeaderValue::from(1))], problem).into_response();
    }
    let Knock { upgrade, held, correlation } = knock;
    let origin = Origin::current();
    upgrade.on_upgrade(async move |mut socket| {
        let limits = app.settings().sockets;
        let conversation = Conversation { app: &app, realm: &realm, correlation, limits };
        let end = origin.scope(conversation.run(&mut socket)).await;
        end.close(socket, limits).await;
        drop(held);
    })
}

/// How a socket ends.
#[derive(Debug)]
enum End {
    /// The phone has closed it, or is gone.
    Gone,
    /// It is closed with a code, and a reason for developers.
    Close(u16, Cow<'static, str>),
}

impl End {
    const fn close_with(code: u16, reason: &'static str) -> Self {
        Self::Close(code, Cow::Borrowed(reason))
    }

    fn failed(fault: &Fault) -> Self {
        match fault {
            Fault::Busy(_) => Self::close_with(close_code::TRY_LATER, "UNAVAILABLE"),
            Fault::Internal(_) => {
                tracing::error!(cause = %super::problem::chain(fault), "a socket has failed");
                Self::close_with(close_code::ERROR, "UNEXPECTED_ERROR")
            }
        }
    }

    /// What cannot be received.
    fn unreadable(error: axum::Error) -> Self {
        match error.into_inner().downcast_ref::<tungstenite::Error>() {
            Some(tungstenite::Error::Capacity(_)) => {
                Self::close_with(close_code::TOO_LONG, "a frame must not have more than 8 KiB")
            }
            Some(tungstenite::Error::Protocol(_) | tungstenite::Error::Utf8(_)) => {
                Self::close_with(close_code::POLICY, "the frame breaks RFC 6455")
            }
            Some(_) | None => Self::Gone,
        }
    }

    fn refused(error: &WatchError) -> Self {
        let reason = match error {
            WatchError::Replayed => Cow::Borrowed("REPLAYED proof.jti"),
            WatchError::Blocked => Cow::Borrowed("DEVICE_BLOCKED"),
            WatchError::Fault(fault) | WatchError::Call(DeviceCallError::Fault(fault)) => {
                return Self::failed(fault);
            }
            WatchError::Call(error) => match error {
                DeviceCallError::Proof { error, server_time: Some(_) } => {
                    format!("CLOCK_SKEW {}", error.target()).into()
                }
                DeviceCallError::Proof { error, server_time: None } => {
                    format!("INVALID_VALUE {}", error.target()).into()
                }
                DeviceCallError::NotPaired => Cow::Borrowed("DEVICE_NOT_PAIRED"),
                DeviceCallError::Nonce => Cow::Borrowed("INVALID_VALUE proof.nonce"),
                DeviceCallError::UserId => Cow::Borrowed("INVALID_VALUE proof.user"),
                DeviceCallError::Clash => Cow::Borrowed("REPLAYED proof.jti"),
                DeviceCallError::Fault(_) => Cow::Borrowed("UNEXPECTED_ERROR"),
            },
        };
        Self::Close(close_code::POLICY, reason)
    }

    /// Says so, and lets the phone answer, so that the word is not lost with the connection. It may take its time only as
    /// long as nobody waits for it.
    async fn close(self, mut socket: WebSocket, limits: Sockets) {
        let Self::Close(code, reason) = self else { return };
        let reason: String = reason.chars().take(REASON_BYTES).filter(char::is_ascii).collect();
        tracing::debug!(code, reason, "a socket is closed");
        let frame = CloseFrame { code, reason: Utf8Bytes::from(reason) };
        let answered = async {
            if socket.send(Message::Close(Some(frame))).await.is_ok() {
                while let Some(Ok(_)) = socket.recv().await {}
            }
        };
        let _ = timeout(limits.close_timeout, answered).await;
    }
}

/// A socket from its first frame to its end.
struct Conversation<'a> {
    app: &'a App,
    realm: &'a Arc<Realm>,
    correlation: String,
    limits: Sockets,
}

impl Conversation<'_> {
    async fn run(self, socket: &mut WebSocket) -> End {
        let Some(_place): Option<Place> = self.app.sockets().enter() else {
            return End::close_with(close_code::TRY_LATER, "there are too many sockets");
        };
        let proof = match self.first_frame(socket).await {
            Ok(proof) => proof,
            Err(end) => return end,
        };
        let call = DeviceCall { proof, correlation: self.correlation.clone() };
        match Box::pin(self.app.watch_challenges(self.realm, call)).await {
            Ok(watch) => self.tell(socket, watch).await,
            Err(error) => End::refused(&error),
        }
    }

    /// The proof that says who it is.
    async fn first_frame(&self, socket: &mut WebSocket) -> Result<Secret<String>, End> {
        let deadline = Instant::now() + self.limits.proof_timeout;
        loop {
            let frame = tokio::select! {
                frame = timeout_at(deadline, socket.recv()) => frame,
                () = self.app.drained() => return Err(leaving()),
            };
            let refused = |reason| Err(End::close_with(close_code::POLICY, reason));
            match frame {
                Err(_) => return refused("the first frame took too long"),
                Ok(None | Some(Ok(Message::Close(_)))) => return Err(End::Gone),
                Ok(Some(Err(error))) => return Err(End::unreadable(error)),
                Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => {}
                Ok(Some(Ok(Message::Binary(_)))) => return refused("the first frame must be text"),
                Ok(Some(Ok(Message::Text(text)))) => {
                    let Ok(ProofBody { proof }) = json::parse(text.as_bytes()) else {
                        return refused("the first frame must be {\"proof\": \"...\"}");
                    };
                    return Ok(Secret::new(proof));
                }
            }
        }
    }

    /// Tells the phone what waits for it, as long as both sides are there.
    async fn tell(&self, socket: &mut WebSocket, mut watch: Watch) -> End {
        let mut pulse = Pulse::new(self.limits);
        if let Err(end) = self.look(socket, &mut watch).await {
            return end;
        }
        loop {
            let due = pulse.due();
            let done = tokio::select! {
                frame = socket.recv() => hear(frame, &mut pulse),
                woken = watch.woken() => match woken {
                    Woken::Look => self.look(socket, &mut watch).await,
                    Woken::Superseded => {
                        Err(End::close_with(close_code::SUPERSEDED, "a newer socket is there"))
                    }
                },
                () = self.app.drained() => Err(leaving()),
                () = sleep_until(due) => match pulse.beat() {
                    Beat::Ping => self.send(socket, Message::Ping(axum::body::Bytes::new())).await,
                    Beat::Look => self.look(socket, &mut watch).await,
                    Beat::Dead => Err(End::Gone),
                },
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    async fn look(&self, socket: &mut WebSocket, watch: &mut Watch) -> Result<(), End> {
        match self.app.look_for(watch).await {
            Ok(Sight::Same) => Ok(()),
            Ok(Sight::Changed(text)) => self.send(socket, Message::Text(text.into())).await,
            Ok(Sight::Barred) => {
                Err(End::close_with(close_code::POLICY, "DEVICE_NOT_PAIRED or blocked"))
            }
            Err(fault) => Err(End::failed(&fault)),
        }
    }

    /// A phone that does not take what it is sent is as good as gone; what changes meanwhile is told as one.
    async fn send(&self, socket: &mut WebSocket, message: Message) -> Result<(), End> {
        tokio::select! {
            sent = timeout(self.limits.pong_timeout, socket.send(message)) => match sent {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) | Err(_) => Err(End::Gone),
            },
            () = self.is_waited_for() => Err(End::Gone),
        }
    }

    /// Half a frame cannot be closed, so a server that ends gives it only as long as it gives a close.
    async fn is_waited_for(&self) {
        self.app.drained().await;
        sleep(self.limits.close_timeout).await;
    }
}

/// A phone has nothing to say here but that it is there.
fn hear(frame: Option<Result<Message, axum::Error>>, pulse: &mut Pulse) -> Result<(), End> {
    match frame {
        None | Some(Ok(Message::Close(_))) => Err(End::Gone),
        Some(Err(error)) => Err(End::unreadable(error)),
        Some(Ok(Message::Pong(_))) => {
            pulse.answered();
            Ok(())
        }
        Some(Ok(Message::Ping(_))) => Ok(()),
        Some(Ok(Message::Text(_) | Message::Binary(_))) => {
            Err(End::close_with(close_code::POLICY, "nothing but the first frame is expected"))
        }
    }
}

const fn leaving() -> End {
    End::close_with(close_code::RESTART, "the node is being restarted")
}

/// When what is due, by one timer.
struct Pulse {
    limits: Sockets,
    ping_at: Instant,
    pong_until: Option<Instant>,
    look_at: Instant,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beat {
    Ping,
    Look,
    Dead,
}

impl Pulse {
    fn new(limits: Sockets) -> Self {
        let now = Instant::now();
        let (ping_at, look_at) = (now + limits.ping_interval, now + limits.look_interval);
        Self { limits, ping_at, pong_until: None, look_at }
    }

    fn due(&self) -> Instant {
        let next = self.ping_at.min(self.look_at);
        self.pong_until.map_or(next, |until| until.min(next))
    }

    fn beat(&mut self) -> Beat {
        let now = Instant::now();
        if self.pong_until.is_some_and(|until| until <= now) {
            Beat::Dead
        } else if self.ping_at <= now {
            self.ping_at = now + self.limits.ping_interval;
            // An answer that is awaited already is not awaited for longer.
            self.pong_until.get_or_insert(now + self.limits.pong_timeout);
            Beat::Ping
        } else {
            self.look_at = now + self.limits.look_interval;
            Beat::Look
        }
    }

    const fn answered(&mut self) {
        self.pong_until = None;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn next(pulse: &mut Pulse) -> (u64, Beat) {
        let begun = Instant::now();
        sleep_until(pulse.due()).await;
        (begun.elapsed().as_secs(), pulse.beat())
    }

    fn limits() -> Sockets {
        Sockets { look_interval: Duration::from_secs(40), ..Sockets::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn who_answers_is_asked_again_and_looked_after_in_between() {
        let mut pulse = Pulse::new(limits());
        assert_eq!(next(&mut pulse).await, (25, Beat::Ping));
        pulse.answered();
        assert_eq!(next(&mut pulse).await, (15, Beat::Look));
        assert_eq!(next(&mut pulse).await, (10, Beat::Ping));
        pulse.answered();
        assert_eq!(next(&mut pulse).await, (25, Beat::Ping));
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_answer_a_ping_is_dead_ten_seconds_later() {
        let mut pulse = Pulse::new(limits());
        assert_eq!(next(&mut pulse).await, (25, Beat::Ping));
        assert_eq!(next(&mut pulse).await, (10, Beat::Dead));
    }

    #[tokio::test(start_paused = true)]
    async fn an_overdue_answer_is_not_excused_by_a_look_or_a_ping() {
        let short = Duration::from_secs(3);
        let mut pulse =
            Pulse::new(Sockets { ping_interval: short, look_interval: short, ..limits() });
        assert_eq!(next(&mut pulse).await, (3, Beat::Ping));
        assert_eq!(next(&mut pulse).await, (0, Beat::Look));
        assert_eq!(next(&mut pulse).await, (3, Beat::Ping));
        assert_eq!(next(&mut pulse).await, (0, Beat::Look));
        assert_eq!(next(&mut pulse).await, (3, Beat::Ping));
        assert_eq!(next(&mut pulse).await, (0, Beat::Look));
        assert_eq!(next(&mut pulse).await, (3, Beat::Ping));
        assert_eq!(next(&mut pulse).await, (0, Beat::Look));
        assert_eq!(next(&mut pulse).await, (1, Beat::Dead));
    }
}
