//! Authentication codes: back ends show them, phones read them and say who signs on.

use countersign_domain::device::Device;
use countersign_sdk::{AuthenticationObject, CodeRefusal, Error};
use countersign_server::app::DeviceChange;

use crate::world::{Phone, ShownCode, World};

mod claims;
mod decisions;
mod limits;
mod requests;
mod statuses;

/// What a phone gets that reads a code.
async fn read(phone: &Phone, code: &ShownCode) -> AuthenticationObject {
    phone.sdk.authenticate(code.uri()).await.unwrap()
}

/// Why the platform does not take a code, or the answer to it.
#[track_caller]
fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> CodeRefusal {
    match result {
        Err(Error::CodeRefused { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

/// The first device of ann.
async fn device_of_ann(w: &World) -> Device {
    let environment = w.bank.environment.id;
    w.server.list_devices(environment, w.bank.ann.id).await.unwrap().remove(0)
}

/// Changes the first device of ann.
async fn change_device_of_ann(w: &World, change: DeviceChange) {
    let device = device_of_ann(w).await;
    w.server.change_device(w.bank.environment.id, device.id, change).await.unwrap();
}

/// The reasons in the audit log, in the order of the alphabet: time stands still. What did not succeed begins with an exclamation mark.
async fn reasons(w: &World) -> Vec<String> {
    let records = w.audit_of("AUTHENTICATION_CODE.UPDATED").await;
    let events = records.into_iter().map(|record| record.entry.event);
    let told = events.map(|event| {
        let mark = if event.succeeded { "" } else { "!" };
        format!("{mark}{}", event.reason.unwrap_or_default())
    });
    let mut told: Vec<_> = told.collect();
    told.sort();
    told
}
