//! The members of an authorization request, wherever they come from: query, form, pushed request or request object.

use serde::{Deserialize, Serialize};

/// The members that are known, as they came, each at most once. Others are ignored (RFC 6749, section 3.1).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Parameters {
    /// `client_id`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// `response_type`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_type: Option<String>,
    /// `redirect_uri`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect_uri: Option<String>,
    /// `response_mode`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_mode: Option<String>,
    /// `scope`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// `state`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// `nonce`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// `code_challenge`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code_challenge: Option<String>,
    /// `code_challenge_method`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code_challenge_method: Option<String>,
    /// `prompt`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// `max_age`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<String>,
    /// `acr_values`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acr_values: Option<String>,
    /// `login_hint`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login_hint: Option<String>,
    /// `id_token_hint`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token_hint: Option<String>,
    /// `login_hint_token`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login_hint_token: Option<String>,
    /// `dpop_jkt`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dpop_jkt: Option<String>,
    /// `request`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// `request_uri`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_uri: Option<String>,
    /// `pi.template`, of a signed request object only
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// `pi.clientContext`, of a signed request object only
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_context: Option<String>,
    /// `mobilePayload`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mobile_payload: Option<String>,
}

macro_rules! members {
    ($($member:ident = $name:literal),+ $(,)?) => {
        impl Parameters {
            /// The names of the members on the wire.
            pub const NAMES: &[&str] = &[$($name),+];

            /// Reads each member by its name on the wire.
            #[must_use]
            pub fn read(mut member: impl FnMut(&str) -> Option<String>) -> Self {
                Self { $($member: member($name)),+ }
            }

            /// These members, and those of `others` that are not among them.
            #[must_use]
            pub fn or(self, others: Self) -> Self {
                Self { $($member: self.$member.or(others.$member)),+ }
            }
        }
    };
}

members! {
    client_id = "client_id",
    response_type = "response_type",
    redirect_uri = "redirect_uri",
    response_mode = "response_mode",
    scope = "scope",
    state = "state",
    nonce = "nonce",
    code_challenge = "code_challenge",
    code_challenge_method = "code_challenge_method",
    prompt = "prompt",
    max_age = "max_age",
    acr_values = "acr_values",
    login_hint = "login_hint",
    id_token_hint = "id_token_hint",
    login_hint_token = "login_hint_token",
    dpop_jkt = "dpop_jkt",
    request = "request",
    request_uri = "request_uri",
    template = "pi.template",
    client_context = "pi.clientContext",
    mobile_payload = "mobilePayload",
}
