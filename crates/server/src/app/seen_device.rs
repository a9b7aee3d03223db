//! A device as it is shown: paired phones and other authenticators alike.

use countersign_domain::{
    application::Application,
    authenticator::{AnyDevice, Authenticator, Kind},
    device::{Device, State},
    id::Id,
};
use countersign_protocol::{mobile_payload::DeviceFacts, time::Timestamp};

/// A device of a user.
#[derive(Clone, Debug)]
pub struct SeenDevice {
    /// Its id.
    pub id: Id<Device>,
    /// What it is.
    pub kind: SeenKind,
    /// What its user calls it.
    pub nickname: Option<String>,
    /// When it was paired.
    pub created_at: Timestamp,
    /// Whether it may vouch.
    pub state: State,
}

/// What a device is.
#[derive(Clone, Debug)]
pub enum SeenKind {
    /// A phone with the app of this application.
    Phone { application: Id<Application>, facts: Box<DeviceFacts> },
    /// An authenticator app.
    Totp,
    /// Recovery codes, of which so many are left.
    RecoveryCodes { left: usize },
    /// A mail address, masked.
    Email { to: String },
    /// A phone number that gets text messages, masked.
    Sms { to: String },
    /// A phone number that is called, masked.
    Voice { to: String },
}

impl SeenDevice {
    /// A device, unless its user has not activated it yet.
    #[must_use]
    pub fn of(device: AnyDevice<'_>) -> Option<Self> {
        let state = device.state()?.clone();
        Some(match device {
            AnyDevice::Phone(Device { id, installation, nickname, created_at, .. }) => {
                let facts = Box::new(installation.device.clone());
                let kind = SeenKind::Phone { application: installation.application, facts };
                Self { id: *id, kind, nickname: nickname.clone(), created_at: *created_at, state }
            }
            AnyDevice::Authenticator(Authenticator { id, kind, nickname, created_at, .. }) => {
                let kind = match kind {
                    Kind::Totp { .. } => SeenKind::Totp,
                    Kind::RecoveryCodes { hashes } => {
                        SeenKind::RecoveryCodes { left: hashes.len() }
                    }
                    Kind::Email(target) => SeenKind::Email { to: target.masked() },
                    Kind::Sms(target) => SeenKind::Sms { to: target.masked() },
                    Kind::Voice(target) => SeenKind::Voice { to: target.masked() },
                };
                Self { id: *id, kind, nickname: nickname.clone(), created_at: *created_at, state }
            }
        })
    }

    /// Its name as a type of devices (platform API, section 9.2).
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self.kind {
            SeenKind::Phone { .. } => "MOBILE",
            SeenKind::Totp => "TOTP",
            SeenKind::RecoveryCodes { .. } => "RECOVERY_CODES",
            SeenKind::Email { .. } => "EMAIL",
            SeenKind::Sms { .. } => "SMS",
            SeenKind::Voice { .. } => "VOICE",
        }
    }

    /// What people call it if its user has given it no name, where that says something.
    #[must_use]
    pub fn label(&self) -> Option<&str> {
        match &self.kind {
            SeenKind::Phone { facts, .. } => facts.model.as_deref(),
            SeenKind::Totp => Some("Authenticator app"),
            SeenKind::RecoveryCodes { .. } => Some("Recovery codes"),
            SeenKind::Email { to } | SeenKind::Sms { to } | SeenKind::Voice { to } => Some(to),
        }
    }

    /// Whoever has only named a user can choose among that user's devices, and learns nothing about them.
    pub(super) fn conceal(&mut self) {
        self.nickname = None;
        match &mut self.kind {
            SeenKind::Phone { facts, .. } => facts.model = None,
            SeenKind::Email { to } => "Your e-mail".clone_into(to),
            SeenKind::Sms { to } | SeenKind::Voice { to } => "Your phone".clone_into(to),
            SeenKind::Totp | SeenKind::RecoveryCodes { .. } => {}
        }
    }
}
