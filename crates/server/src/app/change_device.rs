//! Blocks, unblocks, unlocks and removes devices, and lists them.

use countersign_domain::{
    audit,
    device::{self as devices, Device, Effect, Event},
    environment::Environment,
    id::Id,
    user::User,
};
use countersign_store::{
    StoreError, Tx, Versioned, Work, authenticator, device, device_log, wakes,
};

use super::{
    App, Call, Fault,
    challenge::{cancel_of_device, phone_topic},
    change_authenticator,
    fault::faults,
};

/// What an administrator does to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceChange {
    /// It no longer vouches.
    Block,
    /// It vouches again.
    Unblock,
    /// A lock by wrong passcodes ends.
    Unlock,
    /// It is no longer paired.
    Remove,
}

impl From<DeviceChange> for Event {
    fn from(change: DeviceChange) -> Self {
        match change {
            DeviceChange::Block => Self::Block,
            DeviceChange::Unblock => Self::Unblock,
            DeviceChange::Unlock => Self::Unlock,
            DeviceChange::Remove => Self::Remove { reason: "removed_by_administrator" },
        }
    }
}

/// Why a device was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeDeviceError {
    /// The user has no such device.
    #[error("no such device")]
    NotFound,
    /// The device is not in a state for it.
    #[error(transparent)]
    Refused(#[from] devices::Refusal),
    /// It could not be decided.
    #[error(transparent)]
    Fault(Fault),
}

faults!(ChangeDeviceError);

impl App {
    /// Changes a device of a user.
    pub async fn change_device(
        &self,
        environment: Id<Environment>,
        device: Id<Device>,
        change: DeviceChange,
    ) -> Result<(), ChangeDeviceError> {
        let call = self.call(environment, "");
        self.store.write(Change { call, device, event: change.into() }).await
    }

    /// The phones of a user, in their order.
    pub async fn list_devices(
        &self,
        environment: Id<Environment>,
        user: Id<User>,
    ) -> Result<Vec<Device>, Fault> {
        let devices = self.store.read(List { user }).await?;
        Ok(devices.into_iter().filter(|device| device.environment == environment).collect())
    }
}

struct Change {
    call: Call,
    device: Id<Device>,
    event: Event,
}

impl Work for Change {
    type Output = ();
    type Error = ChangeDeviceError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), ChangeDeviceError> {
        let old = device::load(tx, self.call.environment, self.device).await?;
        if let Some(old) = old {
            return change(tx, &self.call, &old, self.event).await;
        }
        let old = authenticator::load(tx, self.call.environment, self.device).await?;
        let old = old.ok_or(ChangeDeviceError::NotFound)?;
        change_authenticator::change(tx, &self.call, &old, self.event).await
    }
}

/// Applies an event to a device and commits what follows from it.
pub(super) async fn change(
    tx: &mut Tx<'_>,
    call: &Call,
    old: &Versioned<Device>,
    event: Event,
) -> Result<(), ChangeDeviceError> {
    change_as_said(tx, call, old, event, Said(None)).await
}

/// What a service outside has said that led to a change, word for word.
#[derive(Clone, Copy)]
pub(super) struct Said<'a>(pub Option<&'a str>);

/// Like [`change`], by the word of a service outside.
pub(super) async fn change_as_said(
    tx: &mut Tx<'_>,
    call: &Call,
    old: &Versioned<Device>,
    event: Event,
    Said(said): Said<'_>,
) -> Result<(), ChangeDeviceError> {
    let step = devices::apply(&old.state, event, call.now)?;
    let deletes = step.effects.contains(&Effect::Delete);
    if deletes {
        device_log::delete(tx, old.id).await?;
        device::delete(tx, old).await?;
    } else if step.state != old.state {
        let (state, updated_at) = (step.state.clone(), Some(call.now));
        device::swap(tx, old, &Device { state, updated_at, ..(**old).clone() }).await?;
    }
    for effect in step.effects {
        let Effect::Audit { action, reason } = effect else { continue };
        let event = audit::Event::of(action, reason).about(old.user).on(&**old);
        let event = match said {
            Some(said) => event.as_said(said),
            None => event,
        };
        call.audit(tx, event.through(old.installation.application)).await?;
    }
    if !step.state.is_usable(call.now) {
        Box::pin(cancel_of_device(tx, call, old)).await?;
        // Whoever listens in its name looks whether it still may.
        wakes::wake(tx, phone_topic(old.installation.thumbprint), call.now).await?;
    }
    Ok(())
}

struct List {
    user: Id<User>,
}

impl Work for List {
    type Output = Vec<Device>;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<Device>, StoreError> {
        device::list_of_user(tx, self.user).await
    }
}
