//! Checks authorization requests.

use countersign_protocol::jwk::Thumbprint;
use url::Url;

use super::{Answer, AuthorizationRequest, ErrorCode, Parameters, Prompt, Scope};
use crate::{
    application::{Application, GrantType, ResponseType, covers, is_loopback},
    protected_resource::{ResourceAccess, ScopeRefusal},
};

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The address to answer to is not known to be the application's: shown to the person, never redirected
    /// (RFC 6749, section 4.1.2.1).
    Untrusted { description: &'static str },
    /// Told to the application.
    Answered { answer: Answer, state: Option<String>, error: ErrorCode, description: &'static str },
}

/// Checks a request of an application that exists, with the members of its request object, if it had one, in their place, and
/// with what it may have of the scopes of protected resources that it asks for.
pub fn check(
    application: &Application,
    parameters: &Parameters,
    access: Result<Option<ResourceAccess>, ScopeRefusal>,
) -> Result<AuthorizationRequest, Refusal> {
    let answer = answer(application, parameters)?;
    let refuse = |(error, description)| Refusal::Answered {
        answer: answer.clone(),
        state: parameters.state.clone(),
        error,
        description,
    };
    let invalid = |description| refuse((ErrorCode::InvalidRequest, description));
    // OIDC Core, section 3.1.2.6: what is behind it must not be left out in silence.
    if parameters.request_uri.is_some() {
        let description = "request_uri must be one of a pushed request";
        return Err(refuse((ErrorCode::RequestUriNotSupported, description)));
    }
    check_lengths(parameters).map_err(invalid)?;
    let response_types = response_types(application, parameters).map_err(refuse)?;
    check_mode(&answer, parameters, &response_types).map_err(invalid)?;
    let scopes = Scope::parse_list(parameters.scope.as_deref().unwrap_or_default());
    // Plain OAuth, without a word about the user, is for the tokens of a resource.
    let is_plain =
        matches!(access, Ok(Some(_))) && !response_types.contains(&ResponseType::IdToken);
    if !scopes.contains(&Scope::OpenId) && !is_plain {
        return Err(refuse((ErrorCode::InvalidScope, "scope must contain openid")));
    }
    let refused = |why: ScopeRefusal| refuse((ErrorCode::InvalidScope, why.description()));
    let access = access.map_err(refused)?;
    // OIDC Core, section 3.2.2.1: without it, an ID token that somebody injects looks like an answer.
    if response_types.contains(&ResponseType::IdToken) && parameters.nonce.is_none() {
        return Err(invalid("nonce is required for an ID token in the answer"));
    }
    if response_types.contains(&ResponseType::Code) {
        check_pkce(application, parameters).map_err(invalid)?;
    }
    Ok(AuthorizationRequest {
        application: application.id,
        response_types,
        scopes,
        access,
        state: parameters.state.clone(),
        nonce: parameters.nonce.clone(),
        code_challenge: parameters.code_challenge.clone(),
        login_hint: parameters.login_hint.clone(),
        user: None,
        device: None,
        prompt: prompt(parameters).map_err(invalid)?,
        max_age: max_age(parameters).map_err(invalid)?,
        acr_values: words(parameters.acr_values.as_deref()),
        template: object(
            parameters.template.as_ref(),
            "pi.template must be an object of at most 4096 characters",
        )
        .map_err(invalid)?,
        client_context: object(
            parameters.client_context.as_ref(),
            "pi.clientContext must be an object of at most 4096 characters",
        )
        .map_err(invalid)?,
        dpop_jkt: dpop_jkt(parameters).map_err(invalid)?,
        answer,
    })
}

/// How the application gets its answer, also if the rest of the request is wrong.
pub fn answer(application: &Application, parameters: &Parameters) -> Result<Answer, Refusal> {
    let untrusted = |description| Err(Refusal::Untrusted { description });
    let redirect_uri = match &parameters.redirect_uri {
        Some(uri) if is_registered(application, uri) => Some(uri.clone()),
        Some(_) => return untrusted("redirect_uri is not one that is registered for client_id"),
        None => None,
    };
    // Tokens and the errors in their place go into the fragment, which browsers do not send on.
    let asked = words(parameters.response_type.as_deref());
    let with_tokens = asked.iter().any(|word| matches!(word.as_str(), "token" | "id_token"));
    match (parameters.response_mode.as_deref(), redirect_uri) {
        (Some("pi.flow"), redirect_uri) => Ok(Answer::Flow { redirect_uri }),
        (_, None) => untrusted("redirect_uri is required unless response_mode is pi.flow"),
        (Some("form_post"), Some(redirect_uri)) => Ok(Answer::FormPost { redirect_uri }),
        (Some("fragment"), Some(redirect_uri)) => Ok(Answer::Fragment { redirect_uri }),
        (_, Some(redirect_uri)) if with_tokens => Ok(Answer::Fragment { redirect_uri }),
        (_, Some(redirect_uri)) => Ok(Answer::Query { redirect_uri }),
    }
}

/// OAuth 2.0 Multiple Response Types, sections 2.1 and 5.
fn check_mode(
    answer: &Answer,
    parameters: &Parameters,
    response_types: &[ResponseType],
) -> Result<(), &'static str> {
    match (parameters.response_mode.as_deref(), answer) {
        (Some("query"), Answer::Fragment { .. }) if response_types != [ResponseType::Code] => {
            Err("response_mode must not be query for tokens in the answer")
        }
        (None | Some("query" | "fragment" | "form_post" | "pi.flow"), _) => Ok(()),
        (Some(_), _) => Err("response_mode must be query, fragment, form_post or pi.flow"),
    }
}

fn response_types(
    application: &Application,
    parameters: &Parameters,
) -> Result<Vec<ResponseType>, (ErrorCode, &'static str)> {
    let words = words(parameters.response_type.as_deref());
    if words.is_empty() {
        return Err((ErrorCode::InvalidRequest, "response_type is required"));
    }
    let parse = |word: &String| match word.as_str() {
        "code" => Some(ResponseType::Code),
        "token" => Some(ResponseType::Token),
        "id_token" => Some(ResponseType::IdToken),
        _ => None,
    };
    let types: Option<Vec<ResponseType>> = words.iter().map(parse).collect();
    let mut types = types.unwrap_or_default();
    types.sort_unstable();
    types.dedup();
    if types.is_empty() || types.len() != words.len() {
        return Err((ErrorCode::UnsupportedResponseType, RESPONSE_TYPES));
    }
    // A lone access token tells nobody whose it is, and has no place in OpenID Connect (RFC 9700, section 2.1.2).
    if types == [ResponseType::Token] {
        return Err((ErrorCode::UnsupportedResponseType, RESPONSE_TYPES));
    }
    let in_answer = types.iter().any(|part| *part != ResponseType::Code);
    if types.contains(&ResponseType::Code) && !application.may(GrantType::AuthorizationCode) {
        let description = "the application may not use authorization codes";
        return Err((ErrorCode::UnauthorizedClient, description));
    }
    let allowed = types.iter().all(|part| application.oidc.response_types.contains(part));
    if !allowed || (in_answer && !application.may(GrantType::Implicit)) {
        let description = "the application may not use this response_type";
        return Err((ErrorCode::UnauthorizedClient, description));
    }
    // A redirect carries no proof of a key, so its token could be anybody's.
    if types.contains(&ResponseType::Token) && application.oidc.dpop_required {
        let description = "response_type must be without token: access tokens of the application must be bound to a key";
        return Err((ErrorCode::UnauthorizedClient, description));
    }
    Ok(types)
}

const RESPONSE_TYPES: &str = "response_type must be code, id_token, token id_token, code id_token, code token or code token id_token";

/// The words of a space-separated list.
fn words(list: Option<&str>) -> Vec<String> {
    let words = list.unwrap_or_default().split(' ');
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn prompt(parameters: &Parameters) -> Result<Prompt, &'static str> {
    let words = words(parameters.prompt.as_deref());
    let has = |word: &str| words.iter().any(|known| known == word);
    let known = ["none", "login", "select_account", "consent"];
    if words.iter().any(|word| !known.contains(&word.as_str())) {
        return Err("prompt must be none, login, select_account or consent");
    }
    if has("none") && words.len() > 1 {
        return Err("prompt none cannot be combined");
    }
    Ok(if has("none") {
        Prompt::None
    } else if has("login") || has("select_account") {
        Prompt::Login
    } else {
        Prompt::AsNeeded
    })
}

fn max_age(parameters: &Parameters) -> Result<Option<u32>, &'static str> {
    let read = |text: &String| {
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|_| digits).ok_or("max_age must be a whole number of seconds")
    };
    parameters.max_age.as_ref().map(read).transpose()
}

/// A JSON object that is kept as it came.
fn object(text: Option<&String>, rule: &'static str) -> Result<Option<String>, &'static str> {
    let is_object = |text: &String| {
        serde_json::from_str::<serde_json::Value>(text).is_ok_and(|value| value.is_object())
    };
    match text {
        Some(text) if text.len() > MAX_OBJECT || !is_object(text) => Err(rule),
        text => Ok(text.cloned()),
    }
}

/// The longest object that is kept, in bytes of its JSON.
pub const MAX_OBJECT: usize = 4_096;

fn dpop_jkt(parameters: &Parameters) -> Result<Option<Thumbprint>, &'static str> {
    let read = |text: &String| text.parse().map_err(|_| "dpop_jkt must be a JWK thumbprint");
    parameters.dpop_jkt.as_ref().map(read).transpose()
}

/// Compared as [`is_same`], or under a pattern if the application may have some. A registered text with `*` is an address in no
/// case.
fn is_registered(application: &Application, requested: &str) -> bool {
    let wildcards = application.oidc.wildcard_redirect_uris;
    application.redirect_uris.iter().any(|registered| {
        if registered.contains('*') {
            wildcards && covers(registered, requested)
        } else {
            is_same(registered, requested)
        }
    })
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
    if is_long(&parameters.acr_values, MAX_LENGTH) {
        return Err("acr_values must have at most 2048 characters");
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
