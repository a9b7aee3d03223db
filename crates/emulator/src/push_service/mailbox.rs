//! What has arrived at one token, in its order.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use countersign_protocol::time::Timestamp;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::Notify;

/// So many messages are kept of a token: the newest.
pub const CAPACITY: usize = 100;

/// Whether the person sees a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It is shown, or the app may show something for it: APNs `alert`, FCM `HIGH`.
    Visible,
    /// The app is woken in the background: APNs `background`, FCM `NORMAL`.
    Silent,
}

/// A message as the service has accepted it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Message {
    /// The `apns-id`, or the name that FCM gives it.
    pub id: String,
    /// When it was accepted.
    #[serde(serialize_with = "super::installation::rfc3339")]
    pub accepted_at: Timestamp,
    /// Whether it is seen.
    pub kind: Kind,
    /// The header fields that belong to the service, never the authorization.
    pub headers: BTreeMap<String, String>,
    /// What the app gets: the payload of APNs, the `data` of FCM. The SDK finds its part in it.
    pub delivered: Value,
    /// The body of the request.
    pub sent: Value,
}

/// The messages that arrived at one token.
#[derive(Debug, Default)]
pub struct Mailbox {
    kept: Mutex<Kept>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Kept {
    messages: VecDeque<Message>,
    /// So many of them, from the newest, were not received yet.
    unread: usize,
}

impl Mailbox {
    pub(super) fn put(&self, message: Message) {
        let mut kept = self.kept();
        if kept.messages.len() == CAPACITY {
            kept.messages.pop_front();
        }
        kept.messages.push_back(message);
        kept.unread = (kept.unread + 1).min(CAPACITY);
        drop(kept);
        self.arrived.notify_waiters();
    }

    /// The oldest message that was not received before. Waits for it at most `limit`.
    pub async fn receive(&self, limit: Duration) -> Option<Message> {
        let wait = async {
            loop {
                let arrived = self.arrived.notified();
                tokio::pin!(arrived);
                // Before looking, so that what arrives in between is not missed.
                arrived.as_mut().enable();
                if let Some(message) = self.next() {
                    return message;
                }
                arrived.await;
            }
        };
        tokio::time::timeout(limit, wait).await.ok()
    }

    /// The oldest message that was not received before, if there is one.
    pub fn next(&self) -> Option<Message> {
        let mut kept = self.kept();
        let at = kept.messages.len().checked_sub(kept.unread)?;
        let message = kept.messages.get(at)?.clone();
        kept.unread -= 1;
        Some(message)
    }

    /// All that are kept, received or not, the oldest first.
    pub fn messages(&self) -> Vec<Message> {
        self.kept().messages.iter().cloned().collect()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
