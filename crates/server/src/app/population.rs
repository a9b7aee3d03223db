//! Populations: their rules among the things around them.

use countersign_domain::{
    audit::{Action, Resource},
    invalid::Invalid,
    population::Population,
};
use countersign_protocol::time::Timestamp;
use countersign_store::{Tx, population};

use super::{
    AdministerError,
    configure::{Administered, Events, HasDefault, keep_default, settle_default},
};

impl Administered for Population {
    const EVENTS: Events = Events {
        created: Action::PopulationCreated,
        updated: Action::PopulationUpdated,
        deleted: Action::PopulationDeleted,
    };

    fn resource(&self) -> Resource {
        self.into()
    }

    fn validate(&self) -> Result<(), Invalid> {
        Self::validate(self)
    }

    fn touch(&mut self, now: Timestamp) {
        self.updated_at = now;
    }

    async fn settle(&self, old: Option<&Self>, tx: &mut Tx<'_>) -> Result<(), AdministerError> {
        settle_default(self, old, tx).await
    }

    async fn release(&self, tx: &mut Tx<'_>) -> Result<(), AdministerError> {
        keep_default(self)?;
        if population::has_users(tx, self.id).await? {
            return Err(AdministerError::InUse { by: "users who are in it" });
        }
        Ok(())
    }
}

impl HasDefault for Population {
    fn is_default(&self) -> bool {
        self.default
    }

    fn set_default(&mut self, is_default: bool) {
        self.default = is_default;
    }
}
