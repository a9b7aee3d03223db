//! `/{environment}/deviceAuthentications`: back ends let a user be authenticated by a device (platform API, section 10).

mod view;

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, Path, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use countersign_domain::authorization::MAX_OBJECT;
use serde::Deserialize;
use serde_json::{Map, Value};

use self::view::{address, json_of};
use super::{
    action::{
        self, Action, DEVICE_SELECT, OTP_CHECK, PUSH_CANCEL, Reference, Refusal, after_passcode,
        cancel_reason, id, invalid, missing, parse, passcode, read_flow, required, selected_device,
        unknown_action,
    },
    caller::{At, require_json, too_large},
    correlation::Correlation,
    problem::{FaultResponse, Problem},
};
use crate::app::{
    AdvanceError, AdvanceFlow, App, CheckPasscode, Choice, FlowHandle, FlowView, ReadFlowError,
    Realm, StartDeviceAuthentication, StartDeviceAuthenticationError, Worker,
};

/// `POST /{environment}/deviceAuthentications`
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    At(realm): At,
    worker: Worker,
    Correlation(correlation): Correlation,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    if let Err(problem) = require_json(&parts) {
        return problem.into_response();
    }
    let Ok(body) = Bytes::from_request(Request::from_parts(parts, body), &app).await else {
        return too_large().into_response();
    };
    let wanted = match Wanted::read(&body).and_then(|wanted| wanted.request(correlation)) {
        Ok(wanted) => wanted,
        Err(refusal) => return refusal.into_response(),
    };
    match worker.act(app.start_device_authentication(&realm, &worker, wanted)).await {
        Ok(view) => {
            let location = [(header::LOCATION, address(&app, &view.flow))];
            (StatusCode::CREATED, location, Json(json_of(&app, &view))).into_response()
        }
        Err(error) => not_begun(error).into_response(),
    }
}

fn not_begun(error: StartDeviceAuthenticationError) -> Refusal {
    use StartDeviceAuthenticationError as Error;
    let invalid = |target| invalid("INVALID_VALUE", target, &error.to_string(), None);
    match error {
        Error::UnknownUser => invalid("user.id"),
        Error::UnknownPolicy => invalid("policy.id"),
        Error::UnknownApplication => invalid("application.id"),
        Error::UnusableDevice => invalid("selectedDevice.id"),
        Error::Payload(_) => invalid("mobilePayload"),
        Error::ApplicationRequired => missing("application.id"),
        Error::Fault(fault) => Refusal::Fault(fault),
    }
}

/// `GET /{environment}/deviceAuthentications/{authentication}`. With `Prefer: wait=SECONDS` one that waits for a phone is
/// answered once it waits no more, or when the time is over.
pub(crate) async fn read(
    State(app): State<Arc<App>>,
    At(realm): At,
    _worker: Worker,
    Path((_, authentication)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let Some(handle) = handle(&authentication) else { return not_found().into_response() };
    match read_flow(&app, &realm, handle, &headers).await {
        Ok(view) => Json(json_of(&app, &view)).into_response(),
        Err(ReadFlowError::NotFound) => not_found().into_response(),
        Err(ReadFlowError::Fault(fault)) => FaultResponse(fault).into_response(),
    }
}

/// `POST /{environment}/deviceAuthentications/{authentication}`: the media type says what to do.
pub(crate) async fn act(
    State(app): State<Arc<App>>,
    At(realm): At,
    worker: Worker,
    Path((_, authentication)): Path<(String, String)>,
    action: Result<Action, Problem>,
) -> Response {
    let Some(handle) = handle(&authentication) else { return not_found().into_response() };
    let Action { name, body, correlation } = match action {
        Ok(action) => action,
        Err(problem) => return problem.into_response(),
    };
    let call = Call { app, realm, worker, handle, correlation };
    let taken = match name.as_deref() {
        Some(DEVICE_SELECT) => call.select_device(&body).await,
        Some(OTP_CHECK) => call.check_passcode(&body).await,
        Some(PUSH_CANCEL) => call.cancel_push(&body).await,
        Some(_) | None => Err(unknown_action(&[DEVICE_SELECT, OTP_CHECK, PUSH_CANCEL])),
    };
    match taken {
        Ok(view) => Json(json_of(&call.app, &view)).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

fn handle(authentication: &str) -> Option<FlowHandle> {
    authentication.parse().ok().map(FlowHandle::of_worker)
}

fn not_found() -> Problem {
    Problem::not_found("there is no device authentication of this id, or it has expired")
}

/// One action on one device authentication.
struct Call {
    app: Arc<App>,
    realm: Arc<Realm>,
    worker: Worker,
    handle: FlowHandle,
    correlation: String,
}

impl Call {
    async fn select_device(&self, body: &[u8]) -> Result<FlowView, Refusal> {
        let device = selected_device(body)?;
        self.advance(Choice::Device { device }, DEVICE_SELECT).await
    }

    async fn check_passcode(&self, body: &[u8]) -> Result<FlowView, Refusal> {
        let request = CheckPasscode {
            handle: self.handle.clone(),
            passcode: passcode(body)?,
            correlation: self.correlation.clone(),
        };
        let checked = self.worker.act(self.app.check_passcode(&self.realm, request)).await;
        after_passcode(checked, not_now, not_found)
    }

    /// The question on the phone is taken back (platform API, section 10.4).
    async fn cancel_push(&self, body: &[u8]) -> Result<FlowView, Refusal> {
        let why = match cancel_reason(body)?.as_str() {
            "CHANGE_DEVICE" => "change_device",
            "SIGNOUT" => "signout",
            "ADD_DEVICE" => "add_device",
            "DEFAULT" => "default",
            _ => {
                let message = "reason must be CHANGE_DEVICE, SIGNOUT, ADD_DEVICE or DEFAULT";
                return Err(invalid("INVALID_VALUE", "reason", message, None));
            }
        };
        self.advance(Choice::CancelPush { why }, PUSH_CANCEL).await
    }

    async fn advance(&self, choice: Choice, action: &str) -> Result<FlowView, Refusal> {
        let (handle, correlation) = (self.handle.clone(), self.correlation.clone());
        let request = AdvanceFlow { handle, choice, correlation };
        let advanced = self.worker.act(self.app.advance_flow(&self.realm, request)).await;
        advanced.map_err(|error| match error {
            // Nobody gives a user name here.
            AdvanceError::NotNow | AdvanceError::ImpossibleUsername => not_now(action),
            AdvanceError::NotFound => Refusal::Problem(not_found()),
            AdvanceError::UnknownDevice => {
                let message = "device.id must be a device of the user that can be used now";
                invalid("INVALID_VALUE", "device.id", message, None)
            }
            AdvanceError::Fault(fault) => Refusal::Fault(fault),
        })
    }
}

fn not_now(action: &str) -> Refusal {
    action::not_now("the device authentication", action)
}

/// The body of a creation. Members that are not known are passed over.
#[derive(Default, Deserialize)]
#[serde(expecting = "an object", default, rename_all = "camelCase")]
struct Wanted {
    user: Reference,
    selected_device: Option<SelectedDevice>,
    policy: Option<Reference>,
    application: Option<Reference>,
    mobile_payload: Option<String>,
    notification: Notification,
    client_context: Option<Map<String, Value>>,
}

#[derive(Default, Deserialize)]
#[serde(expecting = "an object", default, rename_all = "camelCase")]
struct SelectedDevice {
    id: Option<String>,
    one_time: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(expecting = "an object", default, rename_all = "camelCase")]
struct Notification {
    template: Option<Map<String, Value>>,
    client_context: Option<Map<String, Value>>,
}

impl Wanted {
    fn read(body: &[u8]) -> Result<Self, Refusal> {
        parse(body)
    }

    fn request(self, correlation: String) -> Result<StartDeviceAuthentication, Refusal> {
        let named = self.notification.client_context.is_some();
        let context_target = if named { "notification.clientContext" } else { "clientContext" };
        let context = self.notification.client_context.or(self.client_context);
        Ok(StartDeviceAuthentication {
            user: id(&required(self.user.id, "user.id")?, "user.id")?,
            device: self.selected_device.map(selected).transpose()?,
            policy: reference(self.policy, "policy.id")?,
            application: reference(self.application, "application.id")?,
            mobile_payload: self.mobile_payload,
            template: object(self.notification.template, "notification.template")?,
            client_context: object(context, context_target)?,
            correlation,
        })
    }
}

/// An id that may be absent with the whole reference, and not within it.
fn reference<T>(
    reference: Option<Reference>,
    target: &str,
) -> Result<Option<countersign_domain::id::Id<T>>, Refusal> {
    let read = |reference: Reference| id(&required(reference.id, target)?, target);
    reference.map(read).transpose()
}

fn selected(
    device: SelectedDevice,
) -> Result<countersign_domain::id::Id<countersign_domain::device::Device>, Refusal> {
    const TARGET: &str = "selectedDevice.id";
    if device.one_time.is_some() {
        let target = "selectedDevice.oneTime";
        let message = "selectedDevice.oneTime must be absent: this platform sends no passcodes to addresses that are not paired";
        return Err(invalid("INVALID_VALUE", target, message, None));
    }
    id(&required(device.id, TARGET)?, TARGET)
}

/// An object that is kept as it came.
fn object(object: Option<Map<String, Value>>, target: &str) -> Result<Option<String>, Refusal> {
    let Some(object) = object else { return Ok(None) };
    let text = Value::Object(object).to_string();
    if text.len() > MAX_OBJECT {
        let message = format!("{target} must be an object of at most {MAX_OBJECT} characters");
        return Err(invalid("INVALID_VALUE", target, &message, None));
    }
    Ok(Some(text))
}
