//! A WebSocket over a connection that reqwest has opened: the same roots, proxies and time limits as all requests.

use std::time::Duration;

use ::reqwest::{Client, StatusCode, Upgraded, header};
use async_trait::async_trait;
use futures_util::{SinkExt, StreamExt};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::{TIMEOUT, classify};
use crate::platform::{MAX_MESSAGE_BYTES, Received, Socket, TransportError};

/// The platform pings every 25 seconds: after two that did not come, nobody is there.
const LONGEST_SILENCE: Duration = Duration::from_mins(1);

/// How long a polite end may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Few messages come, and they are small.
const READ_BUFFER_BYTES: usize = 4_096;

pub(super) struct WebSocket(WebSocketStream<Upgraded>);

/// Opens a socket (RFC 6455 section 4.1).
pub(super) async fn open(
    client: &Client,
    url: &str,
    protocol: &str,
) -> Result<WebSocket, TransportError> {
    // To reqwest it is an HTTP request like any other.
    let url = url.strip_prefix("ws").map_or_else(|| url.to_owned(), |rest| format!("http{rest}"));
    let key = generate_key();
    let accept = derive_accept_key(key.as_bytes());
    let request = client
        .get(url)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_PROTOCOL, protocol)
        .header(header::SEC_WEBSOCKET_KEY, key);
    let opened = async {
        let answer = request.send().await.map_err(|error| classify(&error))?;
        let says = |name, value: &str| answer.headers().get(name).is_some_and(|is| is == value);
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            let status = answer.status().as_u16();
            return Err(TransportError::NoAnswer(format!("no socket (HTTP {status})")));
        }
        if !says(header::SEC_WEBSOCKET_ACCEPT, &accept)
            || !says(header::SEC_WEBSOCKET_PROTOCOL, protocol)
        {
            return Err(TransportError::NoAnswer("the answer is no socket's".to_owned()));
        }
        answer.upgrade().await.map_err(|error| classify(&error))
    };
    let stream = timeout(TIMEOUT, opened).await.map_err(|_| silent())??;
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES))
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0);
    Ok(WebSocket(WebSocketStream::from_raw_socket(stream, Role::Client, Some(config)).await))
}

fn silent() -> TransportError {
    TransportError::NoAnswer("the server is silent".to_owned())
}

fn broken(error: &Error) -> TransportError {
    match error {
        Error::Capacity(_) => TransportError::TooLong,
        _ => TransportError::NoAnswer(error.to_string()),
    }
}

#[async_trait]
impl Socket for WebSocket {
    async fn send_text(&mut self, text: &str) -> Result<(), TransportError> {
        let sent = timeout(TIMEOUT, self.0.send(Message::text(text))).await;
        sent.map_err(|_| silent())?.map_err(|error| broken(&error))
    }

    async fn receive_text(&mut self) -> Result<Received, TransportError> {
        loop {
            let next = timeout(LONGEST_SILENCE, self.0.next()).await.map_err(|_| silent())?;
            match next {
                Some(Ok(Message::Text(text))) => return Ok(Received::Text(text.to_string())),
                Some(Ok(Message::Close(frame))) => {
                    let code = frame.map(|frame| frame.code.into());
                    // The answer to the close goes out with the next poll, which also sees the end.
                    let _ = timeout(CLOSE_TIMEOUT, self.0.next()).await;
                    return Ok(Received::Closed { code });
                }
                None => return Ok(Received::Closed { code: None }),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Binary(_) | Message::Frame(_))) => {
                    return Err(TransportError::NoAnswer("a message is not text".to_owned()));
                }
                Some(Err(error)) => return Err(broken(&error)),
            }
        }
    }

    async fn close(&mut self) {
        let _ = timeout(CLOSE_TIMEOUT, self.0.close(None)).await;
    }
}
