//! What an emulated phone says of itself where the SDK would be too much: in crowds and under load.

use countersign_protocol::{
    jwk::EcPublicKey,
    mobile_payload::{AppFacts, Confirmation, DeviceFacts, MobilePayload, Platform, PushAddress},
};

/// The body of a mobile payload of an Android phone with this possession key, on which an application's app of this package is
/// installed.
#[must_use]
pub fn payload(
    key: EcPublicKey,
    (application, package): (&str, &str),
    push: Option<PushAddress>,
) -> MobilePayload {
    MobilePayload {
        cnf: Confirmation { jwk: key },
        app: AppFacts {
            id: application.to_owned(),
            package: Some(package.to_owned()),
            version: Some("1.0.0".to_owned()),
            platform: Platform::Android,
        },
        dev: DeviceFacts {
            manufacturer: Some(MANUFACTURER.to_owned()),
            model: Some(MODEL.to_owned()),
            os_version: Some("16".to_owned()),
            locale: Some("en-GB".to_owned()),
            sdk_version: env!("CARGO_PKG_VERSION").to_owned(),
            screen_lock: Some(true),
            rooted: Some(false),
        },
        push,
    }
}

/// Maker of emulated phones.
pub(crate) const MANUFACTURER: &str = "Countersign";

/// Model of emulated phones.
pub(crate) const MODEL: &str = "Emulated phone";
