//! What may be sent to FCM: nothing that it does not know, and everything of the right type.

use std::collections::BTreeMap;

use countersign_protocol::json;
use countersign_protocol::time::Timestamp;
use serde_json::{Map, Value};

use super::super::installation::{Replaces, Storing};
use super::super::mailbox::Kind;
use super::error::Refusal;

/// All of `data`, keys and values, has at most so many bytes.
const MAX_DATA: usize = 4_096;

/// 28 days: the longest life, and the one without `ttl`.
const MAX_TTL_SECONDS: i64 = 2_419_200;

/// The type of a field.
enum Shape {
    Text,
    Flag,
    Number,
    /// Text by text.
    Texts,
    List,
    /// Google looks no further.
    Anything,
    Object(&'static [(&'static str, Shape)]),
}

use Shape::{Anything, Flag, List, Number, Object, Text, Texts};

const REQUEST: Shape = Object(&[("validate_only", Flag), ("message", Object(MESSAGE))]);

const MESSAGE: &[(&str, Shape)] = &[
    ("name", Text),
    ("data", Texts),
    ("notification", Object(&[("title", Text), ("body", Text), ("image", Text)])),
    ("android", Object(ANDROID)),
    (
        "webpush",
        Object(&[
            ("headers", Texts),
            ("data", Texts),
            ("notification", Anything),
            ("fcm_options", Anything),
        ]),
    ),
    (
        "apns",
        Object(&[
            ("headers", Texts),
            ("payload", Anything),
            ("fcm_options", Anything),
            ("live_activity_token", Text),
        ]),
    ),
    ("fcm_options", Object(&[("analytics_label", Text)])),
    ("token", Text),
    ("fid", Text),
    ("topic", Text),
    ("condition", Text),
];

const ANDROID: &[(&str, Shape)] = &[
    ("collapse_key", Text),
    ("priority", Text),
    ("ttl", Text),
    ("restricted_package_name", Text),
    ("data", Texts),
    ("notification", Object(ANDROID_NOTIFICATION)),
    ("fcm_options", Object(&[("analytics_label", Text)])),
    ("direct_boot_ok", Flag),
    ("bandwidth_constrained_ok", Flag),
    ("restricted_satellite_ok", Flag),
];

const ANDROID_NOTIFICATION: &[(&str, Shape)] = &[
    ("title", Text),
    ("body", Text),
    ("icon", Text),
    ("color", Text),
    ("sound", Text),
    ("tag", Text),
    ("click_action", Text),
    ("body_loc_key", Text),
    ("body_loc_args", List),
    ("title_loc_key", Text),
    ("title_loc_args", List),
    ("channel_id", Text),
    ("ticker", Text),
    ("sticky", Flag),
    ("event_time", Text),
    ("local_only", Flag),
    ("notification_priority", Text),
    ("default_sound", Flag),
    ("default_vibrate_timings", Flag),
    ("default_light_settings", Flag),
    ("vibrate_timings", List),
    ("visibility", Text),
    ("notification_count", Number),
    ("light_settings", Anything),
    ("image", Text),
    ("bypass_proxy_notification", Flag),
    ("proxy", Text),
];

/// A message that may be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Sending {
    pub token: String,
    pub kind: Kind,
    pub data: Value,
    /// Priority, life and collapse key, as they were sent.
    pub options: BTreeMap<String, String>,
    pub validate_only: bool,
    pub sent: Value,
    ttl_seconds: i64,
    collapse_key: Option<String>,
}

impl Sending {
    pub fn storing(&self, now: Timestamp) -> Storing {
        let until = (self.ttl_seconds > 0).then(|| now.plus_seconds(self.ttl_seconds));
        let replaces = self.collapse_key.clone().map_or(Replaces::Nothing, Replaces::Key);
        Storing { until, replaces }
    }
}

/// Reads a request.
pub fn read(body: &[u8]) -> Result<Sending, Refusal> {
    let sent: Value = json::parse(body).map_err(|error| {
        Refusal::unreadable("", format!("Invalid JSON payload received. The body {error}"))
    })?;
    let request = canonical(&sent, &REQUEST, "")?;
    let Some(message) = request.get("message") else {
        return Err(Refusal::invalid("message", "Message is required."));
    };
    let token = target(message)?;
    let empty = Value::Object(Map::new());
    let data = message.pointer("/android/data").or_else(|| message.get("data"));
    let data = data.unwrap_or(&empty);
    check_data(data)?;
    check_apns(message)?;
    let android = message.get("android").unwrap_or(&empty);
    let text = |name: &str| android.get(name).and_then(Value::as_str);
    let high = match text("priority") {
        None => false,
        Some(priority) if priority.eq_ignore_ascii_case("normal") => false,
        Some(priority) if priority.eq_ignore_ascii_case("high") => true,
        Some(other) => {
            let description = format!("Invalid value at 'message.android.priority': {other}");
            return Err(Refusal::unreadable("message.android.priority", description));
        }
    };
    let options = ["priority", "ttl", "collapse_key"];
    let options =
        options.into_iter().filter_map(|name| Some((name.to_owned(), text(name)?.to_owned())));
    let shown = message.get("notification").is_some() || android.get("notification").is_some();
    Ok(Sending {
        token,
        kind: if high || shown { Kind::Visible } else { Kind::Silent },
        data: data.clone(),
        options: options.collect(),
        validate_only: request.get("validate_only") == Some(&Value::Bool(true)),
        ttl_seconds: text("ttl").map_or(Ok(MAX_TTL_SECONDS), ttl)?,
        collapse_key: text("collapse_key").map(str::to_owned),
        sent,
    })
}

/// The value with the names of fields as the tables have them, without nulls, if it has the shape.
fn canonical(value: &Value, shape: &Shape, path: &str) -> Result<Value, Refusal> {
    let wrong = |kind: &str| {
        let description = format!("Invalid value at '{path}' ({kind}), {value}");
        Err(Refusal::unreadable(path, description))
    };
    match (shape, value) {
        (Anything, _)
        | (Text, Value::String(_))
        | (Flag, Value::Bool(_))
        | (Number, Value::Number(_))
        | (List, Value::Array(_)) => Ok(value.clone()),
        (Texts, Value::Object(members)) => {
            for (at, value) in members.values().enumerate() {
                canonical(value, &Text, &format!("{path}[{at}].value"))?;
            }
            Ok(value.clone())
        }
        (Object(fields), Value::Object(members)) => {
            let mut named = Map::new();
            for (name, value) in members {
                let field = fields.iter().find(|(field, _)| *field == snake_case(name));
                let Some((field, shape)) = field else {
                    return Err(unknown(name, path));
                };
                if !value.is_null() {
                    let value = canonical(value, shape, &join(path, field))?;
                    named.insert((*field).to_owned(), value);
                }
            }
            Ok(Value::Object(named))
        }
        (Text, _) => wrong("TYPE_STRING"),
        (Flag, _) => wrong("TYPE_BOOL"),
        (Number, _) => wrong("TYPE_INT32"),
        (List, _) => wrong("TYPE_LIST"),
        (Texts, _) => wrong("TYPE_MAP"),
        (Object(_), _) => wrong("TYPE_MESSAGE"),
    }
}

fn unknown(name: &str, path: &str) -> Refusal {
    let place = if path.is_empty() { String::new() } else { format!(" at '{path}'") };
    let description = format!(
        "Invalid JSON payload received. Unknown name \"{name}\"{place}: Cannot find field."
    );
    Refusal::unreadable(path, description)
}

fn join(path: &str, field: &str) -> String {
    if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") }
}

/// Google takes each name in two spellings.
fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len());
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// The phone that is meant. Topics and conditions need a server that knows who subscribed: they are refused here.
fn target(message: &Value) -> Result<String, Refusal> {
    let text = |name: &str| message.get(name).and_then(Value::as_str);
    let targets: Vec<_> = ["token", "fid", "topic", "condition"]
        .into_iter()
        .filter_map(|name| Some((name, text(name)?)))
        .collect();
    match targets.as_slice() {
        [("token" | "fid", token)] if is_token(token) => Ok((*token).to_owned()),
        [(name @ ("token" | "fid"), _)] => Err(Refusal::invalid(
            &format!("message.{name}"),
            "The registration token is not a valid FCM registration token",
        )),
        [(name, _)] => {
            Err(Refusal::invalid(&format!("message.{name}"), "The emulator sends to tokens only"))
        }
        _ => Err(Refusal::invalid(
            "message",
            "Recipient of the message is not set, or more than one is.",
        )),
    }
}

/// An instance, a colon, and what Google adds to it.
fn is_token(text: &str) -> bool {
    let allowed =
        |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    text.split_once(":APA91b").is_some_and(|(instance, rest)| {
        instance.len() == 22 && rest.len() >= 100 && allowed(instance) && allowed(rest)
    })
}

fn check_data(data: &Value) -> Result<(), Refusal> {
    let mut bytes = 0;
    for (key, value) in data.as_object().into_iter().flatten() {
        let reserved = ["google.", "gcm."].iter().any(|prefix| key.starts_with(prefix));
        if reserved || key == "from" || key == "message_type" {
            let description = format!("Invalid data payload key: {key}");
            return Err(Refusal::invalid("message.data", &description));
        }
        bytes += key.len() + value.as_str().unwrap_or_default().len();
    }
    if bytes > MAX_DATA {
        return Err(Refusal::invalid("message.data", "Message is too big: at most 4096 bytes"));
    }
    Ok(())
}

/// Apple refuses a background message with priority 10, and Google says so beforehand.
fn check_apns(message: &Value) -> Result<(), Refusal> {
    let header = |name: &str| message.pointer(&format!("/apns/headers/{name}"));
    let background = header("apns-push-type").is_some_and(|kind| kind == "background");
    if background && header("apns-priority").is_some_and(|priority| priority == "10") {
        return Err(Refusal::invalid(
            "message.apns.headers.apns-priority",
            "Priority must be 5 for a background message",
        ));
    }
    Ok(())
}

/// Whole seconds of a duration: digits, perhaps a fraction, and `s`.
fn ttl(text: &str) -> Result<i64, Refusal> {
    let wrong = || {
        let description = format!("Invalid value at 'message.android.ttl' (Duration), \"{text}\"");
        Refusal::unreadable("message.android.ttl", description)
    };
    let number = text.strip_suffix('s').ok_or_else(wrong)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return Err(wrong());
    }
    let seconds = whole.parse().map_err(|_| wrong())?;
    if seconds > MAX_TTL_SECONDS {
        return Err(Refusal::invalid(
            "message.android.ttl",
            "Invalid ttl: must be between 0 and 2419200 seconds",
        ));
    }
    Ok(seconds)
}
