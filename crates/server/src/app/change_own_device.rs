//! Renames, moves and removes devices on the wish of their user, who must have proved enough for that, and lately.

use std::sync::Arc;

use countersign_domain::{
    account::{self, Standing},
    audit::{self, Action, Actors, Mentionable},
    authenticator::{AnyDevice, Authenticator},
    device::{self as devices, Device, Event, Move},
    id::Id,
    invalid::Invalid,
};
use countersign_store::{Tx, Work, authenticator, device};

use super::{
    App, Call, Fault, Realm, change_authenticator,
    change_device::{ChangeDeviceError, change},
    fault::faults,
    holdings::{Held, Holdings},
    read_account::{AccountVisit, Entered, Present, enter},
};

/// What a person does to one of the own devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnDeviceChange {
    /// It is called this; none: by its model.
    Rename(Option<String>),
    /// It goes to another place; the first is asked where the person does not choose.
    Move(Move),
    /// It is no longer paired.
    Remove,
}

/// A change, as it came.
#[derive(Clone, Debug)]
pub struct ChangeOwnDevice {
    /// The browser.
    pub visit: AccountVisit,
    /// Which device.
    pub device: Id<Device>,
    /// Its version when the person saw it.
    pub version: i64,
    /// What is to become of it.
    pub change: OwnDeviceChange,
    /// The name under which the request is logged.
    pub correlation: String,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeOwnDeviceError {
    /// Nobody is signed in here any more.
    #[error("nobody is signed in")]
    SignedOut,
    /// Too little was proved, or too long ago.
    #[error("a device must vouch first")]
    Unproved,
    /// No device can vouch now.
    #[error("no device can vouch now")]
    Barred,
    /// The device is not what the person saw, or is gone.
    #[error("the device has changed meanwhile")]
    Stale,
    /// It cannot be called that.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The device is blocked or locked.
    #[error(transparent)]
    Refused(devices::Refusal),
    /// It could not be decided.
    #[error(transparent)]
    Fault(Fault),
}

faults!(ChangeOwnDeviceError);

impl From<ChangeDeviceError> for ChangeOwnDeviceError {
    fn from(error: ChangeDeviceError) -> Self {
        match error {
            ChangeDeviceError::NotFound => Self::Stale,
            ChangeDeviceError::Refused(refusal) => Self::Refused(refusal),
            ChangeDeviceError::Fault(fault) => Self::Fault(fault),
        }
    }
}

impl App {
    /// Changes a device of the person who is signed in at this browser.
    pub async fn change_own_device(
        &self,
        realm: &Arc<Realm>,
        request: ChangeOwnDevice,
    ) -> Result<(), ChangeOwnDeviceError> {
        let call = self.call(realm.environment, &request.correlation);
        self.store.write(ChangeOwn { realm: Arc::clone(realm), call, request }).await
    }
}

struct ChangeOwn {
    realm: Arc<Realm>,
    call: Call,
    request: ChangeOwnDevice,
}

impl Work for ChangeOwn {
    type Output = ();
    type Error = ChangeOwnDeviceError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), ChangeOwnDeviceError> {
        let entered = enter(tx, &self.realm, &self.request.visit, self.call.now).await?;
        let Entered::Present(present) = entered else {
            return Err(ChangeOwnDeviceError::SignedOut);
        };
        let all = Holdings::load(tx, present.user.id).await?;
        require_proof(&present, &all, &self.call)?;
        let old = all.find(self.request.device);
        let old = old.filter(|old| old.version() == self.request.version);
        let old = old.ok_or(ChangeOwnDeviceError::Stale)?;
        let call = on_behalf_of(&self.call, &present);
        match &self.request.change {
            OwnDeviceChange::Rename(nickname) => rename(tx, &call, old, nickname.as_ref()).await,
            OwnDeviceChange::Move(to) => {
                let order = all.all().into_iter();
                let order = order.filter(|device| device.state().is_some());
                let order: Vec<_> = order.map(AnyDevice::id).collect();
                let moved = devices::moved(&order, self.request.device, *to);
                let Some(order) = moved else { return Ok(()) };
                place(tx, &all, &order).await?;
                tell(tx, &call, old.any(), "moved").await
            }
            // As a phone says it of itself: one that is barred must not come back by being paired anew.
            OwnDeviceChange::Remove => {
                let event = Event::Unpair { reason: "removed_by_user" };
                match old {
                    Held::Phone(old) => change(tx, &call, old, event).await?,
                    Held::Authenticator(old) => {
                        change_authenticator::change(tx, &call, old, event).await?;
                    }
                }
                Ok(())
            }
        }
    }
}

async fn rename(
    tx: &mut Tx<'_>,
    call: &Call,
    old: Held<'_>,
    nickname: Option<&String>,
) -> Result<(), ChangeOwnDeviceError> {
    match old {
        Held::Phone(old) => {
            let new = old.called(nickname.cloned())?;
            if new.nickname == old.nickname {
                return Ok(());
            }
            device::swap(tx, old, &new).await?;
            tell(tx, call, AnyDevice::Phone(&new), "renamed").await
        }
        Held::Authenticator(old) => {
            let new = old.called(nickname.cloned())?;
            if new.nickname == old.nickname {
                return Ok(());
            }
            authenticator::swap(tx, old, &new).await?;
            tell(tx, call, AnyDevice::Authenticator(&new), "renamed").await
        }
    }
}

/// Whether the person may change devices now.
pub(super) fn require_proof(
    present: &Present,
    all: &Holdings,
    call: &Call,
) -> Result<(), ChangeOwnDeviceError> {
    match account::standing(&present.identity, &all.all(), call.now) {
        Standing::Proved => Ok(()),
        Standing::Unproved => Err(ChangeOwnDeviceError::Unproved),
        Standing::Barred => Err(ChangeOwnDeviceError::Barred),
    }
}

/// The call as one of the person on the page of the account: the audit log names these and not the app of the device.
pub(super) fn on_behalf_of(call: &Call, present: &Present) -> Call {
    let client = account::application(call.environment).mention();
    let client = client.map(|own| audit::Mention { name: Some(account::NAME.to_owned()), ..own });
    let actors = Actors { client, user: (&*present.user).mention(), platform: None };
    Call { origin: call.origin.clone().by(actors), ..call.clone() }
}

/// Gives all devices of a user their places.
async fn place(
    tx: &mut Tx<'_>,
    all: &Holdings,
    order: &[Id<Device>],
) -> Result<(), ChangeOwnDeviceError> {
    for (place, id) in (0_u8..).zip(order) {
        match all.find(*id) {
            Some(Held::Phone(old)) if old.place != Some(place) => {
                device::swap(tx, old, &Device { place: Some(place), ..(**old).clone() }).await?;
            }
            Some(Held::Authenticator(old)) if old.place != Some(place) => {
                let new = Authenticator { place: Some(place), ..(**old).clone() };
                authenticator::swap(tx, old, &new).await?;
            }
            Some(Held::Phone(_) | Held::Authenticator(_)) | None => {}
        }
    }
    Ok(())
}

async fn tell(
    tx: &mut Tx<'_>,
    call: &Call,
    device: AnyDevice<'_>,
    what: &'static str,
) -> Result<(), ChangeOwnDeviceError> {
    let event = audit::Event::of(Action::DeviceUpdated, Some(what)).on(device);
    let event = match device {
        AnyDevice::Phone(phone) => event.about(phone.user).through(phone.installation.application),
        AnyDevice::Authenticator(authenticator) => event.about(authenticator.user),
    };
    Ok(call.audit(tx, event).await?)
}
