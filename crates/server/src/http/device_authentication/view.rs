//! A device authentication as it is shown (platform API, sections 10.2 and 10.3).

use countersign_domain::{
    device::State as DeviceState,
    flow::{Failure, Flow, Method, State},
    id::Id,
    mfa::Reason,
    sign_on_policy::ActionKind,
};
use countersign_protocol::time::Timestamp;
use serde_json::{Map, Value, json};

use super::super::{
    action::{DEVICE_SELECT, OTP_CHECK, PUSH_CANCEL},
    seen_device::members,
};
use crate::app::{App, FlowView, SeenDevice, describe};

/// Its address.
pub(super) fn address(app: &App, flow: &Flow) -> String {
    let base = &app.settings().base_url;
    format!("{base}/{}/deviceAuthentications/{}", flow.environment, flow.id)
}

/// The resource.
pub(super) fn json_of(app: &App, view: &FlowView) -> Value {
    let flow = &view.flow;
    let url = address(app, flow);
    let (status, actions) = status(view);
    let links = ["self"].into_iter().chain(actions);
    let links: Map<_, _> =
        links.map(|name| (name.to_owned(), json!({ "href": url.as_str() }))).collect();
    let mut body = json!({
        "_links": links,
        "id": flow.id,
        "environment": { "id": flow.environment },
        "user": { "id": flow.request.user },
        "policy": { "id": policy(flow) },
        "application": { "id": flow.request.application },
        "status": status,
        // Nobody passes without a device here.
        "bypassAllowed": false,
        "userBypassEnabled": false,
        "createdAt": flow.created_at.to_rfc3339_millis(),
        "updatedAt": flow.updated_at.to_rfc3339_millis(),
        "expiresAt": flow.expires_at.to_rfc3339_millis(),
    });
    let mut set = |name: &str, value: Value| {
        if let Some(members) = body.as_object_mut() {
            members.insert(name.to_owned(), value);
        }
    };
    if let Some(embedded) = embedded(view, app.now()) {
        set("_embedded", embedded);
    }
    if let Some(device) = flow.state.asked_device() {
        set("selectedDevice", json!({ "id": device }));
    }
    if let Some(number) = &view.number {
        set("numberMatching", json!({ "number": number.text() }));
    }
    match &flow.state {
        State::Completed { identity } => {
            let methods: Vec<&str> = identity.methods.iter().copied().map(Method::name).collect();
            set("authenticators", json!(methods));
        }
        State::Failed { why, .. } => {
            set("error", json!({ "code": error_code(*why), "message": describe(flow, *why) }));
        }
        _ => {}
    }
    body
}

fn policy(flow: &Flow) -> Option<Id<countersign_domain::mfa_policy::MfaPolicy>> {
    flow.actions.iter().find_map(|action| match action {
        ActionKind::MultiFactorAuthentication { mfa_policy, .. } => *mfa_policy,
        ActionKind::Login | ActionKind::IdentifierFirst => None,
    })
}

/// Status, and the actions that are possible now.
fn status(view: &FlowView) -> (&'static str, Vec<&'static str>) {
    let may_change = (view.devices.len() > 1).then_some(DEVICE_SELECT);
    let passcode = view.takes_passcode().then_some(OTP_CHECK);
    match &view.flow.state {
        State::DeviceSelection { .. } => ("DEVICE_SELECTION_REQUIRED", vec![DEVICE_SELECT]),
        State::Passcode { .. } => {
            ("OTP_REQUIRED", [Some(OTP_CHECK), may_change].into_iter().flatten().collect())
        }
        State::Verification { .. } => ("PUSH_CONFIRMATION_REQUIRED", vec![]),
        State::Push { .. } => {
            let actions = [Some(PUSH_CANCEL), passcode, may_change];
            ("PUSH_CONFIRMATION_REQUIRED", actions.into_iter().flatten().collect())
        }
        State::PushTimedOut { .. } => {
            let actions = [Some(DEVICE_SELECT), passcode];
            ("PUSH_CONFIRMATION_TIMED_OUT", actions.into_iter().flatten().collect())
        }
        State::Completed { .. } => ("COMPLETED", vec![]),
        // A user is known from the beginning, and decisions are not stored.
        State::Failed { .. }
        | State::Identifier { .. }
        | State::Login { .. }
        | State::Password { .. }
        | State::AuthenticationCode { .. }
        | State::PasswordChange { .. }
        | State::Deciding { .. } => ("FAILED", vec![]),
    }
}

/// Why it failed, for programs. The words are promised in `docs/device-authentications.md`.
const fn error_code(why: Failure) -> &'static str {
    match why {
        Failure::Cancelled => "CANCELLED",
        Failure::OtherUser => "OTHER_USER",
        Failure::NoSteps => "NO_STEPS",
        Failure::MissingClaim { .. } => "MISSING_CLAIM",
        Failure::NotAdmitted => "NOT_ADMITTED",
        Failure::Mfa(reason) => reason_code(reason),
    }
}

const fn reason_code(reason: Reason) -> &'static str {
    match reason {
        Reason::NoUsableDevice => "NO_USABLE_DEVICES",
        Reason::DeviceBlocked => "DEVICE_BLOCKED",
        Reason::DeviceLocked => "DEVICE_LOCKED",
        Reason::UserLocked => "USER_LOCKED",
        Reason::MfaDisabled => "MFA_DISABLED",
        Reason::Compromised => "DEVICE_COMPROMISED",
        Reason::ExtraVerificationFailed => "EXTRA_VERIFICATION_FAILED",
        Reason::PushDenied => "PUSH_DENIED",
        Reason::PushesStopped => "PUSH_LIMIT_REACHED",
    }
}

/// The devices of the user: first those that can be used, in the user's order.
fn embedded(view: &FlowView, now: Timestamp) -> Option<Value> {
    let usable = view.devices.iter().map(|choice| {
        let status = json!({ "status": "ENABLED" });
        device_json(&choice.device, &status, now)
    });
    let barred = view.barred.iter().map(|barred| {
        let why = barred.why.map_or("NO_USABLE_METHOD", reason_code);
        device_json(&barred.device, &json!({ "status": "DISABLED", "reason": why }), now)
    });
    let devices: Vec<Value> = usable.chain(barred).collect();
    if devices.is_empty() {
        return None;
    }
    let mut embedded = json!({ "devices": devices });
    let blocked = view.barred.iter().filter(|barred| barred.why == Some(Reason::DeviceBlocked));
    let blocked: Vec<Value> = blocked.map(|barred| json!({ "id": barred.device.id })).collect();
    if !blocked.is_empty()
        && let Some(members) = embedded.as_object_mut()
    {
        members.insert("blockedDevices".to_owned(), blocked.into());
    }
    Some(embedded)
}

fn device_json(device: &SeenDevice, usable: &Value, now: Timestamp) -> Value {
    let (mut block, mut lock) = (json!({ "status": "UNBLOCKED" }), json!({ "status": "UNLOCKED" }));
    match device.state.settled(now) {
        DeviceState::Blocked { at, .. } => {
            block = json!({ "status": "BLOCKED", "blockedAt": at.to_rfc3339_millis() });
        }
        DeviceState::Locked { until, .. } => {
            lock = json!({ "status": "LOCKED", "expiresAt": until.to_rfc3339_millis() });
        }
        DeviceState::Active { .. } | DeviceState::Removed { .. } => {}
    }
    let mut members = members(device);
    let created_at = device.created_at.to_rfc3339_millis();
    let more = [
        ("block", block),
        ("lock", lock),
        ("usableStatus", usable.clone()),
        ("createdAt", created_at.into()),
    ];
    members.extend(more.map(|(name, value)| (name.to_owned(), value)));
    members.into()
}
