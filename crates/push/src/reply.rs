//! A reply of a push service over HTTP, before anybody has judged it.

use std::time::Duration;

use countersign_protocol::time::Timestamp;
use http::HeaderMap;
use http::header::RETRY_AFTER;
use serde_json::Value;

use crate::answer::{Answer, Outcome, Raw};

/// The longest wait that a service can ask for: after a day nothing of ours is still to be sent.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(24);

/// A reply of a push service.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body, or as much of it as was read.
    pub body: Vec<u8>,
    /// When it came.
    pub received_at: Timestamp,
}

impl Reply {
    /// The body as JSON; `null` when it is something else.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// `Retry-After`, as seconds or as a date (RFC 9110 section 10.2.3).
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let text = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        let wait = if let Ok(seconds) = text.parse() {
            Duration::from_secs(seconds)
        } else {
            let then = httpdate::parse_http_date(text).ok()?;
            let then = then.duration_since(std::time::UNIX_EPOCH).ok()?;
            let now = Duration::from_micros(u64::try_from(self.received_at.micros()).ok()?);
            then.saturating_sub(now)
        };
        Some(wait.min(MAX_RETRY_AFTER))
    }

    pub(crate) fn answer(&self, outcome: Outcome, reason: &str) -> Answer {
        Answer { outcome, raw: Raw::new(Some(self.status), reason) }
    }
}

/// The text at a JSON pointer (RFC 6901); empty when there is none.
pub(crate) fn text_at<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// A reply as tests write it.
#[cfg(test)]
pub(crate) fn reply(status: u16, body: impl Into<Vec<u8>>) -> Reply {
    let received_at = Timestamp::from_unix_seconds(1_767_603_600);
    Reply { status, headers: HeaderMap::new(), body: body.into(), received_at }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_to_wait_is_read_as_seconds_and_as_a_date() {
        for (text, seconds) in [
            ("120", Some(120)),
            ("0", Some(0)),
            ("99999999999", Some(86_400)),
            ("Mon, 05 Jan 2026 09:00:30 GMT", Some(30)),
            ("Mon, 05 Jan 2026 08:00:00 GMT", Some(0)),
            ("Mon, 05 Jan 2099 09:00:00 GMT", Some(86_400)),
            ("-1", None),
            ("soon", None),
        ] {
            let mut reply = reply(503, "");
            reply.headers.insert(RETRY_AFTER, text.parse().unwrap());
            assert_eq!(reply.retry_after(), seconds.map(Duration::from_secs), "{text}");
        }
        assert_eq!(reply(503, "").retry_after(), None);
    }
}
