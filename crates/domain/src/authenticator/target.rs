//! Where passcodes are sent, and which were sent lately.

use countersign_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{flow::Flow, id::Id};

/// The most passcodes that are sent to one target within [`SENDING_WINDOW_SECONDS`]: whoever knows a password must not fill the
/// mailbox of its user, and has so many tries at guessing.
pub const MOST_SENDINGS: usize = 5;

/// How long a passcode that was sent counts for that limit, in seconds.
pub const SENDING_WINDOW_SECONDS: i64 = 900;

/// How long any passcode may be good, in seconds (platform API, section 5.3).
const LONGEST_LIFE_SECONDS: i64 = 1_800;

/// Where passcodes are sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// A mail address, or a phone number in the form of E.164.
    pub address: String,
    /// What was sent lately, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sendings: Vec<Sending>,
}

/// A passcode that was sent. It is made of its id, so it is nowhere but in the message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sending {
    /// Its id.
    pub id: Id<Sending>,
    /// The sign-on for which it is good, and no other.
    pub flow: Id<Flow>,
    /// How many digits it has.
    pub digits: u8,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// Whether it has counted, or counts no more.
    #[serde(default, skip_serializing_if = "is_false")]
    pub spent: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

impl Target {
    /// One to which nothing was sent.
    #[must_use]
    pub const fn new(address: String) -> Self {
        Self { address, sendings: Vec::new() }
    }

    /// After a passcode is sent; nothing if too many were, lately.
    #[must_use]
    pub fn after(&self, sending: Sending) -> Option<Self> {
        let age = |known: &Sending| sending.sent_at.seconds_since(known.sent_at);
        let mut sendings = self.sendings.clone();
        sendings.retain(|known| age(known) < LONGEST_LIFE_SECONDS);
        let lately = sendings.iter().filter(|known| age(known) < SENDING_WINDOW_SECONDS).count();
        sendings.push(sending);
        (lately < MOST_SENDINGS).then(|| Self { sendings, ..self.clone() })
    }

    /// The passcode that is good for a sign-on now: the last that was sent for it.
    #[must_use]
    pub fn good_for(&self, flow: Id<Flow>, life_seconds: u32, now: Timestamp) -> Option<&Sending> {
        let last = self.sendings.iter().rev().find(|sending| sending.flow == flow)?;
        let is_young = now.seconds_since(last.sent_at) < i64::from(life_seconds);
        (is_young && !last.spent).then_some(last)
    }

    /// The same, and none of the passcodes that were sent counts any more.
    #[must_use]
    pub fn spent(&self) -> Self {
        let sendings = self.sendings.iter().cloned();
        let sendings = sendings.map(|sending| Sending { spent: true, ..sending }).collect();
        Self { sendings, ..self.clone() }
    }

    /// The same, and this passcode does not count again.
    #[must_use]
    pub fn without(&self, id: Id<Sending>) -> Self {
        let sendings = self.sendings.iter().cloned();
        let spend =
            |sending: Sending| Sending { spent: sending.spent || sending.id == id, ..sending };
        Self { sendings: sendings.map(spend).collect(), ..self.clone() }
    }

    /// The address as others may see it: `a***@example.org`, `********67`.
    #[must_use]
    pub fn masked(&self) -> String {
        if let Some((name, host)) = self.address.rsplit_once('@') {
            return format!("{}***@{host}", name.chars().next().unwrap_or('*'));
        }
        let count = self.address.chars().count();
        let hidden = count.saturating_sub(2);
        let shown: String = self.address.chars().skip(hidden).collect();
        format!("{}{shown}", "*".repeat(hidden))
    }
}

/// Whether a text can be a mail address to which something is sent (RFC 5321): no spaces, no control characters, no quotes.
#[must_use]
pub fn is_mail_address(text: &str) -> bool {
    let fits = |c: char| {
        c.is_ascii_graphic()
            && !matches!(c, '<' | '>' | '(' | ')' | ',' | ';' | ':' | '\\' | '"' | '[' | ']')
    };
    let Some((name, host)) = text.rsplit_once('@') else { return false };
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    text.len() <= 254
        && (1..=64).contains(&name.len())
        && name.chars().all(fits)
        && !name.contains('@')
        && host.split('.').all(is_label)
}

/// Whether a text is a phone number in the form of E.164: `+` and 8 to 15 digits, the first of which is not 0.
#[must_use]
pub fn is_phone_number(text: &str) -> bool {
    let Some(digits) = text.strip_prefix('+') else { return false };
    (8..=15).contains(&digits.len())
        && digits.bytes().all(|b| b.is_ascii_digit())
        && !digits.starts_with('0')
}
