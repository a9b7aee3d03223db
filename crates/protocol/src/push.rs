//! What a push message says to the SDK. A hint that travels through the hands of Apple, Google and Huawei: it names no user
//! and no context, which the SDK fetches from the platform by itself.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::encoding::{self, EncodingError};
use crate::entropy::{Entropy, random};

/// The member of a push message under which the platform speaks. APNs carries an object under it, FCM and HMS the same as text,
/// since their values are strings.
pub const MEMBER: &str = "countersign";

/// The version of the form below.
pub const VERSION: u8 = 1;

/// What a push message says to the SDK.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushMessage {
    /// [`VERSION`].
    pub v: u8,
    /// What about.
    #[serde(flatten)]
    pub hint: Hint,
}

/// What a push message is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Hint {
    /// The platform wants to know whether this message arrives. The SDK answers by itself, and nobody sees anything.
    Silent {
        /// Id of the challenge.
        id: String,
        /// Exists in this message only, so the answer proves that it was delivered here.
        nonce: PushNonce,
    },
    /// There is a question for the person.
    Challenge {
        /// Id of the challenge.
        id: String,
    },
    /// The question needs no answer any more.
    Cancelled {
        /// Id of the challenge.
        id: String,
    },
    /// A test of the way to the app.
    Test {
        /// Id of the test.
        id: String,
    },
}

impl PushMessage {
    /// In the present version.
    #[must_use]
    pub const fn new(hint: Hint) -> Self {
        Self { v: VERSION, hint }
    }

    /// Finds the message in what a push service has delivered: the payload of APNs, the data of FCM or HMS, or the clear text
    /// of Web Push. `None`: it is not of this platform, or of a version that is not known here.
    #[must_use]
    pub fn find(delivered: &Value) -> Option<Self> {
        let message: Self = match delivered.get(MEMBER)? {
            Value::String(text) => serde_json::from_str(text).ok()?,
            object => serde_json::from_value(object.clone()).ok()?,
        };
        (message.v == VERSION).then_some(message)
    }
}

/// 16 random bytes, base64url.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PushNonce([u8; 16]);

impl PushNonce {
    /// A fresh one.
    #[must_use]
    pub fn new(entropy: &dyn Entropy) -> Self {
        Self(random(entropy))
    }

    /// The nonce of these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// Says nothing: it is a secret until it has been answered.
impl std::fmt::Debug for PushNonce {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("PushNonce(..)")
    }
}

impl TryFrom<String> for PushNonce {
    type Error = EncodingError;

    fn try_from(text: String) -> Result<Self, EncodingError> {
        encoding::decode_array(&text).map(Self)
    }
}

impl From<PushNonce> for String {
    fn from(nonce: PushNonce) -> Self {
        encoding::encode(nonce.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_message_is_found_as_an_object_and_as_text() {
        let message = PushMessage::new(Hint::Challenge { id: "c-1".to_owned() });
        let object =
            json!({ "aps": {}, "countersign": { "v": 1, "kind": "challenge", "id": "c-1" } });
        assert_eq!(PushMessage::find(&object), Some(message.clone()));
        let text = json!({ "countersign": serde_json::to_string(&message).unwrap() });
        assert_eq!(PushMessage::find(&text), Some(message));
    }

    #[test]
    fn the_nonce_keeps_its_form_and_is_not_shown() {
        let text = json!({ "countersign": {
            "v": 1, "kind": "silent", "id": "c-1", "nonce": "AAECAwQFBgcICQoLDA0ODw"
        } });
        let message = PushMessage::find(&text).unwrap();
        assert_eq!(serde_json::to_value(&message).unwrap(), text["countersign"]);
        assert!(!format!("{message:?}").contains("AAEC"));
    }

    #[test]
    fn what_is_not_of_this_platform_or_version_is_none() {
        for foreign in [
            json!({}),
            json!(null),
            json!({ "aps": { "alert": "Hello" } }),
            json!({ "countersign": "hello" }),
            json!({ "countersign": { "v": 2, "kind": "challenge", "id": "c" } }),
            json!({ "countersign": { "v": 1, "kind": "dance", "id": "c" } }),
            json!({ "countersign": { "v": 1, "kind": "silent", "id": "c", "nonce": "short" } }),
        ] {
            assert_eq!(PushMessage::find(&foreign), None, "{foreign}");
        }
    }
}
