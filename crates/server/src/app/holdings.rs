//! What a user has: all phones and authenticators, to change them.

use countersign_domain::{
    authenticator::{AnyDevice, Authenticator},
    device::Device,
    id::Id,
    user::User,
};
use countersign_store::{StoreError, Tx, Versioned, authenticator, device};

/// All devices of a user.
pub(super) struct Holdings {
    pub phones: Vec<Versioned<Device>>,
    pub authenticators: Vec<Versioned<Authenticator>>,
}

/// One of them.
#[derive(Clone, Copy)]
pub(super) enum Held<'a> {
    Phone(&'a Versioned<Device>),
    Authenticator(&'a Versioned<Authenticator>),
}

impl Holdings {
    /// Reads them.
    pub async fn load(tx: &mut Tx<'_>, user: Id<User>) -> Result<Self, StoreError> {
        let phones = device::list_versions_of_user(tx, user).await?;
        let authenticators = authenticator::list_versions_of_user(tx, user).await?;
        Ok(Self { phones, authenticators })
    }

    /// All of them, in the user's order.
    pub fn all(&self) -> Vec<AnyDevice<'_>> {
        let phones = self.phones.iter().map(|phone| &**phone);
        AnyDevice::all(phones, self.authenticators.iter().map(|known| &**known))
    }

    /// How many count.
    pub fn count(&self) -> usize {
        self.all().into_iter().filter(|device| device.counts()).count()
    }

    /// The one of this id.
    pub fn find(&self, id: Id<Device>) -> Option<Held<'_>> {
        let phone = self.phones.iter().find(|phone| phone.id == id).map(Held::Phone);
        phone.or_else(|| {
            self.authenticators.iter().find(|known| known.id == id).map(Held::Authenticator)
        })
    }
}

impl<'a> Held<'a> {
    /// It, whatever it is.
    pub fn any(self) -> AnyDevice<'a> {
        match self {
            Self::Phone(phone) => AnyDevice::Phone(phone),
            Self::Authenticator(authenticator) => AnyDevice::Authenticator(authenticator),
        }
    }

    /// What a change must still find.
    pub const fn version(self) -> i64 {
        match self {
            Self::Phone(phone) => phone.version(),
            Self::Authenticator(authenticator) => authenticator.version(),
        }
    }
}
