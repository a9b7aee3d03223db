//! A push as APNs wants it (Apple: Sending notification requests to APNs).

use countersign_protocol::mobile_payload::PushService;
use countersign_protocol::push::MEMBER;
use http::{HeaderValue, Request};
use http_body_util::Full;
use hyper::body::Bytes;
use serde_json::json;
use url::Url;
use uuid::Uuid;

use crate::answer::{Answer, Trouble};
use crate::gateway::{Push, Style, check_size};
use crate::payload;

const MAX_PAYLOAD_BYTES: usize = 4_096;
/// Apple leaves the length of a device token open; 64 digits are usual.
const TOKEN_CHARACTERS: std::ops::RangeInclusive<usize> = 32..=400;

/// A push, ready to be sent with one provider token or another.
pub struct Notification {
    request: Request<Full<Bytes>>,
}

impl Notification {
    pub fn new(push: &Push<'_>, base: &Url, topic: &str) -> Result<Self, Answer> {
        push.check(PushService::Apns)?;
        let token = push.address.address.as_str();
        let is_hex = token.len().is_multiple_of(2) && token.bytes().all(|b| b.is_ascii_hexdigit());
        if !is_hex || !TOKEN_CHARACTERS.contains(&token.len()) {
            return Err(Answer::foreign_address("the address is not a device token of APNs"));
        }
        let message = payload::message_value(push.message);
        let body = json!({ "aps": payload::aps(push.style), MEMBER: message }).to_string();
        check_size(body.len(), MAX_PAYLOAD_BYTES)?;
        let (kind, priority) = match push.style {
            Style::Visible { .. } => ("alert", "10"),
            Style::Silent | Style::Cancel => ("background", "5"),
        };
        let base = base.as_str().trim_end_matches('/');
        let request = Request::post(format!("{base}/3/device/{token}"))
            .header("apns-id", Uuid::from_bytes(push.id).to_string())
            .header("apns-topic", topic)
            .header("apns-push-type", kind)
            .header("apns-priority", priority)
            .header("apns-expiration", push.expires_at.unix_seconds())
            .header("apns-collapse-id", push.collapse)
            .header("content-type", "application/json")
            .body(Full::from(body));
        let request =
            request.map_err(|error| Answer::rejected(Trouble::Request, &error.to_string()))?;
        Ok(Self { request })
    }

    /// The request that shows a provider token.
    pub fn request(&self, authorization: &HeaderValue) -> Request<Full<Bytes>> {
        let mut request = self.request.clone();
        request.headers_mut().insert("authorization", authorization.clone());
        request
    }
}
