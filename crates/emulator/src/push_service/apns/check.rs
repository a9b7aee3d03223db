//! The checks of a request, in the order in which APNs makes them.

use std::collections::BTreeMap;

use countersign_protocol::mobile_payload::PushEnvironment;
use countersign_protocol::time::Timestamp;
use http::{HeaderMap, HeaderValue, Method};
use serde_json::Value;

use super::super::installation::{Installation, Replaces, State, Storing};
use super::super::mailbox::Kind;
use super::provider_token::Team;
use super::reason::Reason;

/// A body may have so many bytes, and so many for `VoIP`.
const MAX_BODY: usize = 4_096;
const MAX_VOIP_BODY: usize = 5_120;

const MAX_COLLAPSE_ID: usize = 64;
const MAX_TOPIC: usize = 255;

/// APNs stores nothing longer.
const MAX_STORED_SECONDS: i64 = 30 * 86_400;

const PATH: &str = "/3/device/";

/// A refusal, with the time of a 410.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    pub reason: Reason,
    pub at: Option<Timestamp>,
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self { reason, at: None }
    }
}

/// The token that a path names, in lower case: empty if there is none.
pub fn device_token(method: &Method, path: &str) -> Result<String, Reason> {
    let token = path.strip_prefix(PATH).ok_or(Reason::BadPath)?;
    if token.contains('/') {
        return Err(Reason::BadPath);
    }
    if method != Method::POST {
        return Err(Reason::MethodNotAllowed);
    }
    Ok(token.to_ascii_lowercase())
}

/// The provider token of `authorization: bearer ..`.
pub fn provider_token(headers: &HeaderMap) -> Result<&str, Reason> {
    let value = headers.get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let (scheme, token) =
        value.and_then(|value| value.split_once(' ')).ok_or(Reason::MissingProviderToken)?;
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
        return Err(Reason::MissingProviderToken);
    }
    Ok(token)
}

/// What the header fields say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields {
    pub topic: Option<String>,
    pub push_type: Option<PushType>,
    pub priority: u8,
    pub expires_at: Option<Timestamp>,
    /// `apns-expiration: 0`.
    pub now_or_never: bool,
    /// As they were sent.
    pub all: BTreeMap<String, String>,
}

/// The values of `apns-push-type`, as far as they differ here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushType {
    Alert,
    Background,
    Voip,
    Other,
}

impl PushType {
    fn parse(text: &str) -> Result<Self, Reason> {
        match text {
            "alert" => Ok(Self::Alert),
            "background" => Ok(Self::Background),
            "voip" => Ok(Self::Voip),
            "location" | "complication" | "fileprovider" | "mdm" | "liveactivity"
            | "pushtotalk" | "widgets" | "controls" => Ok(Self::Other),
            _ => Err(Reason::InvalidPushType),
        }
    }
}

/// Reads the header fields: their syntax, and that none is there twice.
pub fn fields(headers: &HeaderMap) -> Result<Fields, Reason> {
    let mut all = BTreeMap::new();
    for name in headers.keys() {
        let of_apns = name.as_str().starts_with("apns-");
        if (of_apns || name == http::header::AUTHORIZATION)
            && headers.get_all(name).iter().nth(1).is_some()
        {
            return Err(Reason::DuplicateHeaders);
        }
        if of_apns {
            let value = headers.get(name).map(HeaderValue::as_bytes).unwrap_or_default();
            all.insert(name.as_str().to_owned(), String::from_utf8_lossy(value).into_owned());
        }
    }
    let field = |name: &str| all.get(name).map(String::as_str);
    if field("apns-id").is_some_and(|id| !is_uuid(id)) {
        return Err(Reason::BadMessageId);
    }
    if field("apns-collapse-id").is_some_and(|id| id.len() > MAX_COLLAPSE_ID) {
        return Err(Reason::BadCollapseId);
    }
    let expiration = match field("apns-expiration") {
        Some(text) if text.bytes().all(|b| b.is_ascii_digit()) => {
            Some(text.parse::<i64>().map_err(|_| Reason::BadExpirationDate)?)
        }
        Some(_) => return Err(Reason::BadExpirationDate),
        None => None,
    };
    let priority = match field("apns-priority") {
        None | Some("10") => 10,
        Some("5") => 5,
        Some("1") => 1,
        Some(_) => return Err(Reason::BadPriority),
    };
    Ok(Fields {
        topic: field("apns-topic").map(str::to_owned),
        push_type: field("apns-push-type").map(PushType::parse).transpose()?,
        priority,
        expires_at: expiration.filter(|at| *at != 0).map(Timestamp::from_unix_seconds),
        now_or_never: expiration == Some(0),
        all,
    })
}

/// The id that the provider gives the message, if it may be one.
pub fn message_id(headers: &HeaderMap) -> Option<HeaderValue> {
    let id = headers.get("apns-id")?;
    id.to_str().is_ok_and(is_uuid).then(|| id.clone())
}

/// 8-4-4-4-12 lower-case hexadecimal digits.
fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

/// The topic, if the team may push to it.
pub fn topic<'a>(fields: &'a Fields, team: &Team) -> Result<&'a str, Reason> {
    let topic = fields.topic.as_deref().ok_or(Reason::MissingTopic)?;
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    if topic.is_empty() || topic.len() > MAX_TOPIC || !topic.bytes().all(allowed) {
        return Err(Reason::BadTopic);
    }
    if !team.topics.is_empty() && !team.topics.iter().any(|allowed| allowed == topic) {
        return Err(Reason::TopicDisallowed);
    }
    Ok(topic)
}

/// What is to be delivered.
#[derive(Debug, Clone, PartialEq)]
pub struct Notification {
    pub kind: Kind,
    pub push_type: PushType,
    /// Nothing when the body is too large to be looked at.
    pub payload: Option<Value>,
}

/// Whether push type, priority and payload agree. `body` is nothing when it was too large to be read.
pub fn notification(fields: &Fields, body: Option<&[u8]>) -> Result<Notification, Reason> {
    let Some(body) = body else {
        let push_type = fields.push_type.unwrap_or(PushType::Alert);
        return Ok(Notification { kind: Kind::Visible, push_type, payload: None });
    };
    if body.is_empty() {
        return Err(Reason::PayloadEmpty);
    }
    let payload: Value = serde_json::from_slice(body).map_err(|_| Reason::BadRequestPayload)?;
    if !payload.is_object() {
        return Err(Reason::BadRequestPayload);
    }
    let aps = payload.get("aps");
    let has = |member: &str| aps.and_then(|aps| aps.get(member)).is_some();
    let shows = has("alert") || has("badge") || has("sound");
    let wakes = aps.and_then(|aps| aps.get("content-available")) == Some(&Value::from(1));
    let implied = if wakes && !shows { PushType::Background } else { PushType::Alert };
    let push_type = fields.push_type.unwrap_or(implied);
    match push_type {
        PushType::Background if !wakes || shows => return Err(Reason::InvalidPushType),
        PushType::Background if fields.priority == 10 => return Err(Reason::BadPriority),
        PushType::Alert if !shows => return Err(Reason::InvalidPushType),
        PushType::Alert | PushType::Background | PushType::Voip | PushType::Other => {}
    }
    let silent = push_type == PushType::Background;
    let kind = if silent { Kind::Silent } else { Kind::Visible };
    Ok(Notification { kind, push_type, payload: Some(payload) })
}

/// Whether the token is one of this environment and topic, and still lives.
pub fn token(
    token: &str,
    found: Option<&Installation>,
    expected: (PushEnvironment, &str),
) -> Result<(), Refusal> {
    if token.is_empty() {
        return Err(Reason::MissingDeviceToken.into());
    }
    let (environment, topic) = expected;
    let found =
        found.filter(|found| found.environment == environment).ok_or(Reason::BadDeviceToken)?;
    if found.app != topic {
        return Err(Reason::DeviceTokenNotForTopic.into());
    }
    match found.state {
        State::Installed => Ok(()),
        State::Uninstalled { at } => Err(Refusal { reason: Reason::Unregistered, at: Some(at) }),
        State::Expired => Err(Reason::ExpiredToken.into()),
    }
}

/// Whether the body is small enough.
pub fn size(push_type: PushType, body: Option<&[u8]>) -> Result<(), Reason> {
    let limit = if push_type == PushType::Voip { MAX_VOIP_BODY } else { MAX_BODY };
    match body {
        Some(body) if body.len() <= limit => Ok(()),
        Some(_) | None => Err(Reason::PayloadTooLarge),
    }
}

/// How long the notification is stored: one per app and device, at most 30 days.
pub fn storing(fields: &Fields, now: Timestamp) -> Storing {
    let longest = now.plus_seconds(MAX_STORED_SECONDS);
    let until = fields.expires_at.map_or(longest, |at| at.min(longest));
    let until = Some(until).filter(|until| !fields.now_or_never && now < *until);
    Storing { until, replaces: Replaces::All }
}
