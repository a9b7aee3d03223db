//! Installations: what a mobile payload, once verified, says about the phone that signed it.

use countersign_protocol::{
    jwk::{EcPublicKey, Thumbprint, deserialize_kept},
    mobile_payload::{DeviceFacts, MobilePayload, Platform, PushAddress},
    proof::Verified,
};
use serde::{Deserialize, Serialize};

use crate::{application::Application, id::Id};

/// One copy of an app on one phone. The key is proved; everything else is what the app says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installation {
    /// Names the installation: RFC 7638 thumbprint of `key`.
    pub thumbprint: Thumbprint,
    /// The possession key.
    #[serde(deserialize_with = "deserialize_kept")]
    pub key: EcPublicKey,
    /// The native application.
    pub application: Id<Application>,
    /// What it runs on.
    pub platform: Platform,
    /// Android package or iOS bundle id, as the app says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// Version of the app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The phone.
    pub device: DeviceFacts,
    /// Where it can be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push: Option<PushAddress>,
}

impl Installation {
    /// What a verified payload says, or nothing if its application id is none.
    #[must_use]
    pub fn of(payload: Verified<MobilePayload>) -> Option<Self> {
        let (thumbprint, key) = (payload.thumbprint(), *payload.key());
        let MobilePayload { app, dev, push, .. } = payload.into_body();
        let application = app.id.parse().ok()?;
        let (platform, package, version) = (app.platform, app.package, app.version);
        Some(Self { thumbprint, key, application, platform, package, version, device: dev, push })
    }
}
