//! Who calls. Every handler names one of these in its signature, and a test walks the routes with the wrong ones.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Request},
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use countersign_domain::{client_jwt::Algorithm, environment::Environment, id::Id};
use countersign_protocol::{device_api::ProofBody, json, secret::Secret};

use super::{
    correlation::Correlation,
    dpop::{DPOP_NONCE, Dpop},
    problem::{Detail, FaultResponse, Problem},
};
use crate::app::{App, DeviceCall, MAX_KNOWN_BROWSER_CHARACTERS, Realm, describable};

/// The environment of the address.
pub(crate) struct At(pub Arc<Realm>);

/// Anybody: what is answered is public.
pub(crate) struct Anyone;

/// A browser, or an app in its place: the cookie shows which flows are its own.
pub(crate) struct Browser {
    pub cookie: Option<Secret<String>>,
    /// What shows that somebody has signed in at it.
    pub session: Option<Secret<String>>,
    /// Who has given the password in it before.
    pub remembered: Option<Secret<String>>,
}

/// An OIDC client, by HTTP Basic if it uses it, and its proof of possession. Form members are the endpoint's to read.
pub(crate) struct Client {
    pub basic: Option<Basic>,
    pub dpop: Dpop,
}

/// User name and password of HTTP Basic, decoded as RFC 6749, section 2.3.1, says.
pub(crate) struct Basic {
    pub client_id: String,
    pub secret: Secret<String>,
}

/// The holder of an access token: whoever has it (RFC 6750, section 2.1), or has the key that it is bound to as well (RFC 9449,
/// section 7.1).
pub(crate) struct TokenHolder {
    pub token: Secret<String>,
    pub scheme: Scheme,
}

/// How an access token is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Bearer,
    Dpop,
}

/// An installation: the body is one proof.
pub(crate) struct Installation(pub DeviceCall);

impl FromRequestParts<Arc<App>> for At {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        let realm = realm(parts, app).await.map_err(IntoResponse::into_response)?;
        let missing = || Problem::not_found("there is no environment of this id").into_response();
        realm.map(Self).ok_or_else(missing)
    }
}

/// The realm that the first segment of the address names, if any.
pub(crate) async fn realm(
    parts: &mut Parts,
    app: &Arc<App>,
) -> Result<Option<Arc<Realm>>, FaultResponse> {
    let Ok(Path(segments)) = Path::<Vec<(String, String)>>::from_request_parts(parts, app).await
    else {
        return Ok(None);
    };
    let named = segments.iter().find(|(name, _)| name == "environment");
    let Some(id) = named.and_then(|(_, id)| id.parse::<Id<Environment>>().ok()) else {
        return Ok(None);
    };
    app.realm(id).await.map_err(FaultResponse)
}

impl<S: Sync> FromRequestParts<S> for Anyone {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self)
    }
}

/// Name of the cookie. Over TLS the prefix keeps other hosts and plain HTTP from setting it.
pub(crate) const fn cookie_name(https: bool) -> &'static str {
    if https { "__Host-ST" } else { "ST" }
}

/// Name of the cookie of a session. Each environment has its own, so that signing in to one does not sign off another.
pub(crate) fn session_cookie_name(https: bool, environment: &str) -> String {
    format!("{}{environment}", if https { "__Host-SID-" } else { "SID-" })
}

/// Name of the cookie by which a browser is known to its users.
pub(crate) const fn known_browser_name(https: bool) -> &'static str {
    if https { "__Host-KB" } else { "KB" }
}

/// Name of the cookie that shows that a session has come to the console.
pub(crate) const fn console_cookie_name(https: bool) -> &'static str {
    if https { "__Host-CON" } else { "CON" }
}

/// The cookie of the session of an environment.
pub(crate) fn session_cookie(
    parts: &Parts,
    https: bool,
    environment: Id<Environment>,
) -> Option<Secret<String>> {
    let name = session_cookie_name(https, &environment.to_string());
    cookie(parts, &name, |length| length == SESSION_CHARACTERS)
}

/// 32 bytes in base64url.
pub(crate) const COOKIE_CHARACTERS: usize = 43;
/// An id and a keyed hash in base64url.
pub(crate) const SESSION_CHARACTERS: usize = 64;

impl FromRequestParts<Arc<App>> for Browser {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        app: &Arc<App>,
    ) -> Result<Self, Self::Rejection> {
        let https = app.settings().is_https();
        let environment = parts.uri.path().split('/').nth(1).unwrap_or_default();
        let session = session_cookie_name(https, environment);
        let known_browser = known_browser_name(https);
        Ok(Self {
            cookie: cookie(parts, cookie_name(https), |length| length == COOKIE_CHARACTERS),
            session: cookie(parts, &session, |length| length == SESSION_CHARACTERS),
            remembered: cookie(parts, known_browser, |l| l <= MAX_KNOWN_BROWSER_CHARACTERS),
        })
    }
}

/// The cookie of this name, if it can be one of ours.
pub(crate) fn cookie(
    parts: &Parts,
    name: &str,
    fits: impl Fn(usize) -> bool,
) -> Option<Secret<String>> {
    let lines = parts.headers.get_all(header::COOKIE).into_iter();
    let pairs = lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(';'));
    pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(found, value)| *found == name && fits(value.len()))
        .map(|(_, value)| Secret::new(value.to_owned()))
}

impl<S: Sync> FromRequestParts<S> for Client {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        // Credentials that cannot be read are wrong ones, not none.
        let unreadable = || Basic { client_id: String::new(), secret: Secret::new(String::new()) };
        let read = |encoded| basic(encoded).unwrap_or_else(unreadable);
        let basic = authorization(parts, "Basic").map(read);
        Ok(Self { basic, dpop: Dpop::from_request_parts(parts, state).await? })
    }
}

/// What follows the scheme of the `Authorization` header. Two headers are as good as none.
fn authorization<'a>(parts: &'a Parts, scheme: &str) -> Option<&'a str> {
    let mut headers = parts.headers.get_all(header::AUTHORIZATION).into_iter();
    let (Some(only), None) = (headers.next(), headers.next()) else { return None };
    let (found, rest) = only.to_str().ok()?.split_once(' ')?;
    found.eq_ignore_ascii_case(scheme).then(|| rest.trim())
}

fn basic(encoded: &str) -> Option<Basic> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let decoded = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (client_id, secret) = decoded.split_once(':')?;
    let decode = |text: &str| {
        let pair = format!("v={text}");
        form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned())
    };
    Some(Basic { client_id: decode(client_id)?, secret: Secret::new(decode(secret)?) })
}

impl Scheme {
    /// A challenge with these parameters (RFC 6750, section 3; RFC 9449, section 7.1).
    pub fn challenge(self, parameters: &str) -> String {
        match self {
            Self::Bearer => format!("Bearer {parameters}"),
            Self::Dpop => {
                let algorithms = Algorithm::ASYMMETRIC.map(Algorithm::name).join(" ");
                format!("DPoP {parameters}, algs=\"{algorithms}\"")
            }
        }
    }
}

impl TokenHolder {
    /// The token that a request shows, if it shows one.
    pub fn of(parts: &Parts) -> Option<Self> {
        let sent = |name, scheme| authorization(parts, name).map(|token| (token, scheme));
        let token = sent("Bearer", Scheme::Bearer).or_else(|| sent("DPoP", Scheme::Dpop));
        token.map(|(token, scheme)| Self { token: Secret::new(token.to_owned()), scheme })
    }
}

/// What a challenge says of a token that was refused.
pub(crate) fn told(code: &str, description: &str) -> String {
    format!("error=\"{code}\", error_description=\"{}\"", describable(description))
}

/// Adds a challenge to a response, and the nonce that the next proof must repeat, if it must.
pub(crate) fn challenged(
    mut response: Response,
    challenge: &str,
    nonce: Option<String>,
) -> Response {
    let challenge = HeaderValue::from_str(challenge).ok();
    let nonce = nonce.and_then(|nonce| HeaderValue::try_from(nonce).ok());
    for (name, value) in [(header::WWW_AUTHENTICATE, challenge), (DPOP_NONCE, nonce)] {
        if let Some(value) = value {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

impl<S: Sync> FromRequestParts<S> for TokenHolder {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        let token = Self::of(parts);
        // RFC 6750, section 3: without a token, no error code, but one parameter at least.
        let challenge = [(header::WWW_AUTHENTICATE, "Bearer realm=\"userinfo\"")];
        token.ok_or_else(|| (StatusCode::UNAUTHORIZED, challenge).into_response())
    }
}

impl FromRequest<Arc<App>> for Installation {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let correlation = Correlation::from_request_parts(&mut parts, app).await;
        let Correlation(correlation) = correlation.unwrap_or(Correlation(String::new()));
        require_json(&parts)?;
        let request = Request::from_parts(parts, body);
        let body = Bytes::from_request(request, app).await.map_err(|_| too_large())?;
        let ProofBody { proof } = json::parse(&body).map_err(|error| {
            let detail = Detail::new("INVALID_VALUE", "proof", format!("the body {error}"));
            Problem::invalid_request("the body must be {\"proof\": \"...\"}").with(detail)
        })?;
        Ok(Self(DeviceCall { proof: Secret::new(proof), correlation }))
    }
}

pub(crate) fn require_json(parts: &Parts) -> Result<(), Problem> {
    let kind = media_type(parts);
    if kind.is_some_and(|kind| kind.eq_ignore_ascii_case("application/json")) {
        return Ok(());
    }
    let message = "Content-Type must be application/json";
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "INVALID_REQUEST", message))
}

/// The media type of the body, without its parameters.
pub(crate) fn media_type(parts: &Parts) -> Option<&str> {
    let kind = parts.headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    kind.split(';').next().map(str::trim)
}

/// 413.
pub(crate) fn too_large() -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "INVALID_REQUEST", "the body is too large")
}
