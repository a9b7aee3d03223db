//! What an administrator sets up: policies, assignments, settings.

use countersign_domain::{
    application::Application,
    audit::{Action, Event, Resource},
    environment::Environment,
    id::Id,
    invalid::{Invalid, Rule},
    mfa_policy::{DeviceSelection, MfaPolicy, Mobile},
    mfa_settings::MfaSettings,
    sign_on_policy::{ActionKind, SignOnPolicy, SignOnPolicyAssignment},
};
use countersign_store::{
    StoreError, Tx, Work, application, environment, mfa_policy, mfa_settings, sign_on_policy,
};

use super::{App, Call, Fault, create_environment::actions};
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
        ];
        let named = targets.iter().find(|(column, _)| constraint.contains(column));
        Invalid::new(named.map_or("name", |(_, target)| target), Rule::Unique).into()
    }
}

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

/// What a sign-on policy is made of.
#[derive(Clone, Debug)]
pub struct NewSignOnPolicy {
    /// Its name.
    pub name: String,
    /// The steps, in order.
    pub steps: Vec<ActionKind>,
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

    /// Makes an MFA policy.
    pub async fn create_mfa_policy(
        &self,
        environment: Id<Environment>,
        new: NewMfaPolicy,
    ) -> Result<MfaPolicy, AdministerError> {
        let call = self.call(environment, "");
        let policy = MfaPolicy {
            id: call.new_id(),
            environment,
            name: new.name,
            default: false,
            mobile: new.mobile,
            device_selection: new.device_selection,
            ignore_user_lock: false,
            block_users_with_disabled_mfa: false,
            created_at: call.now,
            updated_at: call.now,
        };
        policy.validate()?;
        self.store.write(Insert(call, policy.clone())).await?;
        Ok(policy)
    }

    /// Replaces an MFA policy by a changed one. Flows that run see it at their next MFA step.
    pub async fn replace_mfa_policy(&self, policy: MfaPolicy) -> Result<(), AdministerError> {
        policy.validate()?;
        let call = self.call(policy.environment, "");
        let policy = MfaPolicy { updated_at: call.now, ..policy };
        self.store.write(Replace(call, policy)).await
    }

    /// Makes a sign-on policy.
    pub async fn create_sign_on_policy(
        &self,
        environment: Id<Environment>,
        new: NewSignOnPolicy,
    ) -> Result<SignOnPolicy, AdministerError> {
        let call = self.call(environment, "");
        let policy = SignOnPolicy {
            id: call.new_id(),
            environment,
            name: new.name,
            default: false,
            actions: actions(&call, &new.steps),
            created_at: call.now,
            updated_at: call.now,
        };
        policy.validate()?;
        self.store.write(Insert(call, policy.clone())).await?;
        Ok(policy)
    }

    /// Replaces a sign-on policy by a changed one. Flows that run keep their steps.
    pub async fn replace_sign_on_policy(
        &self,
        policy: SignOnPolicy,
    ) -> Result<(), AdministerError> {
        policy.validate()?;
        let call = self.call(policy.environment, "");
        let policy = SignOnPolicy { updated_at: call.now, ..policy };
        self.store.write(Replace(call, policy)).await
    }

    /// Lets an application use a sign-on policy. The one with the lowest priority is used.
    pub async fn assign_sign_on_policy(
        &self,
        environment: Id<Environment>,
        application: Id<Application>,
        sign_on_policy: Id<SignOnPolicy>,
        priority: u16,
    ) -> Result<SignOnPolicyAssignment, AdministerError> {
        let call = self.call(environment, "");
        let id = call.new_id();
        let assignment =
            SignOnPolicyAssignment { id, environment, application, sign_on_policy, priority };
        self.store.write(Insert(call, assignment.clone())).await?;
        Ok(assignment)
    }

    /// Sets the MFA settings of an environment.
    pub async fn put_mfa_settings(
        &self,
        environment: Id<Environment>,
        settings: MfaSettings,
    ) -> Result<(), AdministerError> {
        settings.validate()?;
        let call = self.call(environment, "");
        self.store.write(PutMfaSettings { call, settings }).await
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

struct Insert<T>(Call, T);
struct Replace<T>(Call, T);

/// Something that an administrator did to a thing.
fn did(action: Action, thing: impl Into<Resource>) -> Event {
    Event::succeeded(action).to(thing)
}

impl Work for Insert<MfaPolicy> {
    type Output = ();
    type Error = AdministerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), AdministerError> {
        let Self(call, policy) = self;
        require_environment(tx, policy.environment).await?;
        require_applications(tx, policy).await?;
        mfa_policy::insert(tx, policy).await?;
        Ok(call.audit(tx, did(Action::MfaPolicyCreated, policy)).await?)
    }
}

impl Work for Replace<MfaPolicy> {
    type Output = ();
    type Error = AdministerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), AdministerError> {
        let Self(call, policy) = self;
        let old = mfa_policy::load(tx, policy.environment, policy.id).await?;
        let old = old.ok_or(AdministerError::NotFound)?;
        require_applications(tx, policy).await?;
        // Which policy is the default is not changed here: there must always be exactly one.
        let (default, created_at) = (old.default, old.created_at);
        let policy = MfaPolicy { default, created_at, ..policy.clone() };
        mfa_policy::swap(tx, &old, &policy).await?;
        Ok(call.audit(tx, did(Action::MfaPolicyUpdated, &policy)).await?)
    }
}

impl Work for Insert<SignOnPolicy> {
    type Output = ();
    type Error = AdministerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), AdministerError> {
        let Self(call, policy) = self;
        require_environment(tx, policy.environment).await?;
        require_mfa_policies(tx, policy).await?;
        sign_on_policy::insert(tx, policy).await?;
        Ok(call.audit(tx, did(Action::SignOnPolicyCreated, policy)).await?)
    }
}

impl Work for Replace<SignOnPolicy> {
    type Output = ();
    type Error = AdministerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), AdministerError> {
        let Self(call, policy) = self;
        let old = sign_on_policy::load(tx, policy.environment, policy.id).await?;
        let old = old.ok_or(AdministerError::NotFound)?;
        require_mfa_policies(tx, policy).await?;
        let (default, created_at) = (old.default, old.created_at);
        let policy = SignOnPolicy { default, created_at, ..policy.clone() };
        sign_on_policy::swap(tx, &old, &policy).await?;
        Ok(call.audit(tx, did(Action::SignOnPolicyUpdated, &policy)).await?)
    }
}

impl Work for Insert<SignOnPolicyAssignment> {
    type Output = ();
    type Error = AdministerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), AdministerError> {
        let Self(call, assignment) = self;
        let application = application::load(tx, assignment.environment, assignment.application);
        let application =
            application.await?.ok_or(Invalid::new("application.id", Rule::Unknown))?;
        let policy = sign_on_policy::load(tx, assignment.environment, assignment.sign_on_policy);
        let policy = policy.await?.ok_or(Invalid::new("sign_on_policy.id", Rule::Unknown))?;
        sign_on_policy::assign(tx, assignment).await?;
        let event = did(Action::SignOnPolicyAssignmentCreated, assignment);
        Ok(call.audit(tx, event.to(&*application).to(&*policy)).await?)
    }
}

struct PutMfaSettings {
    call: Call,
    settings: MfaSettings,
}

impl Work for PutMfaSettings {
    type Output = ();
    type Error = AdministerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), AdministerError> {
        let id = self.call.environment;
        let environment = environment::load(tx, id).await?.ok_or(AdministerError::NotFound)?;
        mfa_settings::put(tx, id, &self.settings).await?;
        Ok(self.call.audit(tx, did(Action::MfaSettingsUpdated, &*environment)).await?)
    }
}

/// Everything lives in an environment that exists.
pub(super) async fn require_environment(
    tx: &mut Tx<'_>,
    id: Id<Environment>,
) -> Result<(), AdministerError> {
    environment::load(tx, id).await?.map(drop).ok_or(AdministerError::NotFound)
}

async fn require_applications(tx: &mut Tx<'_>, policy: &MfaPolicy) -> Result<(), AdministerError> {
    for listed in &policy.mobile.applications {
        let application = application::load(tx, policy.environment, listed.application).await?;
        let native = application.is_some_and(|application| application.mobile.is_some());
        if !native {
            return Err(Invalid::new("mobile.applications.id", Rule::Unknown).into());
        }
    }
    Ok(())
}

async fn require_mfa_policies(
    tx: &mut Tx<'_>,
    policy: &SignOnPolicy,
) -> Result<(), AdministerError> {
    for action in &policy.actions {
        let ActionKind::MultiFactorAuthentication { mfa_policy: Some(id), .. } = action.kind else {
            continue;
        };
        let unknown = Invalid::new("actions.mfa_policy.id", Rule::Unknown);
        mfa_policy::load(tx, policy.environment, id).await?.ok_or(unknown)?;
    }
    Ok(())
}
