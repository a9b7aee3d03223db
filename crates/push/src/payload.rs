//! What is written into a push: the message to the SDK, and a text for people that names nobody.

use countersign_protocol::push::{MEMBER, PushMessage};
use serde_json::{Map, Value, json};

use crate::gateway::Style;

/// The `aps` dictionary of Apple.
pub fn aps(style: Style<'_>) -> Value {
    match style {
        // A background push must not have an alert, a badge or a sound.
        Style::Silent | Style::Cancel => json!({ "content-available": 1 }),
        // Mutable, so that an extension of the app can fetch who asks before it is shown.
        Style::Visible { title, body, category } => json!({
            "alert": { "title": title, "body": body },
            "category": category,
            "mutable-content": 1,
            "sound": "default",
        }),
    }
}

/// The message as an object beside the texts: what APNs would carry beside `aps`, for services that carry JSON.
pub fn object(message: &PushMessage, style: Style<'_>) -> Map<String, Value> {
    let mut members = texts(style);
    members.insert(MEMBER.to_owned(), message_value(message));
    members
}

/// The message as a text beside the texts, for services whose values are texts.
pub fn data(message: &PushMessage, style: Style<'_>) -> Map<String, Value> {
    let mut members = texts(style);
    members.insert(MEMBER.to_owned(), message_value(message).to_string().into());
    members
}

/// The message to the SDK.
pub fn message_value(message: &PushMessage) -> Value {
    // Texts and numbers only, so this never fails; the SDK takes `null` for no message.
    serde_json::to_value(message).unwrap_or_default()
}

fn texts(style: Style<'_>) -> Map<String, Value> {
    let mut members = Map::new();
    if let Style::Visible { title, body, category } = style {
        for (name, text) in [("title", title), ("body", body), ("category", category)] {
            members.insert(name.to_owned(), text.into());
        }
    }
    members
}
