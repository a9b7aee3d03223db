//! Authorization requests: what an application asks for, checked (RFC 6749, RFC 7636, OIDC Core, RFC 8252, RFC 9700).

mod check;
mod parameters;
#[cfg(test)]
mod tests;

use countersign_protocol::jwk::Thumbprint;
use serde::{Deserialize, Serialize};

pub use self::{
    check::{MAX_OBJECT, Refusal, answer, check},
    parameters::Parameters,
};
use crate::{
    application::{Application, ResponseType},
    device::Device,
    device_code::DeviceCode,
    id::Id,
    protected_resource::{self, ResourceAccess},
    user::User,
};

/// A checked authorization request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationRequest {
    /// Who asks.
    pub application: Id<Application>,
    /// Where the answer goes, and whether the request named that address, which the token request must then repeat.
    pub answer: Answer,
    /// What the answer holds.
    #[serde(default = "code_only", skip_serializing_if = "is_code_only")]
    pub response_types: Vec<ResponseType>,
    /// What is asked for of the user.
    pub scopes: Vec<Scope>,
    /// What is asked for at a protected resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<ResourceAccess>,
    /// Returned as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Goes into the ID token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// RFC 7636, S256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_challenge: Option<String>,
    /// The user name to begin with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login_hint: Option<String>,
    /// The only user that the sign-on may end with, as `id_token_hint` says (OIDC Core, section 3.1.2.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Id<User>>,
    /// The device that is asked, if the user is asked at all and it can be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<Id<Device>>,
    /// Whether the person may or must be asked.
    #[serde(default, skip_serializing_if = "Prompt::is_default")]
    pub prompt: Prompt,
    /// How old a sign-on may be that is taken from the session, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<u32>,
    /// Names of sign-on policies, the best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acr_values: Vec<String>,
    /// Which words a notification uses, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// What the app shows beside a question, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_context: Option<String>,
    /// The key that the code is bound to (RFC 9449, section 10).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dpop_jkt: Option<Thumbprint>,
}

impl AuthorizationRequest {
    /// A request that no authorization endpoint has seen, which gets no code.
    #[must_use]
    pub const fn without_code(application: Id<Application>, answer: Answer) -> Self {
        Self {
            application,
            answer,
            response_types: Vec::new(),
            scopes: Vec::new(),
            access: None,
            state: None,
            nonce: None,
            code_challenge: None,
            login_hint: None,
            user: None,
            device: None,
            prompt: Prompt::AsNeeded,
            max_age: None,
            acr_values: Vec::new(),
            template: None,
            client_context: None,
            dpop_jkt: None,
        }
    }

    /// Whether the answer itself holds tokens, as those of the implicit and the hybrid flow do (OIDC Core, section 3).
    #[must_use]
    pub fn answers_with_tokens(&self) -> bool {
        self.response_types.iter().any(|part| *part != ResponseType::Code)
    }
}

fn code_only() -> Vec<ResponseType> {
    vec![ResponseType::Code]
}

fn is_code_only(types: &[ResponseType]) -> bool {
    types == [ResponseType::Code]
}

/// Whether the person may or must be asked (OIDC Core, section 3.1.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prompt {
    /// As the policy and the session say. `consent` comes to the same: which scopes an application gets is the
    /// administrator's decision, made before.
    #[default]
    AsNeeded,
    /// Nobody is asked.
    None,
    /// The session does not count: whoever is there signs in anew (`login`, `select_account`).
    Login,
}

impl Prompt {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// How the application gets its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "snake_case")]
pub enum Answer {
    /// By redirect, in the query.
    Query { redirect_uri: String },
    /// By a form that posts itself (OAuth 2.0 Form Post Response Mode).
    FormPost { redirect_uri: String },
    /// By redirect, in the fragment (OAuth 2.0 Multiple Response Types).
    Fragment { redirect_uri: String },
    /// In the flow itself, for applications that draw their own screens (`pi.flow`).
    Flow { redirect_uri: Option<String> },
    /// Not at all: a device waits for it, and the person is told to go back there (RFC 8628).
    Device { device_code: Id<DeviceCode> },
    /// Not at all: a worker application looks how far the flow has come (platform API, section 10). There is no code and no
    /// session.
    Worker,
    /// Not at all: the person goes on to the page of the own account.
    Account,
    /// Not at all: the person goes on to the console.
    Console,
}

impl Answer {
    /// Whether an application waits for a code or an error. Elsewhere a device or a worker looks for itself, or the person goes on
    /// to a page of the platform.
    #[must_use]
    pub const fn is_awaited(&self) -> bool {
        match self {
            Self::Query { .. }
            | Self::FormPost { .. }
            | Self::Fragment { .. }
            | Self::Flow { .. } => true,
            Self::Device { .. } | Self::Worker | Self::Account | Self::Console => false,
        }
    }

    /// The address that the token request must repeat (RFC 6749, section 4.1.3).
    #[must_use]
    pub fn redirect_uri(&self) -> Option<&str> {
        match self {
            Self::Query { redirect_uri }
            | Self::FormPost { redirect_uri }
            | Self::Fragment { redirect_uri } => Some(redirect_uri),
            Self::Flow { redirect_uri } => redirect_uri.as_deref(),
            Self::Device { .. } | Self::Worker | Self::Account | Self::Console => None,
        }
    }
}

/// A scope of OIDC Core, section 5.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// An ID token, and the right to ask userinfo.
    #[serde(rename = "openid")]
    OpenId,
    /// Name and user name.
    Profile,
    /// Mail address.
    Email,
    /// Postal address. Known, and empty: users have none.
    Address,
    /// Telephone number. Known, and empty: users have none.
    Phone,
}

impl Scope {
    /// All of them, in the order of discovery.
    pub const ALL: [Self; 5] =
        [Self::OpenId, Self::Profile, Self::Email, Self::Address, Self::Phone];

    /// Its name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenId => "openid",
            Self::Profile => "profile",
            Self::Email => "email",
            Self::Address => "address",
            Self::Phone => "phone",
        }
    }

    /// Its id, the same in every environment.
    #[must_use]
    pub const fn id(self) -> Id<Self> {
        let mut id = [0, 0, 0, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 4, 0];
        id[15] = match self {
            Self::OpenId => 1,
            Self::Profile => 2,
            Self::Email => 3,
            Self::Address => 4,
            Self::Phone => 5,
        };
        Id::from_bytes(id)
    }

    /// Those that a space-separated list names.
    #[must_use]
    pub fn parse_list(text: &str) -> Vec<Self> {
        Self::ALL.into_iter().filter(|scope| text.split(' ').any(|s| s == scope.name())).collect()
    }

    /// The list on the wire.
    #[must_use]
    pub fn join(scopes: &[Self]) -> String {
        scopes.iter().map(|scope| scope.name()).collect::<Vec<_>>().join(" ")
    }
}

/// What a request names in `scope` (RFC 6749, section 3.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked<'a> {
    /// What it wants to know of the user.
    pub scopes: Vec<Scope>,
    /// What it wants at protected resources: all other names, each once, without those that are known and open nothing.
    pub others: Vec<&'a str>,
}

impl<'a> Asked<'a> {
    /// Reads a space-separated list.
    #[must_use]
    pub fn parse(text: &'a str) -> Self {
        let mut others = Vec::new();
        for name in text.split(' ').filter(|name| !name.is_empty()) {
            let is_own = protected_resource::is_reserved(name);
            if !is_own && !others.contains(&name) {
                others.push(name);
            }
        }
        Self { scopes: Scope::parse_list(text), others }
    }

    /// Whether it names nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.scopes.is_empty() && self.others.is_empty()
    }
}

/// The codes of RFC 6749, section 4.1.2.1, and OIDC Core, section 3.1.2.6, that this platform answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// A member is missing, repeated or malformed.
    InvalidRequest,
    /// This application may not ask like this.
    UnauthorizedClient,
    /// The user or the policy said no.
    AccessDenied,
    /// `response_type` is none that there is.
    UnsupportedResponseType,
    /// `openid` is missing.
    InvalidScope,
    /// `prompt=none`, but somebody must sign in.
    LoginRequired,
    /// `prompt=none`, but somebody must do something.
    InteractionRequired,
    /// The request object does not count (RFC 9101, section 6.3).
    InvalidRequestObject,
    /// Request objects by reference are not offered.
    RequestUriNotSupported,
    /// The service has too much to do.
    TemporarilyUnavailable,
    /// Something went wrong on our side.
    ServerError,
}

impl ErrorCode {
    /// Its name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::AccessDenied => "access_denied",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::InvalidScope => "invalid_scope",
            Self::LoginRequired => "login_required",
            Self::InteractionRequired => "interaction_required",
            Self::InvalidRequestObject => "invalid_request_object",
            Self::RequestUriNotSupported => "request_uri_not_supported",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::ServerError => "server_error",
        }
    }
}
