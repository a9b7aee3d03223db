//! Apps on phones, as a push service knows them: by their tokens.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use countersign_protocol::encoding;
use countersign_protocol::entropy::{Entropy, random};
use countersign_protocol::mobile_payload::PushEnvironment;
use countersign_protocol::time::{Clock, Timestamp};
use serde::{Serialize, Serializer};

use super::fault::Fault;
use super::mailbox::{Mailbox, Message};
use super::{Host, Service, hex};

/// An emulator has at most so many installations, removed ones among them.
pub const MAX_INSTALLATIONS: usize = 1_000_000;

/// FCM keeps so many messages without a collapse key for a phone that is offline. One more, and it drops them all.
const MAX_STORED: usize = 100;

/// FCM keeps messages of so many collapse keys for a phone that is offline.
const MAX_COLLAPSE_KEYS: usize = 4;

/// What has become of an installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// The app is on the phone.
    Installed,
    /// The app was removed, or installed again under another token.
    Uninstalled {
        /// When.
        #[serde(serialize_with = "rfc3339")]
        at: Timestamp,
    },
    /// The service has let the token expire.
    Expired,
}

/// Writes a time for people.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
pub(super) fn rfc3339<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&at.to_rfc3339_millis())
}

/// What a service knows of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Installation {
    /// The topic of APNs, the project of FCM.
    pub app: String,
    /// Which of Apple's two worlds it is of. FCM has one.
    pub environment: PushEnvironment,
    /// Whether the app is there.
    #[serde(flatten)]
    pub state: State,
    /// Whether the phone has a network.
    pub online: bool,
}

/// How long and instead of what a message is kept for a phone that is offline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Storing {
    /// Nothing: now or never.
    pub until: Option<Timestamp>,
    pub replaces: Replaces,
}

/// What a stored message takes the place of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Replaces {
    /// APNs stores one notification per app and device: the newest.
    All,
    /// FCM: those with the same collapse key.
    Key(String),
    Nothing,
}

struct Entry {
    seen: Installation,
    mailbox: Arc<Mailbox>,
    stored: VecDeque<(Message, Storing)>,
    /// By the fault that holds deliveries back.
    held_back: VecDeque<(Message, Storing)>,
    sent_at: VecDeque<Timestamp>,
}

/// All installations of a service.
pub struct Installations {
    service: Service,
    environment: PushEnvironment,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    entries: Mutex<BTreeMap<String, Entry>>,
}

/// There are [`MAX_INSTALLATIONS`].
#[derive(Debug, thiserror::Error)]
#[error("the emulator has {MAX_INSTALLATIONS} installations and takes no more")]
pub struct Full;

/// A service does not know the token.
#[derive(Debug, thiserror::Error)]
#[error("nothing was ever installed under this token")]
pub struct UnknownToken;

impl Installations {
    pub(super) fn new(service: Service, environment: PushEnvironment, host: &Host) -> Self {
        Self {
            service,
            environment,
            clock: Arc::clone(&host.clock),
            entropy: Arc::clone(&host.entropy),
            entries: Mutex::default(),
        }
    }

    /// Installs an app on a phone that is online, in the environment of the server. `app` is the topic of APNs or the project of FCM.
    pub fn install(&self, app: &str) -> Result<String, Full> {
        self.install_in(self.environment, app)
    }

    /// The same in the environment that is named: a token of the other one is a bad token.
    pub fn install_in(&self, environment: PushEnvironment, app: &str) -> Result<String, Full> {
        let token = match self.service {
            Service::Apns => hex(&random::<32>(&*self.entropy)),
            Service::Fcm => {
                let (instance, rest) =
                    (random::<16>(&*self.entropy), random::<100>(&*self.entropy));
                format!("{}:APA91b{}", encoding::encode(instance), encoding::encode(rest))
            }
        };
        let (app, state) = (app.to_owned(), State::Installed);
        let entry = Entry::new(Installation { app, environment, state, online: true });
        let mut entries = self.entries();
        if entries.len() >= MAX_INSTALLATIONS {
            return Err(Full);
        }
        entries.insert(token.clone(), entry);
        Ok(token)
    }

    /// Knows an installation of an earlier run under its token, so that phones outlast the service. A token that is known
    /// stays as it is.
    pub fn adopt(&self, token: &str, seen: Installation) -> Result<(), Full> {
        let mut entries = self.entries();
        if entries.len() >= MAX_INSTALLATIONS {
            return Err(Full);
        }
        entries.entry(token.to_owned()).or_insert_with(|| Entry::new(seen));
        Ok(())
    }

    /// Removes the app. From now on the service says that the token is not registered.
    pub fn uninstall(&self, token: &str) -> Result<(), UnknownToken> {
        let at = self.clock.now();
        self.change(token, |entry| {
            if entry.seen.state == State::Installed {
                entry.seen.state = State::Uninstalled { at };
                entry.stored.clear();
                entry.held_back.clear();
            }
        })
    }

    /// Removes the app if it is there, and installs it again: under a new token.
    pub fn reinstall(&self, token: &str) -> Result<String, ReinstallError> {
        let seen = self.find(token).ok_or(UnknownToken)?;
        let new = self.install_in(seen.environment, &seen.app)?;
        self.uninstall(token)?;
        Ok(new)
    }

    /// Lets the token expire: APNs then says `ExpiredToken`, FCM as after a removal.
    pub fn expire(&self, token: &str) -> Result<(), UnknownToken> {
        self.change(token, |entry| entry.seen.state = State::Expired)
    }

    /// Gives the phone a network or takes it away. What was stored meanwhile and is still valid is delivered.
    pub fn set_online(&self, token: &str, online: bool) -> Result<(), UnknownToken> {
        let now = self.clock.now();
        self.change(token, |entry| {
            entry.seen.online = online;
            if online {
                for (message, storing) in std::mem::take(&mut entry.stored) {
                    if storing.until.is_some_and(|until| now < until) {
                        entry.mailbox.put(message);
                    }
                }
            }
        })
    }

    /// Delivers what [`Fault::HoldBack`] has held back, unless its time is over.
    pub fn release(&self, token: &str) -> Result<(), UnknownToken> {
        let now = self.clock.now();
        self.change(token, |entry| {
            for (message, storing) in std::mem::take(&mut entry.held_back) {
                if storing.until.is_none_or(|until| now < until) {
                    entry.deliver(message, storing);
                }
            }
        })
    }

    /// What the service knows of the token.
    pub fn find(&self, token: &str) -> Option<Installation> {
        self.entries().get(token).map(|entry| entry.seen.clone())
    }

    /// Tokens in their order, after the one given.
    pub fn list(&self, after: Option<&str>, limit: usize) -> Vec<(String, Installation)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let entries = self.entries();
        let page = entries.range::<str, _>((from, Bound::Unbounded)).take(limit);
        page.map(|(token, entry)| (token.clone(), entry.seen.clone())).collect()
    }

    /// Where the messages of the token arrive.
    pub fn mailbox(&self, token: &str) -> Result<Arc<Mailbox>, UnknownToken> {
        self.entries().get(token).map(|entry| Arc::clone(&entry.mailbox)).ok_or(UnknownToken)
    }

    /// The next message of the token. Waits for it at most `limit`.
    pub async fn receive(&self, token: &str, limit: Duration) -> Option<Message> {
        self.mailbox(token).ok()?.receive(limit).await
    }

    /// Counts a message to the token, unless there were `limit` within the minute.
    pub(super) fn count(&self, token: &str, limit: usize) -> bool {
        let now = self.clock.now();
        let mut counted = false;
        let _ = self.change(token, |entry| {
            entry.sent_at.retain(|at| now < at.plus_seconds(60));
            counted = entry.sent_at.len() < limit;
            if counted {
                entry.sent_at.push_back(now);
            }
        });
        counted
    }

    /// Takes a message that the service has accepted. `fault` is what goes wrong with its delivery.
    pub(super) fn accept(
        &self,
        token: &str,
        message: Message,
        storing: Storing,
        fault: Option<&Fault>,
    ) {
        let _ = self.change(token, |entry| match fault {
            Some(Fault::Lose {}) => {}
            Some(Fault::HoldBack {}) => keep(&mut entry.held_back, (message, storing)),
            Some(Fault::Duplicate {}) => {
                entry.deliver(message.clone(), storing.clone());
                entry.deliver(message, storing);
            }
            Some(_) | None => entry.deliver(message, storing),
        });
    }

    fn change(&self, token: &str, change: impl FnOnce(&mut Entry)) -> Result<(), UnknownToken> {
        self.entries().get_mut(token).map(change).ok_or(UnknownToken)
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn new(seen: Installation) -> Self {
        Self {
            seen,
            mailbox: Arc::default(),
            stored: VecDeque::new(),
            held_back: VecDeque::new(),
            sent_at: VecDeque::new(),
        }
    }

    fn deliver(&mut self, message: Message, storing: Storing) {
        if self.seen.online {
            self.mailbox.put(message);
        } else if storing.until.is_some() {
            match &storing.replaces {
                Replaces::All => self.stored.clear(),
                Replaces::Key(key) => self.make_room_for(key),
                Replaces::Nothing => {}
            }
            keep(&mut self.stored, (message, storing));
        }
    }

    /// Removes what has this collapse key, or the oldest of all keys if there would be too many.
    fn make_room_for(&mut self, key: &str) {
        let key_of = |storing: &Storing| match &storing.replaces {
            Replaces::Key(key) => Some(key.clone()),
            Replaces::All | Replaces::Nothing => None,
        };
        self.stored.retain(|(_, storing)| key_of(storing).as_deref() != Some(key));
        let keys = self.stored.iter().filter(|(_, storing)| key_of(storing).is_some()).count();
        if keys >= MAX_COLLAPSE_KEYS {
            let oldest = self.stored.iter().position(|(_, storing)| key_of(storing).is_some());
            oldest.and_then(|at| self.stored.remove(at));
        }
    }
}

/// Puts the message behind the others. When there are too many, all others go, as with FCM.
fn keep(messages: &mut VecDeque<(Message, Storing)>, message: (Message, Storing)) {
    if messages.len() >= MAX_STORED {
        messages.clear();
    }
    messages.push_back(message);
}

/// Why an app was not installed again.
#[derive(Debug, thiserror::Error)]
pub enum ReinstallError {
    /// It was never there.
    #[error(transparent)]
    UnknownToken(#[from] UnknownToken),
    /// There is no room.
    #[error(transparent)]
    Full(#[from] Full),
}
