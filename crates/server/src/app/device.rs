//! The devices of a user as administrators see and change them.

use std::collections::BTreeMap;

use countersign_domain::{
    application::Application,
    audit::{Action, Event},
    device::{Device, Event as DeviceEvent, Logs},
    environment::Environment,
    id::Id,
    invalid::{Check, Rule},
    user::User,
};
use countersign_store::{
    Tx, Versioned, Work, application, authenticator, device, device_log, user,
};

use super::{
    AdministerError, App, Call, ChangeDeviceError, DeviceChange, Fault, change_authenticator,
    change_device::change,
};

/// The devices of a user, or some of them.
#[derive(Debug)]
pub struct Devices {
    /// In their order.
    pub devices: Vec<Device>,
    /// The names of the applications that they are paired by.
    pub applications: BTreeMap<Id<Application>, String>,
}

/// Which device: those of a user are found under the user only.
#[derive(Clone, Copy, Debug)]
pub struct OfUser {
    /// The tenant.
    pub environment: Id<Environment>,
    /// Whose it is.
    pub user: Id<User>,
    /// Its id.
    pub device: Id<Device>,
}

/// What an administrator sets of a device.
#[derive(Clone, Debug)]
pub enum DeviceEdit {
    /// It is called this; none: by its model.
    Rename(Option<String>),
    /// Its app is to send its logs.
    RequestLogs,
}

impl From<ChangeDeviceError> for AdministerError {
    fn from(error: ChangeDeviceError) -> Self {
        match error {
            // A device that is removed is there no more.
            ChangeDeviceError::NotFound | ChangeDeviceError::Refused(_) => Self::NotFound,
            ChangeDeviceError::Fault(fault) => Self::Fault(fault),
        }
    }
}

impl App {
    /// The devices of a user.
    pub async fn devices_of(
        &self,
        environment: Id<Environment>,
        user: Id<User>,
    ) -> Result<Devices, AdministerError> {
        self.store.read(List { environment, user, only: None }).await
    }

    /// One of them.
    pub async fn device_of(&self, of: OfUser) -> Result<Devices, AdministerError> {
        let OfUser { environment, user, device } = of;
        self.store.read(List { environment, user, only: Some(device) }).await
    }

    /// Blocks, unblocks, unlocks or removes a device of a user.
    pub async fn change_device_of(
        &self,
        of: OfUser,
        change: DeviceChange,
    ) -> Result<(), AdministerError> {
        let call = self.call(of.environment, "");
        self.store.write(Change { call, of, event: change.into() }).await
    }

    /// Sets something of a device of a user.
    pub async fn edit_device(&self, of: OfUser, edit: DeviceEdit) -> Result<(), AdministerError> {
        let call = self.call(of.environment, "");
        self.store.write(Set { call, of, edit }).await
    }

    /// Puts the devices of a user in an order: first those that are named, then the others by their age.
    pub async fn order_devices(
        &self,
        environment: Id<Environment>,
        user: Id<User>,
        order: Vec<Id<Device>>,
    ) -> Result<(), AdministerError> {
        let call = self.call(environment, "");
        self.store.write(Arrange { call, user, order, told: Action::DevicesOrdered }).await
    }

    /// Lets the devices of a user be in the order of their age.
    pub async fn forget_device_order(
        &self,
        environment: Id<Environment>,
        user: Id<User>,
    ) -> Result<(), AdministerError> {
        let (call, order) = (self.call(environment, ""), Vec::new());
        self.store.write(Arrange { call, user, order, told: Action::DevicesUnordered }).await
    }

    /// What a phone has sent of the logs of its app, as long as it is kept.
    pub async fn device_log(&self, of: OfUser) -> Result<Option<String>, AdministerError> {
        self.store.read(ReadLog { of, now: self.now() }).await
    }
}

async fn require_user(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    id: Id<User>,
) -> Result<Versioned<User>, AdministerError> {
    user::load(tx, environment, id).await?.ok_or(AdministerError::NotFound)
}

async fn load(tx: &mut Tx<'_>, of: OfUser) -> Result<Versioned<Device>, AdministerError> {
    let found = device::load(tx, of.environment, of.device).await?;
    found.filter(|found| found.user == of.user).ok_or(AdministerError::NotFound)
}

struct List {
    environment: Id<Environment>,
    user: Id<User>,
    only: Option<Id<Device>>,
}

impl Work for List {
    type Output = Devices;
    type Error = AdministerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Devices, AdministerError> {
        require_user(tx, self.environment, self.user).await?;
        let mut devices = device::list_of_user(tx, self.user).await?;
        if let Some(only) = self.only {
            devices.retain(|device| device.id == only);
            if devices.is_empty() {
                return Err(AdministerError::NotFound);
            }
        }
        let mut applications = BTreeMap::new();
        for device in &devices {
            let id = device.installation.application;
            if applications.contains_key(&id) {
                continue;
            }
            if let Some(found) = application::load(tx, self.environment, id).await? {
                applications.insert(id, found.name.clone());
            }
        }
        Ok(Devices { devices, applications })
    }
}

struct Change {
    call: Call,
    of: OfUser,
    event: DeviceEvent,
}

impl Work for Change {
    type Output = ();
    type Error = AdministerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), AdministerError> {
        let OfUser { environment, user, device } = self.of;
        // What is no phone is listed nowhere here yet, and can be barred and removed all the same.
        let other = authenticator::load(tx, environment, device).await?;
        if let Some(other) = other.filter(|other| other.user == user) {
            return Ok(change_authenticator::change(tx, &self.call, &other, self.event).await?);
        }
        let old = load(tx, self.of).await?;
        Ok(change(tx, &self.call, &old, self.event).await?)
    }
}

struct Set {
    call: Call,
    of: OfUser,
    edit: DeviceEdit,
}

impl Work for Set {
    type Output = ();
    type Error = AdministerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), AdministerError> {
        let (old, now) = (load(tx, self.of).await?, self.call.now);
        let (new, what) = match &self.edit {
            DeviceEdit::Rename(nickname) => (old.called(nickname.clone())?, "renamed"),
            DeviceEdit::RequestLogs => {
                let until = now.plus_seconds(Logs::REQUEST_SECONDS);
                let logs = Some(Logs::Pending { until });
                (Device { logs, ..(*old).clone() }, "logs_requested")
            }
        };
        if new == *old {
            return Ok(());
        }
        device::swap(tx, &old, &Device { updated_at: Some(now), ..new.clone() }).await?;
        let event = Event::of(Action::DeviceUpdated, Some(what)).about(new.user).on(&new);
        Ok(self.call.audit(tx, event.through(new.installation.application)).await?)
    }
}

struct Arrange {
    call: Call,
    user: Id<User>,
    order: Vec<Id<Device>>,
    told: Action,
}

impl Work for Arrange {
    type Output = ();
    type Error = AdministerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), AdministerError> {
        let user = require_user(tx, self.call.environment, self.user).await?;
        let devices = device::list_versions_of_user(tx, self.user).await?;
        let mut check = Check::default();
        for (at, id) in self.order.iter().enumerate() {
            let is_first = self.order.iter().position(|other| other == id) == Some(at);
            let is_own = devices.iter().any(|device| device.id == *id);
            check.within(&format!("order[{at}]"), |entry| {
                entry.require(is_own, "id", Rule::Unknown);
                entry.require(is_first, "id", Rule::Unique);
            });
        }
        check.finish()?;
        let mut has_changed = false;
        for old in &devices {
            let place = self.order.iter().position(|id| *id == old.id);
            let place = place.and_then(|place| u8::try_from(place).ok());
            if place != old.place {
                device::swap(tx, old, &old.placed(place, self.call.now)).await?;
                has_changed = true;
            }
        }
        if has_changed {
            self.call.audit(tx, Event::succeeded(self.told).about(&*user)).await?;
        }
        Ok(())
    }
}

struct ReadLog {
    of: OfUser,
    now: countersign_protocol::time::Timestamp,
}

impl Work for ReadLog {
    type Output = Option<String>;
    type Error = AdministerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<String>, AdministerError> {
        let found = load(tx, self.of).await?;
        Ok(device_log::load(tx, found.id, self.now).await?)
    }
}

/// Removes the devices of a user who is to be deleted: their phones learn of it, and what waits for them ends.
pub(super) async fn remove_all(tx: &mut Tx<'_>, call: &Call, user: Id<User>) -> Result<(), Fault> {
    for old in device::list_versions_of_user(tx, user).await? {
        let event = DeviceEvent::Remove { reason: "user_deleted" };
        match change(tx, call, &old, event).await {
            Ok(()) => {}
            Err(ChangeDeviceError::Fault(fault)) => return Err(fault),
            Err(error) => return Err(Fault::broken(error.to_string())),
        }
    }
    Ok(())
}
