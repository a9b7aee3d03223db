//! Sockets of the platform in memory: each is a line that a test speaks through.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use countersign_protocol::challenge::{ChallengesResponse, SOCKET_PROTOCOL};
use countersign_protocol::device_api::ProofBody;
use tokio::sync::mpsc;

use super::FakePlatform;
use crate::installation::lock;
use crate::platform::{Received, Socket, TransportError};

/// The platform's end of a socket.
pub struct Line {
    sender: mpsc::UnboundedSender<Received>,
    heard: Arc<Mutex<Heard>>,
}

/// What the phone has said.
#[derive(Default)]
struct Heard {
    url: String,
    texts: Vec<String>,
}

/// What the next attempt to open a socket comes to.
pub enum Attempt {
    Opens(PhoneEnd),
    Fails(TransportError),
}

/// The phone's end of a socket.
pub struct PhoneEnd {
    receiver: mpsc::UnboundedReceiver<Received>,
    heard: Arc<Mutex<Heard>>,
}

impl Line {
    pub fn tell(&self, response: &ChallengesResponse) {
        self.sender.send(Received::Text(serde_json::to_string(response).unwrap())).unwrap();
    }

    pub fn close(&self, code: Option<u16>) {
        self.sender.send(Received::Closed { code }).unwrap();
    }

    pub fn url(&self) -> String {
        lock(&self.heard).url.clone()
    }

    /// The proof in its only message.
    pub fn proof(&self) -> String {
        let heard = lock(&self.heard);
        let [text] = heard.texts.as_slice() else { panic!("{:?}", heard.texts) };
        serde_json::from_str::<ProofBody>(text).unwrap().proof
    }
}

impl FakePlatform {
    /// Lets the next attempt open a socket.
    pub fn connect(&self) -> Line {
        let (sender, receiver) = mpsc::unbounded_channel();
        let heard = Arc::default();
        let end = PhoneEnd { receiver, heard: Arc::clone(&heard) };
        lock(&self.sockets).push_back(Attempt::Opens(end));
        Line { sender, heard }
    }

    /// Lets the next attempt fail.
    pub fn refuse_socket(&self, error: TransportError) {
        lock(&self.sockets).push_back(Attempt::Fails(error));
    }

    pub(super) fn open(
        &self,
        url: &str,
        protocol: &str,
    ) -> Result<Box<dyn Socket>, TransportError> {
        assert_eq!(protocol, SOCKET_PROTOCOL);
        match lock(&self.sockets).pop_front() {
            Some(Attempt::Opens(end)) => {
                url.clone_into(&mut lock(&end.heard).url);
                Ok(Box::new(end))
            }
            Some(Attempt::Fails(error)) => Err(error),
            None => Err(TransportError::NoSockets),
        }
    }
}

#[async_trait]
impl Socket for PhoneEnd {
    async fn send_text(&mut self, text: &str) -> Result<(), TransportError> {
        lock(&self.heard).texts.push(text.to_owned());
        Ok(())
    }

    async fn receive_text(&mut self) -> Result<Received, TransportError> {
        // A test that has dropped its line has hung up.
        let received = self.receiver.recv().await;
        received.ok_or_else(|| TransportError::NoAnswer("hung up".to_owned()))
    }

    async fn close(&mut self) {
        self.receiver.close();
    }
}
