//! What all push services have in common: a push goes in, an answer comes out.

use std::time::Duration;

use async_trait::async_trait;
use countersign_protocol::mobile_payload::{PushAddress, PushService};
use countersign_protocol::push::PushMessage;
use countersign_protocol::time::{Clock, Timestamp};

use crate::answer::{Answer, Trouble};

/// One push service with one set of credentials.
#[async_trait]
pub trait Gateway: Send + Sync {
    /// Gives a push to the service, unless it has expired. Waits no longer than the limits in [`crate::Settings`] and the life of
    /// the push allow.
    async fn send(&self, push: &Push<'_>) -> Answer;
}

/// One push.
#[derive(Debug, Clone, Copy)]
pub struct Push<'a> {
    /// A UUID, the same when the push is sent again.
    pub id: [u8; 16],
    /// Where to.
    pub address: &'a PushAddress,
    /// What it says to the SDK.
    pub message: &'a PushMessage,
    /// What it does to the phone.
    pub style: Style<'a>,
    /// A push takes the place of an undelivered one with the same text here. At most [`MAX_COLLAPSE_BYTES`].
    pub collapse: &'a str,
    /// Nothing is sent after this, and no service keeps it longer.
    pub expires_at: Timestamp,
}

/// The longest [`Push::collapse`] (Apple: `apns-collapse-id`).
pub const MAX_COLLAPSE_BYTES: usize = 64;

/// What a push does to the phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style<'a> {
    /// Wakes the app, and nobody sees anything.
    Silent,
    /// Shows a text.
    Visible {
        /// Names no user and no context.
        title: &'a str,
        /// Names no user and no context.
        body: &'a str,
        /// Which buttons the app shows with it.
        category: &'a str,
    },
    /// Takes the place of a visible one that needs no answer any more, and wakes the app to remove it.
    Cancel,
}

impl Style<'_> {
    pub(crate) const fn is_visible(self) -> bool {
        matches!(self, Self::Visible { .. })
    }
}

impl Push<'_> {
    /// Refuses what no service could take, and the address of another service.
    pub(crate) fn check(&self, service: PushService) -> Result<(), Answer> {
        if self.address.service != service {
            return Err(Answer::foreign_address("the address is of another push service"));
        }
        let collapse = self.collapse;
        let is_printable = collapse.bytes().all(|byte| byte.is_ascii_graphic());
        if collapse.is_empty() || collapse.len() > MAX_COLLAPSE_BYTES || !is_printable {
            let reason = "the collapse text must have 1 to 64 printable ASCII characters";
            return Err(Answer::rejected(Trouble::Request, reason));
        }
        Ok(())
    }

    /// What of its life is left.
    pub(crate) fn remaining(&self, clock: &dyn Clock) -> Option<Duration> {
        let left = self.expires_at.micros().saturating_sub(clock.now().micros());
        u64::try_from(left).ok().filter(|left| *left > 0).map(Duration::from_micros)
    }

    /// How long a service may keep it, in seconds; never longer than four weeks, the longest that any takes.
    pub(crate) fn time_to_live(&self, clock: &dyn Clock) -> u64 {
        const FOUR_WEEKS: u64 = 28 * 86_400;
        self.remaining(clock).map_or(0, |left| left.as_secs().min(FOUR_WEEKS))
    }
}

/// Refuses a message that a service would refuse for its size.
pub(crate) fn check_size(bytes: usize, most: usize) -> Result<(), Answer> {
    if bytes <= most {
        return Ok(());
    }
    let reason = format!("the message has {bytes} bytes, and the service takes {most}");
    Err(Answer::rejected(Trouble::TooLarge, &reason))
}
