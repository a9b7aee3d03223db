//! Authorization requests: what an application asks for, checked (RFC 6749, RFC 7636, OIDC Core, RFC 8252, RFC 9700).

use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    application::{Application, GrantType, is_loopback},
    device_code::DeviceCode,
    id::Id,
};

/// The members of an authorization request, as they came, each at most once.
#[derive(Clone, Debug, Default)]
pub struct Parameters {
    /// `response_type`
    pub response_type: Option<String>,
    /// `redirect_uri`
    pub redirect_uri: Option<String>,
    /// `response_mode`
    pub response_mode: Option<String>,
    /// `scope`
    pub scope: Option<String>,
    /// `state`
    pub state: Option<String>,
    /// `nonce`
    pub nonce: Option<String>,
    /// `code_challenge`
    pub code_challenge: Option<String>,
    /// `code_challenge_method`
    pub code_challenge_method: Option<String>,
    /// `prompt`
    pub prompt: Option<String>,
    /// `login_hint`
    pub login_hint: Option<String>,
    /// `request`
    pub request: Option<String>,
    /// `request_uri`
    pub request_uri: Option<String>,
}

/// A checked authorization request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationRequest {
    /// Who asks.
    pub application: Id<Application>,
    /// Where the answer goes, and whether the request named that address, which the token request must then repeat.
    pub answer: Answer,
    /// What is asked for, without unknown scopes.
    pub scopes: Vec<Scope>,
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
}

/// How the application gets its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "snake_case")]
pub enum Answer {
    /// By redirect, in the query.
    Query { redirect_uri: String },
    /// By a form that posts itself (OAuth 2.0 Form Post Response Mode).
    FormPost { redirect_uri: String },
    /// In the flow itself, for applications that draw their own screens (`pi.flow`).
    Flow { redirect_uri: Option<String> },
    /// Not at all: a device waits for it, and the person is told to go back there (RFC 8628).
    Device { device_code: Id<DeviceCode> },
}

impl Answer {
    /// The address that the token request must repeat (RFC 6749, section 4.1.3).
    #[must_use]
    pub fn redirect_uri(&self) -> Option<&str> {
        match self {
            Self::Query { redirect_uri } | Self::FormPost { redirect_uri } => Some(redirect_uri),
            Self::Flow { redirect_uri } => redirect_uri.as_deref(),
            Self::Device { .. } => None,
        }
    }
}

/// A scope of OIDC Core, section 5.4. Others are ignored, as RFC 6749, section 3.3, allows.
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
}

impl Scope {
    /// All of them, in the order of discovery.
    pub const ALL: [Self; 3] = [Self::OpenId, Self::Profile, Self::Email];

    /// Its name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenId => "openid",
            Self::Profile => "profile",
            Self::Email => "email",
        }
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
    /// Only `code` is offered.
    UnsupportedResponseType,
    /// `openid` is missing.
    InvalidScope,
    /// `prompt=none`, but somebody must sign in.
    LoginRequired,
    /// Request objects are not offered.
    RequestNotSupported,
    /// Request objects by reference are not offered.
    RequestUriNotSupported,
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
            Self::RequestNotSupported => "request_not_supported",
            Self::RequestUriNotSupported => "request_uri_not_supported",
        }
    }
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The address to answer to is not known to be the application's: shown to the person, never redirected
    /// (RFC 6749, section 4.1.2.1).
    Untrusted { description: &'static str },
    /// Told to the application.
    Answered { answer: Answer, state: Option<String>, error: ErrorCode, description: &'static str },
}

/// Checks a request of an application that exists.
pub fn check(
    application: &Application,
    parameters: &Parameters,
) -> Result<AuthorizationRequest, Refusal> {
    let answer = answer(application, parameters)?;
    let refuse = |error, description| Refusal::Answered {
        answer: answer.clone(),
        state: parameters.state.clone(),
        error,
        description,
    };
    // OIDC Core, section 3.1.2.6: what is in them must not be left out in silence.
    if parameters.request.is_some() {
        return Err(refuse(ErrorCode::RequestNotSupported, "request is not supported"));
    }
    if parameters.request_uri.is_some() {
        return Err(refuse(ErrorCode::RequestUriNotSupported, "request_uri is not supported"));
    }
    check_lengths(parameters)
        .map_err(|description| refuse(ErrorCode::InvalidRequest, description))?;
    if !application.grant_types.contains(&GrantType::AuthorizationCode) {
        let description = "the application may not use authorization codes";
        return Err(refuse(ErrorCode::UnauthorizedClient, description));
    }
    match parameters.response_type.as_deref() {
        Some("code") => {}
        None => return Err(refuse(ErrorCode::InvalidRequest, "response_type is required")),
        Some(_) => {
            return Err(refuse(ErrorCode::UnsupportedResponseType, "response_type must be code"));
        }
    }
    let scopes = Scope::parse_list(parameters.scope.as_deref().unwrap_or_default());
    if !scopes.contains(&Scope::OpenId) {
        return Err(refuse(ErrorCode::InvalidScope, "scope must contain openid"));
    }
    check_pkce(application, parameters)
        .map_err(|description| refuse(ErrorCode::InvalidRequest, description))?;
    check_prompt(parameters).map_err(|(error, description)| refuse(error, description))?;
    Ok(AuthorizationRequest {
        application: application.id,
        answer,
        scopes,
        state: parameters.state.clone(),
        nonce: parameters.nonce.clone(),
        code_challenge: parameters.code_challenge.clone(),
        login_hint: parameters.login_hint.clone(),
    })
}

fn answer(application: &Application, parameters: &Parameters) -> Result<Answer, Refusal> {
    let untrusted = |description| Err(Refusal::Untrusted { description });
    let redirect_uri = match &parameters.redirect_uri {
        Some(uri) if application.redirect_uris.iter().any(|known| is_same(known, uri)) => {
            Some(uri.clone())
        }
        Some(_) => return untrusted("redirect_uri is not one that is registered for client_id"),
        None => None,
    };
    match (parameters.response_mode.as_deref(), redirect_uri) {
        (Some("pi.flow"), redirect_uri) => Ok(Answer::Flow { redirect_uri }),
        (_, None) => untrusted("redirect_uri is required unless response_mode is pi.flow"),
        (None | Some("query"), Some(redirect_uri)) => Ok(Answer::Query { redirect_uri }),
        (Some("form_post"), Some(redirect_uri)) => Ok(Answer::FormPost { redirect_uri }),
        (Some(_), Some(redirect_uri)) => Err(Refusal::Answered {
            answer: Answer::Query { redirect_uri },
            state: parameters.state.clone(),
            error: ErrorCode::InvalidRequest,
            description: "response_mode must be query, form_post or pi.flow",
        }),
    }
}

/// Equal character by character, save the port of a registered loopback address (RFC 8252, section 7.3).
fn is_same(registered: &str, requested: &str) -> bool {
    if registered == requested {
        return true;
    }
    let (Ok(registered), Ok(mut requested_url)) = (Url::parse(registered), Url::parse(requested))
    else {
        return false;
    };
    // The request must already be in the form that the parser writes, so that nothing but the port can differ.
    let canonical = requested_url.as_str() == requested;
    let loopback = registered.scheme() == "http" && is_loopback(&registered);
    canonical
        && loopback
        && requested_url.set_port(registered.port()).is_ok()
        && requested_url == registered
}

/// Longest value that is kept with the flow and returned.
const MAX_LENGTH: usize = 2_048;

fn check_lengths(parameters: &Parameters) -> Result<(), &'static str> {
    let is_long = |value: &Option<String>, max| value.as_ref().is_some_and(|v| v.len() > max);
    if is_long(&parameters.state, MAX_LENGTH) {
        return Err("state must have at most 2048 characters");
    }
    if is_long(&parameters.nonce, MAX_LENGTH) {
        return Err("nonce must have at most 2048 characters");
    }
    if is_long(&parameters.login_hint, 256) {
        return Err("login_hint must have at most 256 characters");
    }
    Ok(())
}

fn check_pkce(application: &Application, parameters: &Parameters) -> Result<(), &'static str> {
    let Some(challenge) = &parameters.code_challenge else {
        let required = application.needs_pkce();
        return match (&parameters.code_challenge_method, required) {
            (Some(_), _) => Err("code_challenge is required with code_challenge_method"),
            (None, true) => Err("code_challenge is required for this application"),
            (None, false) => Ok(()),
        };
    };
    // RFC 7636, section 4.3: absent means plain, which RFC 9700, section 2.1.1, advises against.
    if parameters.code_challenge_method.as_deref() != Some("S256") {
        return Err("code_challenge_method must be S256");
    }
    let is_hash = challenge.len() == 43
        && challenge.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if is_hash { Ok(()) } else { Err("code_challenge must be 43 characters of base64url") }
}

fn check_prompt(parameters: &Parameters) -> Result<(), (ErrorCode, &'static str)> {
    let prompts: Vec<&str> = parameters.prompt.as_deref().unwrap_or_default().split(' ').collect();
    if !prompts.contains(&"none") {
        return Ok(());
    }
    if prompts.len() > 1 {
        return Err((ErrorCode::InvalidRequest, "prompt none cannot be combined"));
    }
    Err((ErrorCode::LoginRequired, "the user must sign in"))
}

#[cfg(test)]
mod tests;
