//! `/{environment}/flows/{flow}`: the flow API, for apps that draw their own screens (platform API, section 8).

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::request::Parts,
    response::{IntoResponse, Response},
};
use countersign_domain::{authorization::Answer, flow::State as FlowState};
use countersign_protocol::secret::Secret;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    action::{
        self, Action, DEVICE_SELECT, OTP_CHECK, PUSH_CANCEL, Refusal, after_passcode,
        cancel_reason, invalid, missing, parse, passcode, read_flow, required, selected_device,
        unknown_action,
    },
    authentication_code::status_name,
    authorize::{knows, resume_url, with_session},
    caller::{At, Browser},
    correlation::Correlation,
    problem::{FaultResponse, Problem},
    seen_device::members,
};
use crate::app::{
    AdvanceError, AdvanceFlow, App, ChangePassword, ChangePasswordError, CheckPasscode,
    CheckPassword, CheckPasswordError, Choice, Fault, FlowHandle, FlowView, PasswordOutcome,
    ReadFlowError, Realm, ShownCode,
};

/// Actions that only the flow API has: names of links and of media types.
const PASSWORD_CHECK: &str = "usernamePassword.check";
const PASSWORD_RESET: &str = "password.reset";
const USER_LOOKUP: &str = "user.lookup";
const SESSION_RESET: &str = "session.reset";
const CODE_CREATE: &str = "authenticationCode.create";

/// `GET /{environment}/flows/{flow}`. With `Prefer: wait=SECONDS` (RFC 7240, section 4.3) a flow that waits for a phone is
/// answered once it waits no more, or when the time is over.
pub(crate) async fn read(
    State(app): State<Arc<App>>,
    At(realm): At,
    browser: Browser,
    Path((_, flow)): Path<(String, String)>,
    request: Parts,
) -> Response {
    let correlation = Correlation::of(&request);
    let headers = request.headers;
    let Some(handle) = handle(&flow, browser) else { return not_found().into_response() };
    match read_flow(&app, &realm, handle, &headers).await {
        Ok(view) => match flow_json(&app, &realm, &view, &correlation).await {
            Ok(flow) => with_session(Json(flow).into_response(), &app, &realm, &view.flow),
            Err(fault) => FaultResponse(fault).into_response(),
        },
        Err(ReadFlowError::NotFound) => not_found().into_response(),
        Err(ReadFlowError::Fault(fault)) => FaultResponse(fault).into_response(),
    }
}

/// `POST /{environment}/flows/{flow}`: the media type says what to do.
pub(crate) async fn act(
    State(app): State<Arc<App>>,
    At(realm): At,
    browser: Browser,
    Path((_, flow)): Path<(String, String)>,
    action: Result<Action, Problem>,
) -> Response {
    let known_browser = browser.remembered.clone();
    let Some(handle) = handle(&flow, browser) else { return not_found().into_response() };
    let Action { name, body, correlation } = match action {
        Ok(action) => action,
        Err(problem) => return problem.into_response(),
    };
    let call = Call { app, realm, handle, correlation };
    let answer = match name.as_deref() {
        Some(PASSWORD_CHECK) => return call.check_password(&body, known_browser).await,
        Some(PASSWORD_RESET) => call.reset_password(&body).await,
        Some(OTP_CHECK) => call.check_passcode(&body).await,
        Some(USER_LOOKUP) => call.look_up(&body).await,
        Some(DEVICE_SELECT) => call.select_device(&body).await,
        Some(PUSH_CANCEL) => call.cancel_push(&body).await,
        Some(CODE_CREATE) => call.advance(Choice::Phone).await,
        Some(SESSION_RESET) => call.advance(Choice::Reset).await,
        Some(_) | None => Err(unknown_action(&ACTIONS)),
    };
    match answer {
        Ok(view) => call.show(&view).await,
        Err(refusal) => refusal.into_response(),
    }
}

fn handle(flow: &str, browser: Browser) -> Option<FlowHandle> {
    Some(FlowHandle::of_browser(flow.parse().ok()?, browser.cookie))
}

fn not_found() -> Problem {
    Problem::not_found("there is no flow of this id, it has expired, or its cookie was not sent")
}

fn not_now(action: &str) -> Refusal {
    action::not_now("the flow", action)
}

/// All that a flow can be told.
const ACTIONS: [&str; 8] = [
    PASSWORD_CHECK,
    PASSWORD_RESET,
    USER_LOOKUP,
    DEVICE_SELECT,
    OTP_CHECK,
    PUSH_CANCEL,
    CODE_CREATE,
    SESSION_RESET,
];

/// One action on one flow.
struct Call {
    app: Arc<App>,
    realm: Arc<Realm>,
    handle: FlowHandle,
    correlation: String,
}

#[derive(Default, Deserialize)]
#[serde(expecting = "an object")]
struct Credentials {
    username: Option<String>,
    password: Option<Secret<String>>,
}

#[derive(Default, Deserialize)]
#[serde(expecting = "an object", rename_all = "camelCase")]
struct NewPassword {
    current_password: Option<Secret<String>>,
    new_password: Option<Secret<String>>,
}

impl Call {
    async fn show(&self, view: &FlowView) -> Response {
        match flow_json(&self.app, &self.realm, view, &self.correlation).await {
            Ok(flow) => {
                with_session(Json(flow).into_response(), &self.app, &self.realm, &view.flow)
            }
            Err(fault) => FaultResponse(fault).into_response(),
        }
    }

    async fn check_password(&self, body: &[u8], known_browser: Option<Secret<String>>) -> Response {
        match self.password(body, known_browser).await {
            Ok((view, known_browser)) => {
                knows(self.app.settings(), &known_browser, self.show(&view).await)
            }
            Err(refusal) => refusal.into_response(),
        }
    }

    /// The flow, and the cookie by which the browser is known from now on.
    async fn password(
        &self,
        body: &[u8],
        known_browser: Option<Secret<String>>,
    ) -> Result<(FlowView, Secret<String>), Refusal> {
        let Credentials { username, password } = parse(body)?;
        let request = CheckPassword {
            handle: self.handle.clone(),
            username,
            password: required(password, "password")?,
            known_browser,
            correlation: self.correlation.clone(),
        };
        match self.app.check_password(&self.realm, request).await {
            Ok(PasswordOutcome::Accepted { view, known_browser }) => Ok((view, known_browser)),
            Ok(PasswordOutcome::Refused(_)) => {
                let message = "the user name or the password is wrong";
                Err(invalid("INVALID_CREDENTIALS", "password", message, None))
            }
            Ok(PasswordOutcome::LockedOut { seconds_until_unlock, .. }) => {
                let inner = json!({ "secondsUntilUnlock": seconds_until_unlock });
                let message = "too many wrong passwords; the password is locked";
                Err(invalid("PASSWORD_LOCKED_OUT", "password", message, Some(inner)))
            }
            Err(CheckPasswordError::UsernameRequired) => Err(missing("username")),
            Err(CheckPasswordError::NotNow) => Err(not_now(PASSWORD_CHECK)),
            Err(CheckPasswordError::NotFound) => Err(Refusal::Problem(not_found())),
            Err(CheckPasswordError::Limited(limited)) => Err(Refusal::Limited(limited)),
            Err(CheckPasswordError::Fault(fault)) => Err(Refusal::Fault(fault)),
        }
    }

    async fn reset_password(&self, body: &[u8]) -> Result<FlowView, Refusal> {
        let NewPassword { current_password, new_password } = parse(body)?;
        let request = ChangePassword {
            handle: self.handle.clone(),
            current: Some(required(current_password, "currentPassword")?),
            new: required(new_password, "newPassword")?,
            correlation: self.correlation.clone(),
        };
        self.app.change_password(&self.realm, request).await.map_err(|error| match error {
            ChangePasswordError::WrongPassword => {
                invalid("INVALID_CREDENTIALS", "currentPassword", &error.to_string(), None)
            }
            ChangePasswordError::Unmet(unmet) => {
                let inner = json!({ "unsatisfiedRequirements": [unmet.name()] });
                let message = format!("newPassword {unmet}");
                invalid("PASSWORD_REQUIREMENTS_NOT_MET", "newPassword", &message, Some(inner))
            }
            ChangePasswordError::NotNow => not_now(PASSWORD_RESET),
            ChangePasswordError::NotFound => Refusal::Problem(not_found()),
            ChangePasswordError::Fault(fault) => Refusal::Fault(fault),
        })
    }

    async fn check_passcode(&self, body: &[u8]) -> Result<FlowView, Refusal> {
        let request = CheckPasscode {
            handle: self.handle.clone(),
            passcode: passcode(body)?,
            correlation: self.correlation.clone(),
        };
        after_passcode(self.app.check_passcode(&self.realm, request).await, not_now, not_found)
    }

    async fn look_up(&self, body: &[u8]) -> Result<FlowView, Refusal> {
        let Credentials { username, .. } = parse(body)?;
        self.advance(Choice::Identify { username: required(username, "username")? }).await
    }

    async fn select_device(&self, body: &[u8]) -> Result<FlowView, Refusal> {
        self.advance(Choice::Device { device: selected_device(body)? }).await
    }

    /// The person wants another way than the question on the phone (platform API, section 8.3).
    async fn cancel_push(&self, body: &[u8]) -> Result<FlowView, Refusal> {
        match cancel_reason(body)?.as_str() {
            "CHANGE_DEVICE" => self.advance(Choice::CancelPush { why: "change_device" }).await,
            _ => Err(invalid("INVALID_VALUE", "reason", "reason must be CHANGE_DEVICE", None)),
        }
    }

    async fn advance(&self, choice: Choice) -> Result<FlowView, Refusal> {
        let name = match choice {
            Choice::Identify { .. } => USER_LOOKUP,
            Choice::Device { .. } => DEVICE_SELECT,
            Choice::Passcode | Choice::AnotherDevice | Choice::CancelPush { .. } => PUSH_CANCEL,
            Choice::Phone => CODE_CREATE,
            Choice::Reset | Choice::Cancel => SESSION_RESET,
        };
        let (handle, correlation) = (self.handle.clone(), self.correlation.clone());
        let request = AdvanceFlow { handle, choice, correlation };
        self.app.advance_flow(&self.realm, request).await.map_err(|error| match error {
            AdvanceError::NotNow => not_now(name),
            AdvanceError::NotFound => Refusal::Problem(not_found()),
            AdvanceError::ImpossibleUsername => {
                invalid("INVALID_VALUE", "username", &error.to_string(), None)
            }
            AdvanceError::UnknownDevice => {
                invalid("INVALID_VALUE", "device.id", &error.to_string(), None)
            }
            AdvanceError::Fault(fault) => Refusal::Fault(fault),
        })
    }
}

/// The flow as the flow API shows it (platform API, section 8.1), and the authorization response when it has ended.
pub(crate) async fn flow_json(
    app: &App,
    realm: &Arc<Realm>,
    view: &FlowView,
    correlation: &str,
) -> Result<Value, Fault> {
    let flow = &view.flow;
    let base = format!("{}/{}", app.settings().base_url, flow.environment);
    let url = format!("{base}/flows/{}", flow.id);
    let (status, actions) = status(view);
    let mut links = Map::new();
    links.insert("self".to_owned(), json!({ "href": url }));
    for action in actions {
        links.insert(action.to_owned(), json!({ "href": url }));
    }
    let page = format!("{base}/signon?flowId={}", flow.id);
    links.insert("signOnPage".to_owned(), json!({ "href": page }));
    let mut body = json!({
        "_links": links,
        "_embedded": embedded(view),
        "id": flow.id,
        "environment": { "id": flow.environment },
        "resumeUrl": resume_url(realm, flow.id),
        "status": status,
        "createdAt": flow.created_at.to_rfc3339_millis(),
        "expiresAt": flow.expires_at.to_rfc3339_millis(),
    });
    let mut set = |name: &str, value: Value| {
        if let Some(members) = body.as_object_mut() {
            members.insert(name.to_owned(), value);
        }
    };
    if let (FlowState::Completed { .. }, Some(session)) = (&flow.state, flow.session) {
        set("session", json!({ "id": session }));
    }
    if let Some(device) = flow.state.asked_device() {
        set("selectedDevice", json!({ "id": device }));
    }
    if let Some(number) = &view.number {
        set("numberMatching", json!({ "number": number.text() }));
    }
    if let Some(shown) = &view.code {
        set("authenticationCode", code_json(realm, shown));
    }
    if let Some(answer) = authorize_response(app, realm, view, correlation).await? {
        set("authorizeResponse", answer);
    }
    Ok(body)
}

/// Status, and the actions that are possible now.
fn status(view: &FlowView) -> (&'static str, Vec<&'static str>) {
    match &view.flow.state {
        FlowState::Identifier { .. } => ("SIGN_ON_REQUIRED", before_proof(view, USER_LOOKUP)),
        FlowState::Login { .. } => {
            ("USERNAME_PASSWORD_REQUIRED", before_proof(view, PASSWORD_CHECK))
        }
        FlowState::Password { .. } => ("PASSWORD_REQUIRED", before_proof(view, PASSWORD_CHECK)),
        FlowState::AuthenticationCode { .. } => {
            ("AUTHENTICATION_CODE_REQUIRED", vec![CODE_CREATE, SESSION_RESET])
        }
        FlowState::PasswordChange { .. } => {
            ("MUST_CHANGE_PASSWORD", vec![PASSWORD_RESET, SESSION_RESET])
        }
        FlowState::DeviceSelection { .. } => {
            ("DEVICE_SELECTION_REQUIRED", vec![DEVICE_SELECT, SESSION_RESET])
        }
        FlowState::Passcode { .. } if view.devices.len() > 1 => {
            ("OTP_REQUIRED", vec![OTP_CHECK, DEVICE_SELECT, SESSION_RESET])
        }
        FlowState::Passcode { .. } => ("OTP_REQUIRED", vec![OTP_CHECK, SESSION_RESET]),
        FlowState::Verification { .. } => ("PUSH_CONFIRMATION_REQUIRED", vec![SESSION_RESET]),
        FlowState::Push { .. } => {
            let mut actions = vec![PUSH_CANCEL];
            actions.extend(view.takes_passcode().then_some(OTP_CHECK));
            actions.extend((view.devices.len() > 1).then_some(DEVICE_SELECT));
            actions.push(SESSION_RESET);
            ("PUSH_CONFIRMATION_REQUIRED", actions)
        }
        FlowState::PushTimedOut { .. } => {
            let mut actions = vec![DEVICE_SELECT];
            actions.extend(view.takes_passcode().then_some(OTP_CHECK));
            actions.push(SESSION_RESET);
            ("PUSH_CONFIRMATION_TIMED_OUT", actions)
        }
        FlowState::Completed { .. } => ("COMPLETED", vec![]),
        // Never stored, so never shown.
        FlowState::Failed { .. } | FlowState::Deciding { .. } => ("FAILED", vec![]),
    }
}

/// What is possible for somebody who has proved nothing: a phone can do it all, where the application lets it.
fn before_proof(view: &FlowView, action: &'static str) -> Vec<&'static str> {
    let phone = view.phone_sign_on.then_some(CODE_CREATE);
    [Some(action), phone, Some(SESSION_RESET)].into_iter().flatten().collect()
}

/// The code to be shown. A new one is made once this one is of no use any more.
fn code_json(realm: &Realm, shown: &ShownCode) -> Value {
    json!({
        "code": shown.characters(realm).expose(),
        "uri": shown.uri(realm).expose(),
        "status": status_name(&shown.code.state),
        "expiresAt": shown.code.expires_at().to_rfc3339_millis(),
    })
}

fn embedded(view: &FlowView) -> Value {
    let mut embedded = Map::new();
    embedded.insert("application".to_owned(), json!({ "name": view.application }));
    if let Some(user) = &view.user {
        let name = json!({ "given": user.name.given, "family": user.name.family });
        let user = json!({ "id": user.id, "username": user.username, "name": name });
        embedded.insert("user".to_owned(), user);
    }
    if !view.devices.is_empty() {
        let devices: Vec<Value> =
            view.devices.iter().map(|choice| members(&choice.device).into()).collect();
        embedded.insert("devices".to_owned(), devices.into());
    }
    Value::Object(embedded)
}

/// The authorization response, for apps that asked for it in the flow (`pi.flow`).
async fn authorize_response(
    app: &App,
    realm: &Arc<Realm>,
    view: &FlowView,
    correlation: &str,
) -> Result<Option<Value>, Fault> {
    let Answer::Flow { .. } = view.flow.request.answer else { return Ok(None) };
    let Some(ending) = app.finish_flow(realm, view, correlation).await? else { return Ok(None) };
    let json_of = |name: &str, value: &String| match value.parse::<u32>() {
        // A number where JSON has them, as in token responses (RFC 6749, section 5.1).
        Ok(seconds) if name == "expires_in" => json!(seconds),
        Ok(_) | Err(_) => json!(value),
    };
    let members = ending.members.iter();
    let members = members.map(|(name, value)| ((*name).to_owned(), json_of(name, value.expose())));
    Ok(Some(Value::Object(members.collect())))
}
