//! Audit: who did what to what, committed with the change itself.

use countersign_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    application::Application, device::Device, environment::Environment, id::Id, user::User,
};

/// One line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its id; time-ordered.
    pub id: Id<Record>,
    /// The tenant.
    pub environment: Id<Environment>,
    /// When it was written.
    pub recorded_at: Timestamp,
    /// What the answer to the caller and the log carry too.
    pub correlation: String,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened, before it is known when and in which request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The action.
    pub action: Action,
    /// Whether it succeeded.
    pub succeeded: bool,
    /// Why, in words that stay the same: `push_unregistered`, `limit_reached`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The application through which it happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<Id<Application>>,
    /// The user that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Id<User>>,
    /// The device that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<Id<Device>>,
    /// The `kid` of the signing key that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// The actions, in the vendor's words, which administrators know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// A sign-on began.
    #[serde(rename = "FLOW.CREATED")]
    FlowCreated,
    /// A sign-on succeeded.
    #[serde(rename = "USER.ACCESS_ALLOWED")]
    AccessAllowed,
    /// A sign-on failed.
    #[serde(rename = "USER.ACCESS_DENIED")]
    AccessDenied,
    /// A user was made.
    #[serde(rename = "USER.CREATED")]
    UserCreated,
    /// An administrator set a password.
    #[serde(rename = "PASSWORD.SET")]
    PasswordSet,
    /// A password was right.
    #[serde(rename = "PASSWORD.CHECK_SUCCEEDED")]
    PasswordCheckSucceeded,
    /// A password was wrong or locked.
    #[serde(rename = "PASSWORD.CHECK_FAILED")]
    PasswordCheckFailed,
    /// A user replaced a password that had to be changed.
    #[serde(rename = "PASSWORD.RESET")]
    PasswordReset,
    /// A passcode was right.
    #[serde(rename = "OTP.CHECK_SUCCESS")]
    PasscodeCheckSucceeded,
    /// A passcode was wrong.
    #[serde(rename = "OTP.CHECK_FAILED")]
    PasscodeCheckFailed,
    /// An authorization code or a refresh token came twice, and what it gave was revoked.
    #[serde(rename = "GRANT.REUSED")]
    GrantReused,
    /// An application gave up its tokens.
    #[serde(rename = "GRANT.REVOKED")]
    GrantRevoked,
    /// A paired phone passed an MFA step by itself.
    #[serde(rename = "DEVICE_PAYLOAD.CHECK_SUCCESS")]
    DeviceAuthorized,
    /// A mobile payload was good and did not count, because it had counted before.
    #[serde(rename = "DEVICE_PAYLOAD.CHECK_INVALID")]
    DevicePayloadRefused,
    /// A device was paired.
    #[serde(rename = "DEVICE.CREATED")]
    DeviceCreated,
    /// A person refused to pair, or a pairing failed.
    #[serde(rename = "DEVICE.ACTIVATION_FAILED")]
    DeviceActivationFailed,
    /// A rooted phone was not offered to pair.
    #[serde(rename = "DEVICE.PAIRING_FAILED_COMPROMISED")]
    DevicePairingFailedCompromised,
    /// A device was removed.
    #[serde(rename = "DEVICE.DELETED")]
    DeviceDeleted,
    /// An administrator blocked a device.
    #[serde(rename = "DEVICE.BLOCKED")]
    DeviceBlocked,
    /// An administrator unblocked a device.
    #[serde(rename = "DEVICE.UNBLOCKED")]
    DeviceUnblocked,
    /// Wrong passcodes locked a device.
    #[serde(rename = "DEVICE.LOCKED")]
    DeviceLocked,
    /// An administrator ended a lock.
    #[serde(rename = "DEVICE.UNLOCKED")]
    DeviceUnlocked,
    /// Wrong passcodes over all devices locked a user's MFA.
    #[serde(rename = "USER.LOCKED")]
    UserLocked,
    /// A session began.
    #[serde(rename = "SESSION.CREATED")]
    SessionCreated,
    /// Somebody proved something more in a session.
    #[serde(rename = "SESSION.UPDATED")]
    SessionUpdated,
    /// A session was ended.
    #[serde(rename = "SESSION.DELETED")]
    SessionDeleted,
    /// An application could not be told that a session has ended.
    #[serde(rename = "SESSION.LOGOUT_TOKEN_FAILED")]
    LogoutTokenFailed,
    /// A signing key was made and published.
    #[serde(rename = "KEY.CREATED")]
    KeyCreated,
    /// A signing key signs from now on, in place of the one before.
    #[serde(rename = "KEY.ROTATED")]
    KeyRotated,
    /// A signing key is no longer published.
    #[serde(rename = "KEY.DELETED")]
    KeyDeleted,
}

impl Action {
    /// Whether the action is itself a failure: its name says so, and so does the record.
    const fn is_failure(self) -> bool {
        match self {
            Self::AccessDenied
            | Self::PasswordCheckFailed
            | Self::PasscodeCheckFailed
            | Self::GrantReused
            | Self::DevicePayloadRefused
            | Self::DeviceActivationFailed
            | Self::DevicePairingFailedCompromised
            | Self::LogoutTokenFailed => true,
            Self::FlowCreated
            | Self::AccessAllowed
            | Self::UserCreated
            | Self::PasswordSet
            | Self::PasswordCheckSucceeded
            | Self::PasswordReset
            | Self::PasscodeCheckSucceeded
            | Self::GrantRevoked
            | Self::DeviceAuthorized
            | Self::DeviceCreated
            | Self::DeviceDeleted
            | Self::DeviceBlocked
            | Self::DeviceUnblocked
            | Self::DeviceLocked
            | Self::DeviceUnlocked
            | Self::UserLocked
            | Self::SessionCreated
            | Self::SessionUpdated
            | Self::SessionDeleted
            | Self::KeyCreated
            | Self::KeyRotated
            | Self::KeyDeleted => false,
        }
    }
}

impl Event {
    /// What a machine tells by its effects.
    #[must_use]
    pub fn of(action: Action, reason: Option<&'static str>) -> Self {
        let succeeded = !action.is_failure();
        Self { succeeded, reason: reason.map(str::to_owned), ..Self::succeeded(action) }
    }

    /// Something that succeeded.
    #[must_use]
    pub const fn succeeded(action: Action) -> Self {
        Self {
            action,
            succeeded: true,
            reason: None,
            application: None,
            user: None,
            device: None,
            key: None,
        }
    }

    /// Something that failed, and why.
    #[must_use]
    pub fn failed(action: Action, reason: impl Into<String>) -> Self {
        Self { succeeded: false, reason: Some(reason.into()), ..Self::succeeded(action) }
    }

    /// Adds the application.
    #[must_use]
    pub fn through(self, application: Id<Application>) -> Self {
        Self { application: Some(application), ..self }
    }

    /// Adds the user.
    #[must_use]
    pub fn about(self, user: impl Into<Option<Id<User>>>) -> Self {
        Self { user: user.into(), ..self }
    }

    /// Adds the device.
    #[must_use]
    pub fn on(self, device: impl Into<Option<Id<Device>>>) -> Self {
        Self { device: device.into(), ..self }
    }

    /// Adds the signing key.
    #[must_use]
    pub fn of_key(self, kid: &str) -> Self {
        Self { key: Some(kid.to_owned()), ..self }
    }
}
