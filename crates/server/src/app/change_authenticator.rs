//! Applies an event to an authenticator, and commits what follows from it.

use countersign_domain::{
    audit,
    authenticator::{self as authenticators, Authenticator, Refusal},
    device::{Effect, Event},
    environment::Environment,
    id::Id,
    user::User,
};
use countersign_store::{StoreError, Tx, Versioned, Work, authenticator};

use super::{App, Call, Fault, change_device::ChangeDeviceError};

/// Applies an event.
pub(super) async fn change(
    tx: &mut Tx<'_>,
    call: &Call,
    old: &Versioned<Authenticator>,
    event: Event,
) -> Result<(), ChangeDeviceError> {
    let step = match authenticators::apply(&old.state, event, call.now) {
        Ok(step) => step,
        Err(Refusal::Device(refusal)) => return Err(refusal.into()),
        // To everybody but its user, who is about to activate it, it is not there.
        Err(Refusal::NotActivated | Refusal::TooLate) => return Err(ChangeDeviceError::NotFound),
    };
    if step.effects.contains(&Effect::Delete) {
        authenticator::delete(tx, old).await?;
    } else if step.state != old.state {
        let new = Authenticator { state: step.state.clone(), ..(**old).clone() };
        authenticator::swap(tx, old, &new).await?;
    }
    tell(tx, call, old, &step.effects).await?;
    Ok(())
}

/// Writes what there is to tell of a change into the audit log.
pub(super) async fn tell(
    tx: &mut Tx<'_>,
    call: &Call,
    of: &Authenticator,
    effects: &[Effect],
) -> Result<(), StoreError> {
    for effect in effects {
        let Effect::Audit { action, reason } = effect else { continue };
        call.audit(tx, audit::Event::of(*action, *reason).about(of.user).on(of)).await?;
    }
    Ok(())
}

impl App {
    /// What a user can be asked for beside phones, the oldest first. What is not activated is not there yet.
    pub async fn list_authenticators(
        &self,
        environment: Id<Environment>,
        user: Id<User>,
    ) -> Result<Vec<Authenticator>, Fault> {
        let mut found = self.store.read(List { user }).await?;
        found.retain(|found| found.environment == environment && found.device_state().is_some());
        Ok(found)
    }
}

struct List {
    user: Id<User>,
}

impl Work for List {
    type Output = Vec<Authenticator>;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<Authenticator>, StoreError> {
        authenticator::list_of_user(tx, self.user).await
    }
}
