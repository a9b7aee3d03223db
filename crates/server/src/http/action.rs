//! Actions of the platform API: one address, and the media type says what is to be done there (platform API, section 1.2).

use std::{sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use countersign_domain::{device::Device, flow::State, id::Id};
use countersign_protocol::{json as strict, secret::Secret};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    caller::{media_type, too_large},
    correlation::Correlation,
    limit::Surface,
    problem::{Detail, FaultResponse, Problem},
};
use crate::{
    app::{
        App, CheckPasscodeError, Fault, FlowHandle, FlowView, PasscodeOutcome, ReadFlowError, Realm,
    },
    limits::Limited,
};

const VENDOR: &str = "application/vnd.pingidentity.";

/// Actions that more than one kind of resource has: names of links and of media types.
pub(super) const DEVICE_SELECT: &str = "device.select";
pub(super) const OTP_CHECK: &str = "otp.check";
pub(super) const PUSH_CANCEL: &str = "cancel.push.authentication";

/// What is to be done, as it was sent.
pub(super) struct Action {
    /// The name in the media type, if it is one of the platform API.
    pub name: Option<String>,
    pub body: Bytes,
    /// The name under which the request is logged.
    pub correlation: String,
}

impl FromRequest<Arc<App>> for Action {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let name = media_type(&parts)
            .and_then(|kind| kind.strip_prefix(VENDOR)?.strip_suffix("+json"))
            .map(str::to_owned);
        let correlation = Correlation::of(&parts);
        let request = Request::from_parts(parts, body);
        let body = Bytes::from_request(request, app).await.map_err(|_| too_large())?;
        Ok(Self { name, body, correlation })
    }
}

/// Why an action was not taken.
pub(super) enum Refusal {
    Problem(Problem),
    Limited(Limited),
    Fault(Fault),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Problem(problem) => problem.into_response(),
            Self::Limited(limited) => Surface::Envelope.refuse(limited),
            Self::Fault(fault) => FaultResponse(fault).into_response(),
        }
    }
}

/// 415, with the actions that there are.
pub(super) fn unknown_action(known: &[&str]) -> Refusal {
    let known: Vec<String> = known.iter().map(|name| format!("{VENDOR}{name}+json")).collect();
    let message = format!("Content-Type must be one of {}", known.join(", "));
    Refusal::Problem(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "INVALID_REQUEST", message))
}

/// 400: the action is not possible now. `what` names what waits for something else.
pub(super) fn not_now(what: &str, action: &str) -> Refusal {
    let message = format!("{what} does not wait for {action}; see _links for what it waits for");
    Refusal::Problem(Problem::request_failed(message))
}

/// Reads a body. An empty one has no members.
pub(super) fn parse<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, Refusal> {
    if body.is_empty() {
        return Ok(T::default());
    }
    strict::parse(body).map_err(|error| {
        let problem = Problem::invalid_request(format!("the body {error}"));
        Refusal::Problem(match error.member() {
            Some(member) => {
                let message = format!("{member} is not of the expected type");
                problem.with(Detail::new("INVALID_VALUE", member, message))
            }
            None => problem,
        })
    })
}

pub(super) fn required<T>(value: Option<T>, target: &str) -> Result<T, Refusal> {
    value.ok_or_else(|| missing(target))
}

pub(super) fn missing(target: &str) -> Refusal {
    invalid("REQUIRED_VALUE", target, &format!("{target} is required"), None)
}

pub(super) fn invalid(
    code: &'static str,
    target: &str,
    message: &str,
    inner: Option<Value>,
) -> Refusal {
    let detail = Detail::new(code, target, message);
    Refusal::Problem(Problem::invalid_data(Detail { inner_error: inner, ..detail }))
}

/// An id in a member.
pub(super) fn id<T>(text: &str, target: &str) -> Result<Id<T>, Refusal> {
    text.parse().map_err(|error: countersign_domain::id::NotAnId| {
        invalid("INVALID_VALUE", target, &format!("{target} {error}"), None)
    })
}

/// A reference to something else: `{"id": "..."}`.
#[derive(Default, Deserialize)]
#[serde(expecting = "an object")]
pub(super) struct Reference {
    pub id: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(expecting = "an object")]
struct Selection {
    device: Option<Reference>,
}

/// The body of [`DEVICE_SELECT`].
pub(super) fn selected_device(body: &[u8]) -> Result<Id<Device>, Refusal> {
    let Selection { device } = parse(body)?;
    id(&required(device.and_then(|device| device.id), "device.id")?, "device.id")
}

#[derive(Default, Deserialize)]
#[serde(expecting = "an object")]
struct Passcode {
    otp: Option<Secret<String>>,
}

/// The body of [`OTP_CHECK`].
pub(super) fn passcode(body: &[u8]) -> Result<Secret<String>, Refusal> {
    let Passcode { otp } = parse(body)?;
    required(otp, "otp")
}

/// What a resource shows after [`OTP_CHECK`], or why the action was not taken, in its own words.
pub(super) fn after_passcode(
    checked: Result<PasscodeOutcome, CheckPasscodeError>,
    not_now: impl FnOnce(&str) -> Refusal,
    not_found: impl FnOnce() -> Problem,
) -> Result<FlowView, Refusal> {
    match checked {
        Ok(PasscodeOutcome::Accepted(view)) => Ok(view),
        Ok(PasscodeOutcome::Refused(view)) => match view.flow.state {
            State::Passcode { .. } | State::Push { .. } | State::PushTimedOut { .. } => {
                let message = "the passcode is wrong, too old, or was used already";
                Err(invalid("INVALID_VALUE", "otp", message, None))
            }
            // The wrong passcode was the last one: the resource itself says what follows.
            _ => Ok(view),
        },
        Err(CheckPasscodeError::NotNow) => Err(not_now(OTP_CHECK)),
        Err(CheckPasscodeError::NotFound) => Err(Refusal::Problem(not_found())),
        Err(CheckPasscodeError::Fault(fault)) => Err(Refusal::Fault(fault)),
    }
}

#[derive(Default, Deserialize)]
#[serde(expecting = "an object")]
struct CancelPush {
    reason: Option<String>,
}

/// The body of [`PUSH_CANCEL`].
pub(super) fn cancel_reason(body: &[u8]) -> Result<String, Refusal> {
    let CancelPush { reason } = parse(body)?;
    required(reason, "reason")
}

/// Reads a flow. Where the caller is ready to wait, one that waits for a phone is read once it waits no more, or when the time
/// is over.
pub(super) async fn read_flow(
    app: &App,
    realm: &Arc<Realm>,
    handle: FlowHandle,
    headers: &HeaderMap,
) -> Result<FlowView, ReadFlowError> {
    match preferred_wait(headers) {
        Some(wait) => {
            let most = wait.min(app.settings().longest_wait());
            app.await_flow(realm, handle, most).await
        }
        None => app.read_flow(realm, handle).await,
    }
}

/// How long the caller is ready to wait, if it says so (`Prefer: wait=SECONDS`, RFC 7240, section 4.3).
pub(super) fn preferred_wait(headers: &HeaderMap) -> Option<Duration> {
    let preferences = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let mut preferences = preferences.flat_map(|value| value.split([',', ';'])).map(str::trim);
    let seconds = preferences.find_map(|preference| preference.strip_prefix("wait="))?;
    seconds.trim_matches('"').parse().ok().map(Duration::from_secs)
}
