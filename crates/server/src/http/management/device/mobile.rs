//! What is told of phones only, and the logs of their apps (platform API, section 9.3).

use countersign_domain::device::{AddressState, Device, Logs};
use countersign_protocol::{
    mobile_payload::{Platform, PushAddress, PushEnvironment, PushService},
    time::Timestamp,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::hal::time;

/// What is told of phones only. All but the push address is as the app says.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "MobileDevice")]
pub(super) struct Mobile {
    application: OfApplication,
    os: Os,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<Model>,
    #[serde(skip_serializing_if = "Option::is_none")]
    manufacturer: Option<String>,
    /// Language tag (BCP 47).
    #[serde(skip_serializing_if = "Option::is_none")]
    locale: Option<String>,
    sdk_version: String,
    /// Whether the phone looks rooted.
    #[serde(skip_serializing_if = "Option::is_none")]
    rooted: Option<bool>,
    /// Whether a screen lock is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    lock_enabled: Option<bool>,
    /// Whether the person lets the app be woken.
    push_enabled: bool,
    push_status: PushStatus,
    /// Whether it shows passcodes, which every paired phone does.
    otp_enabled: bool,
    /// `APNS`, `FCM`, `HMS`, `WEB_PUSH`, or `DIRECT`: by its own connection only.
    #[serde(skip_serializing_if = "Option::is_none")]
    notification_provider: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logs: Option<LogsBody>,
}

/// The application that a phone is paired by.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "MobileDeviceApplication")]
struct OfApplication {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Package name or bundle id.
    #[serde(skip_serializing_if = "Option::is_none")]
    native_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    /// Whether its push address is one of a development build.
    push_sandbox: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "MobileDeviceOs")]
struct Os {
    /// `ANDROID`, `IOS` or `DESKTOP`.
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "MobileDeviceModel")]
struct Model {
    name: String,
}

/// Whether a phone can be reached by push.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "MobileDevicePushStatus")]
struct PushStatus {
    /// `ENABLED` or `DISABLED`.
    status: &'static str,
    /// `NO_ADDRESS`, `SWITCHED_OFF` or `UNREGISTERED`: the push service says that the app is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

/// The logs of the app that are asked for, or there.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "MobileDeviceLogs")]
pub(in super::super) struct LogsBody {
    pub status: LogsStatus,
    /// Until when they are asked for, or kept.
    expires_at: String,
    /// When they came.
    #[serde(skip_serializing_if = "Option::is_none")]
    received_at: Option<String>,
    /// The newest lines; told at its own address only.
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schemars(rename = "MobileDeviceLogsStatus")]
pub(in super::super) enum LogsStatus {
    Pending,
    Received,
}

/// A request for the logs of an app.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "MobileDeviceLogsRequest")]
pub(in super::super) struct LogsRequest {
    /// `PENDING`
    pub status: LogsStatus,
}

impl Mobile {
    pub fn of(device: &Device, name: Option<&String>, now: Timestamp) -> Self {
        let installation = &device.installation;
        let (facts, push) = (&installation.device, installation.push.as_ref());
        let sandbox = push.and_then(|push| push.environment) == Some(PushEnvironment::Sandbox);
        Self {
            application: OfApplication {
                id: installation.application.to_string(),
                name: name.cloned(),
                native_name: installation.package.clone(),
                version: installation.version.clone(),
                push_sandbox: sandbox,
            },
            os: Os {
                kind: match installation.platform {
                    Platform::Android => "ANDROID",
                    Platform::Ios => "IOS",
                    Platform::Desktop => "DESKTOP",
                },
                version: facts.os_version.clone(),
            },
            model: facts.model.clone().map(|name| Model { name }),
            manufacturer: facts.manufacturer.clone(),
            locale: facts.locale.clone(),
            sdk_version: facts.sdk_version.clone(),
            rooted: facts.rooted,
            lock_enabled: facts.screen_lock,
            push_enabled: push.is_some_and(|push| push.enabled),
            push_status: PushStatus::of(push, &device.address),
            otp_enabled: true,
            notification_provider: push.map(|push| provider(push.service)),
            logs: device.logs(now).map(LogsBody::from),
        }
    }
}

const fn provider(service: PushService) -> &'static str {
    match service {
        PushService::Apns => "APNS",
        PushService::Fcm => "FCM",
        PushService::Hms => "HMS",
        PushService::WebPush => "WEB_PUSH",
        PushService::Direct => "DIRECT",
    }
}

impl PushStatus {
    fn of(push: Option<&PushAddress>, address: &AddressState) -> Self {
        let reason = match (push, address) {
            (None, _) => Some("NO_ADDRESS"),
            (Some(push), _) if !push.enabled => Some("SWITCHED_OFF"),
            (Some(_), AddressState::Suspect { .. }) => Some("UNREGISTERED"),
            (Some(_), AddressState::Live) => None,
        };
        Self { status: if reason.is_some() { "DISABLED" } else { "ENABLED" }, reason }
    }
}

impl LogsBody {
    /// With the lines that have come.
    pub fn with(self, log: Option<String>) -> Self {
        Self { log, ..self }
    }
}

impl From<Logs> for LogsBody {
    fn from(logs: Logs) -> Self {
        let (status, received_at) = match logs {
            Logs::Pending { .. } => (LogsStatus::Pending, None),
            Logs::Received { at, .. } => (LogsStatus::Received, Some(time(at))),
        };
        Self { status, expires_at: time(logs.until()), received_at, log: None }
    }
}
