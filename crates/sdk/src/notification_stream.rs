//! What an app that runs is told without a push service: by a socket, and where there is none by asking again and again.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use countersign_protocol::challenge::{
    ChallengesResponse, MAX_WAIT_SECONDS, SOCKET_PROTOCOL, SocketRequest, close_code,
};
use countersign_protocol::device_api::{DeviceRequest, ProofBody};
use countersign_protocol::entropy::random;
use countersign_protocol::json;

use crate::client::Countersign;
use crate::error::Error;
use crate::platform::{Received, Socket, TransportError};
use crate::push_address;
use crate::remote_notification::RemoteNotification;

/// The pause after the first failure; each further one doubles it.
const PAUSE: Duration = Duration::from_secs(1);

/// How often it is doubled at most.
const MOST_DOUBLINGS: u32 = 6;

/// How often the app asks before it tries again to open a socket that was refused: some four minutes.
const ASKS_BETWEEN_SOCKETS: u32 = 10;

type Pause = Box<dyn Fn(Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// What the platform tells this app for as long as it runs. See [`Countersign::notifications`].
pub struct NotificationStream {
    sdk: Countersign,
    pause: Pause,
    socket: Option<Box<dyn Socket>>,
    /// How often to ask before a socket is tried.
    asks: u32,
    /// Failures since something has worked.
    failures: u32,
    /// What has come by the socket and is not followed yet.
    received: Option<ChallengesResponse>,
    /// Ids of what waited when the socket was opened, and then of what its last message said. Messages may be older than what
    /// the app does: one that was answered since may still be in the next, and one that came by push since may not yet.
    listed: Vec<String>,
    told: VecDeque<RemoteNotification>,
}

impl Countersign {
    /// What the platform tells this app for as long as it runs: questions, and their ends. This is how apps whose push service
    /// is `direct` are woken while they run, and others may use it in the foreground; silent messages are answered inside.
    ///
    /// It holds a socket where transport and platform have one, and else asks as [`Self::wait_for_notifications`] does. An
    /// installation has one socket, so have one stream. The SDK has no timer: `pause` ends after the time that it is given, as
    /// `tokio::time::sleep` does.
    pub fn notifications<F>(
        &self,
        pause: impl Fn(Duration) -> F + Send + Sync + 'static,
    ) -> NotificationStream
    where
        F: Future<Output = ()> + Send + 'static,
    {
        NotificationStream {
            sdk: self.clone(),
            pause: Box::new(move |time| Box::pin(pause(time))),
            socket: None,
            asks: 0,
            failures: 0,
            received: None,
            listed: Vec::new(),
            told: VecDeque::new(),
        }
    }
}

/// What comes of one look at the platform.
enum Turn {
    /// It has answered, or told something.
    Told(Vec<RemoteNotification>),
    /// A step was made that shows nothing yet of how well the platform is.
    Begun,
    /// It has told nothing, sooner than it was asked to.
    Nothing,
    /// There is no socket any more, or there will be none for a while.
    Lost,
}

impl NotificationStream {
    /// Waits for the next notification, however long: what will be better later is tried again. A wait that is given up
    /// loses nothing.
    ///
    /// # Errors
    /// What is not retriable ([`Error::is_retriable`]), for example that this installation is not paired. The next call tries
    /// again all the same.
    pub async fn next(&mut self) -> Result<RemoteNotification, Error> {
        loop {
            if let Some(one) = self.told.pop_front() {
                return Ok(one);
            }
            match self.turn().await {
                Ok(Turn::Told(told)) => {
                    self.failures = 0;
                    let is_news = |one: &RemoteNotification| {
                        !matches!(one, RemoteNotification::Silent | RemoteNotification::NotOurs)
                    };
                    self.told.extend(told.into_iter().filter(is_news));
                }
                Ok(Turn::Begun) => {}
                Ok(Turn::Nothing) => self.wait(PAUSE).await,
                Ok(Turn::Lost) => self.back_off(None).await,
                Err(error) if error.is_retriable() => {
                    self.back_off(error.retry_after_seconds()).await;
                }
                Err(error) => {
                    // What the socket told is found again by asking.
                    self.give_up_socket();
                    return Err(error);
                }
            }
        }
    }

    /// Ends it politely. Dropping it does as well.
    pub async fn close(mut self) {
        if let Some(socket) = &mut self.socket {
            socket.close().await;
        }
    }

    async fn turn(&mut self) -> Result<Turn, Error> {
        if let Some(response) = self.received.clone() {
            let shown = self.sdk.installation.shown.ids();
            let expected = self.listed.iter().filter(|id| shown.contains(id)).cloned().collect();
            let known = [shown, self.listed.clone()].concat();
            let listed = response.challenges.iter().map(|one| one.id.clone()).collect();
            let told = self.sdk.follow(response, &known, expected).await?;
            (self.received, self.listed) = (None, listed);
            return Ok(Turn::Told(told));
        }
        match &mut self.socket {
            Some(socket) => match socket.receive_text().await {
                Ok(Received::Text(text)) => self.receive(&text),
                Ok(Received::Closed { code }) => Ok(self.closed(code)),
                Err(_) => Ok(self.closed(None)),
            },
            None if self.asks == 0 => self.open().await,
            None => self.ask().await,
        }
    }

    fn receive(&mut self, text: &str) -> Result<Turn, Error> {
        let response = json::parse(text.as_bytes());
        self.received = Some(response.map_err(|error| Error::Answer(error.to_string()))?);
        Ok(Turn::Begun)
    }

    /// A node that is restarted, and a connection that is lost, come back soon. All else is a word of the platform that it
    /// wants no socket now, and the answer to a question says why.
    fn closed(&mut self, code: Option<u16>) -> Turn {
        match code {
            None | Some(close_code::RESTART) => {
                self.socket = None;
                Turn::Lost
            }
            Some(_) => {
                self.give_up_socket();
                Turn::Begun
            }
        }
    }

    fn give_up_socket(&mut self) {
        (self.socket, self.received) = (None, None);
        self.asks = ASKS_BETWEEN_SOCKETS;
    }

    async fn open(&mut self) -> Result<Turn, Error> {
        let installation = &self.sdk.installation;
        installation.check_clock().await;
        push_address::register_quietly(installation).await;
        let address = SocketRequest::address(&installation.settings.device_base);
        // `https` becomes `wss`, and `http`, on a developer's machine, `ws`.
        let url = address.replacen("http", "ws", 1);
        let nonce = installation.nonce().await?;
        let shown = installation.shown.ids();
        let opened = installation.platform.transport.open_socket(&url, SOCKET_PROTOCOL).await;
        let mut socket = match opened {
            Ok(socket) => socket,
            Err(error @ TransportError::NotTrusted(_)) => return Err(error.into()),
            Err(
                TransportError::NoSockets | TransportError::NoAnswer(_) | TransportError::TooLong,
            ) => {
                self.give_up_socket();
                return Ok(Turn::Begun);
            }
        };
        let proof = installation.sign_request(SocketRequest { nonce }).await?;
        let body = ProofBody { proof: proof.jws.expose().clone() };
        let text = serde_json::to_string(&body).map_err(|error| Error::State(error.to_string()))?;
        if socket.send_text(&text).await.is_err() {
            return Ok(Turn::Lost);
        }
        (self.socket, self.listed) = (Some(socket), shown);
        Ok(Turn::Begun)
    }

    async fn ask(&mut self) -> Result<Turn, Error> {
        let begun = self.sdk.installation.platform.clock.now();
        let told = self.sdk.wait_for_notifications(MAX_WAIT_SECONDS).await?;
        self.asks = self.asks.saturating_sub(1);
        let is_early = self.sdk.installation.platform.clock.now() < begun.plus_seconds(1);
        let is_told = told.iter().any(|one| !matches!(one, RemoteNotification::Silent));
        Ok(if is_early && !is_told { Turn::Nothing } else { Turn::Told(told) })
    }

    async fn back_off(&mut self, retry_after_seconds: Option<u64>) {
        let doubled = PAUSE * 2_u32.pow(self.failures.min(MOST_DOUBLINGS));
        self.failures = self.failures.saturating_add(1);
        let longest = PAUSE * 2_u32.pow(MOST_DOUBLINGS);
        let asked = retry_after_seconds.map(Duration::from_secs).unwrap_or_default().min(longest);
        self.wait(doubled.max(asked)).await;
    }

    /// Half of the time, and as much of the other half as chance says: so that not all phones come back at once.
    async fn wait(&mut self, time: Duration) {
        let [chance] = random::<1>(self.sdk.installation.platform.entropy.as_ref());
        (self.pause)(time / 2 + time * u32::from(chance) / 510).await;
    }
}

impl fmt::Debug for NotificationStream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("NotificationStream")
            .field("has_socket", &self.socket.is_some())
            .field("failures", &self.failures)
            .finish_non_exhaustive()
    }
}
