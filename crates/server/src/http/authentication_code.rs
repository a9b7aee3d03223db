//! `/{environment}/authenticationCodes`: back ends show codes that phones read (platform API, section 11), and
//! `D/authentication-codes`: what phones do with them.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, Path, Request, State, rejection::PathRejection},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use countersign_domain::{
    authentication_code::{
        Approval, AuthenticationCode, DEFAULT_LIFE_SECONDS, Refusal as CodeRefusal,
        State as CodeState,
    },
    authorization::MAX_OBJECT,
    id::Id,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    action::{self, Reference, Refusal, invalid, missing, parse, preferred_wait, required},
    caller::{At, Installation, require_json, too_large},
    correlation::Correlation,
    device::{call_error, json_text},
    limit::Surface,
    problem::{Detail, Problem},
};
use crate::app::{App, ClaimError, CodeError, CodeView, NewAuthenticationCode, Worker};

/// `POST /{environment}/authenticationCodes`
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
    let new = parse::<Wanted>(&body).and_then(|wanted| wanted.into_new(correlation));
    let new = match new {
        Ok(new) => new,
        Err(refusal) => return refusal.into_response(),
    };
    match worker.act(app.create_authentication_code(&realm, new)).await {
        Ok(view) => {
            let location = [(header::LOCATION, address(&app, &view.code))];
            (StatusCode::CREATED, location, Json(json_of(&app, &view))).into_response()
        }
        Err(error) => refused(error).into_response(),
    }
}

/// `GET /{environment}/authenticationCodes/{code}`. With `Prefer: wait=SECONDS` it is answered once the status has changed, or
/// when the time is over.
pub(crate) async fn read(
    State(app): State<Arc<App>>,
    At(realm): At,
    _worker: Worker,
    Path((_, code)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let Ok(id) = code.parse() else { return not_found().into_response() };
    let read = match preferred_wait(&headers) {
        Some(wait) => {
            let most = wait.min(app.settings().longest_wait());
            app.await_authentication_code(&realm, id, most).await
        }
        None => app.read_authentication_code(&realm, id).await,
    };
    match read {
        Ok(view) => Json(json_of(&app, &view)).into_response(),
        Err(error) => refused(error).into_response(),
    }
}

/// `DELETE /{environment}/authenticationCodes/{code}`
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    At(realm): At,
    worker: Worker,
    Correlation(correlation): Correlation,
    Path((_, code)): Path<(String, String)>,
) -> Response {
    let Ok(id) = code.parse() else { return not_found().into_response() };
    match worker.act(app.delete_authentication_code(&realm, id, &correlation)).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => refused(error).into_response(),
    }
}

fn not_found() -> Problem {
    Problem::not_found(CodeError::NotFound.to_string())
}

fn refused(error: CodeError) -> Refusal {
    match error {
        CodeError::NotFound => Refusal::Problem(not_found()),
        CodeError::UnknownApplication => {
            invalid("INVALID_VALUE", "application.id", &error.to_string(), None)
        }
        CodeError::Invalid(_) => {
            invalid("INVALID_VALUE", "lifeTime.duration", &error.to_string(), None)
        }
        CodeError::Fault(fault) => Refusal::Fault(fault),
    }
}

#[derive(Default, Deserialize)]
#[serde(expecting = "an object", rename_all = "camelCase")]
struct Wanted {
    application: Option<Reference>,
    life_time: Option<LifeTime>,
    user_approval: Option<String>,
    client_context: Option<Map<String, Value>>,
}

#[derive(Default, Deserialize)]
#[serde(expecting = "an object", rename_all = "camelCase")]
struct LifeTime {
    duration: Option<u32>,
    time_unit: Option<String>,
}

impl Wanted {
    fn into_new(self, correlation: String) -> Result<NewAuthenticationCode, Refusal> {
        let application = required(self.application.and_then(|it| it.id), "application.id")?;
        let application = action::id(&application, "application.id")?;
        let approval = match self.user_approval.as_deref() {
            None | Some("REQUIRED") => Approval::Required,
            Some("NOT_REQUIRED") => Approval::NotRequired,
            Some(_) => {
                let message = "userApproval must be REQUIRED or NOT_REQUIRED";
                return Err(invalid("INVALID_VALUE", "userApproval", message, None));
            }
        };
        let life_seconds = self.life_time.map_or(Ok(DEFAULT_LIFE_SECONDS), LifeTime::seconds)?;
        let client_context = self.client_context.map(|object| Value::Object(object).to_string());
        if client_context.as_ref().is_some_and(|text| text.chars().count() > MAX_OBJECT) {
            let message =
                format!("clientContext must be an object of at most {MAX_OBJECT} characters");
            return Err(invalid("INVALID_VALUE", "clientContext", &message, None));
        }
        Ok(NewAuthenticationCode {
            application,
            life_seconds,
            approval,
            client_context,
            correlation,
        })
    }
}

impl LifeTime {
    /// Both members or neither.
    fn seconds(self) -> Result<u32, Refusal> {
        let duration = self.duration.ok_or_else(|| missing("lifeTime.duration"))?;
        let factor = match self.time_unit.as_deref() {
            Some("SECONDS") => 1,
            Some("MINUTES") => 60,
            None => return Err(missing("lifeTime.timeUnit")),
            Some(_) => {
                let message = "lifeTime.timeUnit must be SECONDS or MINUTES";
                return Err(invalid("INVALID_VALUE", "lifeTime.timeUnit", message, None));
            }
        };
        Ok(duration.saturating_mul(factor))
    }
}

fn address(app: &App, code: &AuthenticationCode) -> String {
    let base = &app.settings().base_url;
    format!("{base}/{}/authenticationCodes/{}", code.environment, code.id)
}

/// How far a code has come, on the wire.
pub(super) const fn status_name(state: &CodeState) -> &'static str {
    match state {
        CodeState::Unclaimed => "UNCLAIMED",
        CodeState::Claimed { .. } => "CLAIMED",
        CodeState::Completed { .. } => "COMPLETED",
        CodeState::Denied { .. } => "DENIED",
        CodeState::Expired { .. } => "EXPIRED",
    }
}

/// The resource (platform API, section 11).
fn json_of(app: &App, view: &CodeView) -> Value {
    let code = &view.code;
    let approval = match code.approval {
        Approval::Required => "REQUIRED",
        Approval::NotRequired => "NOT_REQUIRED",
    };
    let mut body = json!({
        "_links": { "self": { "href": address(app, code) } },
        "id": code.id,
        "environment": { "id": code.environment },
        "application": { "id": code.application },
        "code": view.characters.expose(),
        "uri": view.uri.expose(),
        "status": status_name(&code.state),
        "userApproval": approval,
        "lifeTime": { "duration": code.life_seconds, "timeUnit": "SECONDS" },
        "createdAt": code.created_at.to_rfc3339_millis(),
        "updatedAt": code.updated_at.to_rfc3339_millis(),
        "expiresAt": code.expires_at().to_rfc3339_millis(),
    });
    let mut set = |name: &str, value: Value| {
        if let Some(members) = body.as_object_mut() {
            members.insert(name.to_owned(), value);
        }
    };
    if let Some(text) = &code.client_context {
        set("clientContext", serde_json::from_str(text).unwrap_or_default());
    }
    match &code.state {
        CodeState::Completed { by, .. } => set("user", json!({ "id": by.user })),
        CodeState::Denied { user: Some(user), .. } => set("user", json!({ "id": user })),
        _ => {}
    }
    if let Some(device) = &view.device {
        let facts = &device.installation;
        let mut device = json!({
            "id": device.id,
            "application": { "nativeName": facts.package, "version": facts.version },
        });
        // What the phone does not tell is left out.
        if let (Some(members), Some(version)) = (device.as_object_mut(), &facts.device.os_version) {
            members.insert("os".to_owned(), json!({ "version": version }));
        }
        if let (Some(members), Some(model)) = (device.as_object_mut(), &facts.device.model) {
            members.insert("model".to_owned(), json!({ "name": model }));
        }
        set("_embedded", json!({ "device": device }));
    }
    body
}

/// The segments of an address that names a code.
type Named = Result<Path<(String, String)>, PathRejection>;

/// `POST D/authentication-codes/claims`
pub(crate) async fn claim(
    State(app): State<Arc<App>>,
    At(realm): At,
    Installation(call): Installation,
) -> Response {
    answered(app.claim_code(&realm, call).await)
}

/// `POST D/authentication-codes/{code}/approve`
pub(crate) async fn approve(
    State(app): State<Arc<App>>,
    At(realm): At,
    named: Named,
    Installation(call): Installation,
) -> Response {
    let Some(id) = id(named) else { return claim_error(ClaimError::Unknown) };
    answered(app.approve_code(&realm, id, call).await)
}

/// `POST D/authentication-codes/{code}/deny`
pub(crate) async fn deny(
    State(app): State<Arc<App>>,
    At(realm): At,
    named: Named,
    Installation(call): Installation,
) -> Response {
    let Some(id) = id(named) else { return claim_error(ClaimError::Unknown) };
    answered(app.deny_code(&realm, id, call).await)
}

fn id(named: Named) -> Option<Id<AuthenticationCode>> {
    named.ok().and_then(|Path((_, id))| id.parse().ok())
}

fn answered(result: Result<String, ClaimError>) -> Response {
    match result {
        Ok(answer) => json_text(StatusCode::OK, answer),
        Err(error) => claim_error(error),
    }
}

fn claim_error(error: ClaimError) -> Response {
    let message = error.to_string();
    let failed = |code| {
        let detail = Detail::new(code, "authenticationCode", message.clone());
        Problem::request_failed(message.clone()).with(detail).into_response()
    };
    let wrong = |code, target| {
        let detail = Detail::new(code, target, message.clone());
        Problem::invalid_request(message.clone()).with(detail).into_response()
    };
    match error {
        ClaimError::Call(error) => call_error(error),
        ClaimError::Limited(limited) => Surface::Envelope.refuse(limited),
        ClaimError::Unknown => failed("CODE_INVALID"),
        ClaimError::OtherApplication => failed("CODE_OTHER_APPLICATION"),
        ClaimError::Barred => failed("DEVICE_BARRED"),
        ClaimError::UserId => wrong("INVALID_VALUE", "proof.user"),
        ClaimError::Refused(refusal) => match refusal {
            CodeRefusal::Expired => failed("CODE_EXPIRED"),
            CodeRefusal::Claimed => failed("CODE_CLAIMED"),
            CodeRefusal::Ended => failed("CODE_ENDED"),
            CodeRefusal::OtherInstallation => failed("CODE_INVALID"),
            CodeRefusal::UnknownUser => wrong("INVALID_VALUE", "proof.user"),
            CodeRefusal::NumberRequired => wrong("REQUIRED_VALUE", "proof.number"),
        },
    }
}
