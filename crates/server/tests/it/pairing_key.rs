//! Pairing keys: back ends make them, people type them, and the phones on which they do are paired.

use countersign_domain::{device::Device, mfa_settings::MfaSettings};
use countersign_protocol::pairing_key::KeyFormat;
use countersign_sdk::{Error, PairingInfo, PairingRefusal};

use crate::world::World;

mod claims;
mod limits;
mod pushes;
mod refusals;
mod requests;

/// Why the platform does not pair.
#[track_caller]
fn refusal(result: Result<PairingInfo, Error>) -> PairingRefusal {
    match result {
        Err(Error::PairingRefused { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

/// The devices of ann.
async fn devices_of_ann(w: &World) -> Vec<Device> {
    w.server.list_devices(w.bank.environment.id, w.bank.ann.id).await.unwrap()
}

/// What new keys are made of.
async fn make_keys_of(w: &World, pairing_key_format: KeyFormat) {
    let settings = MfaSettings { pairing_key_format, ..MfaSettings::default() };
    w.server.put_mfa_settings(w.bank.environment.id, settings).await.unwrap();
}

/// The reasons under an action of the audit log, in their order.
async fn reasons(w: &World, action: &str) -> Vec<String> {
    let records = w.audit_of(action).await;
    records.into_iter().map(|record| record.entry.event.reason.unwrap_or_default()).collect()
}
