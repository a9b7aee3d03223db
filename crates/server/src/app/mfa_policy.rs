//! MFA policies: their rules among the things around them.

use countersign_domain::{
    application::Application,
    audit::{Action, Resource},
    environment::Environment,
    id::Id,
    invalid::{Invalid, Rule},
    mfa_policy::{DeviceSelection, MfaPolicy, Mobile},
};
use countersign_protocol::time::Timestamp;
use countersign_store::{Tx, Work, application, mfa_policy, sign_on_policy};

use super::{
    AdministerError, App,
    configure::{Administered, Events, HasDefault, settle_default},
};

/// What an MFA policy is made of.
#[derive(Clone, Debug)]
pub struct NewMfaPolicy {
    /// Its name.
    pub name: String,
    /// Native applications.
    pub mobile: Mobile,
    /// How a device is chosen.
    pub device_selection: DeviceSelection,
}

impl App {
    /// Makes an MFA policy.
    pub async fn create_mfa_policy(
        &self,
        environment: Id<Environment>,
        new: NewMfaPolicy,
    ) -> Result<MfaPolicy, AdministerError> {
        let NewMfaPolicy { name, mobile, device_selection } = new;
        let blank = MfaPolicy::new((self.new_id(), environment), name, self.now());
        self.create(MfaPolicy { mobile, device_selection, ..blank }).await
    }

    /// The MFA policy of steps that name none.
    pub async fn default_mfa_policy(
        &self,
        environment: Id<Environment>,
    ) -> Result<Option<Id<MfaPolicy>>, AdministerError> {
        self.store.read(Default(environment)).await
    }

    /// Replaces an MFA policy by a changed one. Flows that run see it at their next MFA step.
    pub async fn replace_mfa_policy(&self, policy: MfaPolicy) -> Result<(), AdministerError> {
        let (environment, id) = (policy.environment, policy.id);
        let edit = move |old: MfaPolicy| {
            let MfaPolicy { default, created_at, .. } = old;
            Ok(MfaPolicy { default, created_at, ..policy.clone() })
        };
        self.replace(environment, id, edit).await.map(drop)
    }
}

struct Default(Id<Environment>);

impl Work for Default {
    type Output = Option<Id<MfaPolicy>>;
    type Error = AdministerError;
    const IS_BRIEF: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Self::Output, AdministerError> {
        let found = mfa_policy::load_default::<MfaPolicy>(tx, self.0).await?;
        Ok(found.map(|policy| policy.id))
    }
}

impl Administered for MfaPolicy {
    const EVENTS: Events = Events {
        created: Action::MfaPolicyCreated,
        updated: Action::MfaPolicyUpdated,
        deleted: Action::MfaPolicyDeleted,
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
        for listed in &self.mobile.applications {
            require_native(tx, self.environment, listed.application).await?;
        }
        settle_default(self, old, tx).await
    }

    async fn release(&self, tx: &mut Tx<'_>) -> Result<(), AdministerError> {
        if self.default {
            let why = "the platform does not remove default device authentication policy: another one must be the default first";
            return Err(AdministerError::Kept { why });
        }
        if sign_on_policy::uses_mfa_policy(tx, self.environment, self.id).await? {
            return Err(AdministerError::InUse { by: "an action of a sign-on policy" });
        }
        Ok(())
    }
}

impl HasDefault for MfaPolicy {
    fn is_default(&self) -> bool {
        self.default
    }

    fn set_default(&mut self, is_default: bool) {
        self.default = is_default;
    }
}

async fn require_native(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    id: Id<Application>,
) -> Result<(), AdministerError> {
    let application = application::load(tx, environment, id).await?;
    let application =
        application.ok_or_else(|| Invalid::new("mobile.applications.id", Rule::Unknown))?;
    if application.mobile.is_none() {
        let form = "a native application that has a mobile section";
        return Err(Invalid::new("mobile.applications.id", Rule::Form { form }).into());
    }
    Ok(())
}
