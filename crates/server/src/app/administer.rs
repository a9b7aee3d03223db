//! What administrators are told, and by which names they find environments and applications.

use countersign_domain::{
    application::Application,
    environment::Environment,
    id::Id,
    invalid::{Invalid, Rule},
};
use countersign_store::{StoreError, Tx, Work, application, environment};

use super::{App, Fault};
use crate::keys::KeyError;

/// Why something was not stored.
#[derive(Debug, thiserror::Error)]
pub enum AdministerError {
    /// A value breaks rules.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// There is no such thing in this environment.
    #[error("nothing with that name or id is there")]
    NotFound,
    /// Something refers to it, so it stays.
    #[error("it is used by {by}")]
    InUse {
        /// Who uses it.
        by: &'static str,
    },
    /// It must be there.
    #[error("{why}")]
    Kept {
        /// Why, in a sentence.
        why: &'static str,
    },
    /// The caller may not do this.
    #[error("the roles of the caller must allow to {what}")]
    Forbidden {
        /// What is not allowed.
        what: &'static str,
    },
    /// It could not be decided.
    #[error(transparent)]
    Fault(Fault),
}

impl From<Fault> for AdministerError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<KeyError> for AdministerError {
    fn from(error: KeyError) -> Self {
        Self::Fault(error.into())
    }
}

impl From<StoreError> for AdministerError {
    /// A value that another row has is the caller's to change; everything else is a fault.
    fn from(error: StoreError) -> Self {
        let StoreError::Duplicate { constraint } = &error else { return Self::Fault(error.into()) };
        let targets = [
            ("huawei_package_name", "mobile.huawei_package_name"),
            ("package_name", "mobile.package_name"),
            ("application_id_service", "type"),
            ("bundle_id", "mobile.bundle_id"),
            ("huawei_app_id", "mobile.huawei_app_id"),
            ("username_key", "username"),
            ("sign_on_policy_id", "sign_on_policy.id"),
            ("audience", "audience"),
        ];
        let named = targets.iter().find(|(column, _)| constraint.contains(column));
        Invalid::new(named.map_or("name", |(_, target)| target), Rule::Unique).into()
    }
}

impl App {
    /// The environment of this id, or of this name.
    pub async fn find_environment(
        &self,
        id_or_name: &str,
    ) -> Result<Id<Environment>, AdministerError> {
        let work = FindEnvironment { id: id_or_name.parse().ok(), name: id_or_name.to_owned() };
        self.store.read(work).await?.ok_or(AdministerError::NotFound)
    }

    /// The application of this id, or of this name, in an environment.
    pub async fn find_application(
        &self,
        environment: Id<Environment>,
        id_or_name: &str,
    ) -> Result<Id<Application>, AdministerError> {
        let (id, name) = (id_or_name.parse().ok(), id_or_name.to_owned());
        let work = FindApplication { environment, id, name };
        self.store.read(work).await?.ok_or(AdministerError::NotFound)
    }
}

struct FindEnvironment {
    id: Option<Id<Environment>>,
    name: String,
}

impl Work for FindEnvironment {
    type Output = Option<Id<Environment>>;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Self::Output, StoreError> {
        let found = match self.id {
            Some(id) => environment::load(tx, id).await?,
            None => environment::find_by_name(tx, &self.name).await?,
        };
        Ok(found.map(|environment| environment.id))
    }
}

struct FindApplication {
    environment: Id<Environment>,
    id: Option<Id<Application>>,
    name: String,
}

impl Work for FindApplication {
    type Output = Option<Id<Application>>;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Self::Output, StoreError> {
        let found = match self.id {
            Some(id) => application::load(tx, self.environment, id).await?,
            None => application::find_by_name(tx, self.environment, &self.name).await?,
        };
        Ok(found.map(|application| application.id))
    }
}

/// Everything lives in an environment that exists.
pub(super) async fn require_environment(
    tx: &mut Tx<'_>,
    id: Id<Environment>,
) -> Result<(), AdministerError> {
    environment::load(tx, id).await?.map(drop).ok_or(AdministerError::NotFound)
}
