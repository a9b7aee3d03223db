//! A device on the wire (platform API, section 9.3), as flows and device authentications show it.

use serde_json::{Map, Value, json};

use crate::app::{SeenDevice, SeenKind};

/// The members that all of them show.
pub(super) fn members(device: &SeenDevice) -> Map<String, Value> {
    let mut members = Map::new();
    let mut set = |name: &str, value: Value| members.insert(name.to_owned(), value);
    set("id", json!(device.id));
    set("type", device.type_name().into());
    set("status", "ACTIVE".into());
    set("nickname", json!(device.nickname));
    match &device.kind {
        SeenKind::Phone { application, facts } => {
            set("model", json!({ "name": facts.model }));
            set("application", json!({ "id": application }));
        }
        SeenKind::RecoveryCodes { left } => {
            set("codesLeft", json!(left));
        }
        SeenKind::Email { to } => {
            set("email", json!(to));
        }
        SeenKind::Sms { to } | SeenKind::Voice { to } => {
            set("phone", json!(to));
        }
        SeenKind::Totp => {}
    }
    members
}
