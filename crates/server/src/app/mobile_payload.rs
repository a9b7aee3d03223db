//! Takes a mobile payload: which phone has signed it, and that it counts once.

use countersign_domain::{application::Application, audit, id::Id, installation::Installation};
use countersign_protocol::{
    mobile_payload::MobilePayload,
    proof::{ProofError, Verified},
};
use countersign_store::{StoreError, Tx, spent_proof, spent_proof::Spending};

use super::Call;

/// A payload whose signature was checked before the transaction, which must not wait for it.
pub(super) type Presented = Result<Verified<MobilePayload>, ProofError>;

/// The phone that signed a payload for this application, which is named in refusals as the request names it. The payload is
/// spent. A refusal, in words, is committed with what the audit log is told of it.
pub(super) async fn take(
    tx: &mut Tx<'_>,
    call: &Call,
    presented: &Presented,
    (application, named): (Id<Application>, &str),
) -> Result<Result<Installation, String>, StoreError> {
    let payload = match presented {
        Err(error) => return Ok(Err(format!("mobilePayload: {error}"))),
        Ok(payload) => payload,
    };
    let installation = Installation::of(payload.clone())
        .filter(|installation| installation.application == application);
    let Some(installation) = installation else {
        return Ok(Err(format!("mobilePayload: proof.app.id must equal {named}")));
    };
    let key = spent_proof::Key::of(call.environment, payload);
    match spent_proof::spend(tx, &key).await? {
        Spending::First => Ok(Ok(installation)),
        Spending::Again { .. } | Spending::Clash => {
            let event = audit::Event::failed(audit::Action::DevicePayloadRefused, "replayed");
            call.audit(tx, event.through(application)).await?;
            Ok(Err("mobilePayload: proof.jti was used already".to_owned()))
        }
    }
}
