//! Applications: their rules among the things around them, and what goes with one that is deleted.

use countersign_domain::{
    access_control::{self, AccessControl},
    account,
    application::Application,
    audit::{Action, Resource},
    console,
    device::Event as DeviceEvent,
    group::Group,
    id::Id,
    invalid::{Invalid, Rule},
    mfa_policy::MfaPolicy,
    outbox::Content,
    role::{Authority, Holder},
};
use countersign_protocol::time::Timestamp;
use countersign_store::{
    Tx, Work, application, configured, device, push_credentials, push_health, role_assignment,
    sign_on_policy_assignment,
};

use super::{
    AdministerError, App, Call, ChangeDeviceError, Fault,
    change_device::change,
    configure::{Administered, Events},
    protected_resource::settle_grants,
};

impl Administered for Application {
    const EVENTS: Events = Events {
        created: Action::ApplicationCreated,
        updated: Action::ApplicationUpdated,
        deleted: Action::ApplicationDeleted,
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
        if let Some(old) = old {
            self.validate_in_place_of(old)?;
        }
        let is_own = account::is_of(self) || console::is(self);
        if is_own && !(self.grant_types.is_empty() && self.mobile.is_none()) {
            let form = "empty for pages of the platform itself, which get no tokens";
            return Err(Invalid::new("grant_types", Rule::Form { form }).into());
        }
        settle_grants(tx, self, old).await?;
        let groups = self.oidc.access_control.as_ref().map(AccessControl::groups);
        let groups = groups.unwrap_or_default();
        if groups.len() > access_control::MAX_GROUPS {
            let form = "a list of at most 100";
            return Err(Invalid::new("access_control.group.groups", Rule::Form { form }).into());
        }
        for id in groups {
            if configured::load::<Group>(tx, self.environment, *id).await?.is_none() {
                return Err(Invalid::new("access_control.group.groups.id", Rule::Unknown).into());
            }
        }
        if let Some(phones) = self.oidc.phone_sign_on {
            let native = application::load(tx, self.environment, phones).await?;
            if native.is_none_or(|native| native.mobile.is_none()) {
                return Err(Invalid::new("oidc.phone_sign_on.id", Rule::Unknown).into());
            }
        }
        Ok(())
    }

    async fn release(&self, tx: &mut Tx<'_>) -> Result<(), AdministerError> {
        if account::is_of(self) {
            return Err(AdministerError::InUse { by: "everybody who has a user account" });
        }
        if console::is(self) {
            return Err(AdministerError::InUse { by: "everybody who administers the platform" });
        }
        let lists = |policy: &MfaPolicy| {
            policy.mobile.applications.iter().any(|listed| listed.application == self.id)
        };
        if configured::any(tx, self.environment, lists).await? {
            return Err(AdministerError::InUse { by: "an MFA policy that lists it" });
        }
        let asks = |other: &Application| other.oidc.phone_sign_on == Some(self.id);
        if configured::any(tx, self.environment, asks).await? {
            let by = "an application whose users sign on by its phones";
            return Err(AdministerError::InUse { by });
        }
        role_assignment::forget(tx, Holder::Application(self.id)).await?;
        sign_on_policy_assignment::forget(tx, self.id).await?;
        push_credentials::forget_application(tx, self.id).await?;
        Ok(push_health::forget_application(tx, self.id).await?)
    }

    async fn released(&self, call: &Call, tx: &mut Tx<'_>) -> Result<(), AdministerError> {
        if self.mobile.is_some() {
            call.send(tx, Content::Unpairings { application: self.id }).await?;
        }
        Ok(())
    }
}

impl App {
    /// Whether somebody may speak for an application: it could take its secret, or give it another key, and would then have
    /// its roles.
    pub async fn may_speak_for(
        &self,
        by: &Authority,
        application: Id<Application>,
    ) -> Result<(), AdministerError> {
        let roles = self.roles_of(Holder::Application(application)).await?;
        if roles.iter().all(|given| by.includes(given.role, given.scope)) {
            Ok(())
        } else {
            Err(AdministerError::Forbidden { what: "do all that the roles of the application do" })
        }
    }

    /// Unpairs the phones of an application that is no more, some at a time.
    pub(super) async fn unpair_all(
        &self,
        call: Call,
        application: Id<Application>,
    ) -> Result<(), Fault> {
        loop {
            let work = UnpairSome { call: call.clone(), application };
            if self.store.write(work).await? == 0 {
                return Ok(());
            }
        }
    }
}

struct UnpairSome {
    call: Call,
    application: Id<Application>,
}

impl Work for UnpairSome {
    /// How many there were.
    type Output = usize;
    type Error = Fault;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<usize, Fault> {
        // One with this id again would have phones of its own.
        if application::load(tx, self.call.environment, self.application).await?.is_some() {
            return Ok(0);
        }
        let devices = device::list_of_application(tx, self.application).await?;
        for old in &devices {
            let event = DeviceEvent::Remove { reason: "application_deleted" };
            match change(tx, &self.call, old, event).await {
                Ok(()) => {}
                Err(ChangeDeviceError::Fault(fault)) => return Err(fault),
                Err(error) => return Err(Fault::broken(error.to_string())),
            }
        }
        Ok(devices.len())
    }
}
