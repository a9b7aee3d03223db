//! MFA settings on the wire (platform API, section 4).

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use countersign_domain::{
    lockout::Limit,
    mfa_settings::{MfaSettings, UNTIL_UNLOCKED},
};
use countersign_protocol::pairing_key::KeyFormat;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    administrator::Administrator,
    hal::{Links, Reference, link, time},
    mfa_policy::DeviceSelection,
    refusal::{Refusal, parse},
    resource::without_defaults,
};
use crate::app::App;

/// What holds for the devices of all users of an environment.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "MfaSettings")]
pub(super) struct Body {
    /// How devices are paired.
    pairing: Pairing,
    /// When wrong passcodes over all devices lock the MFA of a user.
    #[serde(skip_serializing_if = "Option::is_none")]
    lockout: Option<Lockout>,
    /// How new users begin.
    #[serde(skip_serializing_if = "Option::is_none")]
    users: Option<Users>,
    /// Kept for others. The platform calls nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    phone_extensions: Option<PhoneExtensions>,
    /// Kept for others. MFA policies say how a device is chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    authentication: Option<Authentication>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "MfaSettingsPairing")]
struct Pairing {
    /// Devices that a user may have, active and blocked, 1 to 15.
    max_allowed_devices: u8,
    /// What new pairing keys are made of.
    pairing_key_format: PairingKeyFormat,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum PairingKeyFormat {
    /// Twelve digits.
    Numeric,
    /// Sixteen letters and digits.
    Alphanumeric,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "MfaSettingsLockout")]
struct Lockout {
    /// Wrong passcodes that lock, 1 to 100.
    failure_count: u8,
    /// How long a lock lasts, 1 to 86,400 seconds. Left out, until an administrator ends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_seconds: Option<u32>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "MfaSettingsUsers")]
struct Users {
    /// Whether new users may pass MFA steps with devices.
    mfa_enabled: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct PhoneExtensions {
    /// Whether there are any.
    enabled: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "MfaSettingsAuthentication")]
struct Authentication {
    device_selection: DeviceSelection,
}

/// The settings as they are answered.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ShownMfaSettings")]
pub(super) struct View {
    #[serde(rename = "_links")]
    links: Links,
    environment: Reference,
    #[serde(flatten)]
    #[schemars(with = "Body")]
    body: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<String>,
}

impl Body {
    fn of(settings: &MfaSettings) -> Self {
        let told = settings.told.as_deref().and_then(|told| serde_json::from_str(told).ok());
        let told: Option<Self> = told;
        let lockout = settings.lockout.map(|limit| Lockout {
            failure_count: limit.failures,
            duration_seconds: Some(limit.lock_seconds).filter(|length| *length != UNTIL_UNLOCKED),
        });
        let pairing_key_format = match settings.pairing_key_format {
            KeyFormat::Numeric => PairingKeyFormat::Numeric,
            KeyFormat::Alphanumeric => PairingKeyFormat::Alphanumeric,
        };
        let max_allowed_devices = settings.max_allowed_devices;
        let none = PhoneExtensions { enabled: false };
        let kept = told.map(|told| (told.phone_extensions, told.authentication));
        let (phone_extensions, authentication) = kept.unwrap_or((Some(none), None));
        Self {
            pairing: Pairing { max_allowed_devices, pairing_key_format },
            lockout,
            users: Some(Users { mfa_enabled: settings.new_users_mfa_enabled }),
            phone_extensions,
            authentication,
        }
    }

    fn settings(&self) -> MfaSettings {
        let default = MfaSettings::default();
        let limit = |lockout: &Lockout| Limit {
            failures: lockout.failure_count,
            lock_seconds: lockout.duration_seconds.unwrap_or(UNTIL_UNLOCKED),
        };
        let users = self.users.as_ref().map(|users| users.mfa_enabled);
        MfaSettings {
            max_allowed_devices: self.pairing.max_allowed_devices,
            pairing_key_format: match self.pairing.pairing_key_format {
                PairingKeyFormat::Numeric => KeyFormat::Numeric,
                PairingKeyFormat::Alphanumeric => KeyFormat::Alphanumeric,
            },
            // A lock is not switched off by leaving it out.
            lockout: self.lockout.as_ref().map(limit).or(default.lockout),
            new_users_mfa_enabled: users.unwrap_or(default.new_users_mfa_enabled),
            told: serde_json::to_string(self).ok(),
            updated_at: None,
        }
    }
}

fn shown(administrator: &Administrator, settings: &MfaSettings) -> Result<View, Refusal> {
    let environment = administrator.environment()?;
    let address = administrator.address();
    let plain =
        |settings: &MfaSettings| serde_json::to_value(Body::of(settings)).unwrap_or_default();
    let told = settings.told.as_deref().and_then(|told| serde_json::from_str(told).ok());
    let body = match told {
        Some(told) => without_defaults(plain(settings), &told, &plain(&MfaSettings::default())),
        None => plain(settings),
    };
    let links = Links::from([
        link("self", address.list.clone()),
        link("environment", address.environment(environment)),
    ]);
    let updated_at = settings.updated_at.map(time);
    Ok(View { links, environment: environment.into(), body, updated_at })
}

/// `GET .../mfaSettings`
pub(super) async fn read(
    State(app): State<Arc<App>>,
    administrator: Administrator,
) -> Result<Response, Refusal> {
    let settings = app.mfa_settings(administrator.environment()?).await?;
    Ok(Json(shown(&administrator, &settings)?).into_response())
}

/// `PUT .../mfaSettings`
pub(super) async fn replace(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    body: Bytes,
) -> Result<Response, Refusal> {
    let body: Body = parse(&body)?;
    let put = app.put_mfa_settings(administrator.environment()?, body.settings());
    let settings = administrator.act(put).await?;
    Ok(Json(shown(&administrator, &settings)?).into_response())
}

/// `DELETE .../mfaSettings`
pub(super) async fn reset(
    State(app): State<Arc<App>>,
    administrator: Administrator,
) -> Result<Response, Refusal> {
    administrator.act(app.reset_mfa_settings(administrator.environment()?)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
