//! What an MFA step looks at: policy, application, user, devices, and how far pushes reach.

use countersign_domain::{
    application::Application,
    authenticator::Authenticator,
    authorization::Answer,
    device::Device,
    flow::{Flow, Identity},
    id::Id,
    mfa::{self, Reach},
    mfa_policy::{MfaPolicy, MobileApplication},
    sign_on_policy::NoDevicesMode,
    user::User,
};
use countersign_protocol::time::Timestamp;
use countersign_store::{
    StoreError, Tx, authenticator, device, mfa_policy, push_credentials, push_limit,
};

use super::{Fault, run_flow::Seen};

/// What an MFA step looks at.
pub(super) struct Scene {
    pub policy: MfaPolicy,
    pub application: Application,
    pub user: User,
    pub devices: Vec<Device>,
    /// What else the user can be asked for, once it is read.
    pub authenticators: Vec<Authenticator>,
    pub reach: Reach,
}

impl Scene {
    /// Reads it, as of a time; no policy named means the default of the environment.
    pub async fn load(
        tx: &mut Tx<'_>,
        flow: &Flow,
        user: Id<User>,
        (policy, now): (Option<Id<MfaPolicy>>, Timestamp),
        seen: &mut Seen,
    ) -> Result<Self, Fault> {
        let environment = flow.environment;
        let policy = match policy {
            Some(id) => mfa_policy::load(tx, environment, id).await?,
            None => mfa_policy::load_default(tx, environment).await?,
        };
        let gone = || Fault::broken("a flow refers to something that is gone");
        let application = seen.application(tx, flow).await?;
        let user = seen.user(tx, flow, user).await?.ok_or_else(gone)?;
        let devices = device::list_of_user(tx, user.id).await?;
        let policy = policy.ok_or_else(gone)?.into_value();
        let reach = if asks_by_push(&policy) {
            Box::pin(reach(tx, &policy, (user.id, &devices), now)).await?
        } else {
            Reach::default()
        };
        let application = application.ok_or_else(gone)?;
        let authenticators = Vec::new();
        Ok(Self { policy, application, user, devices, authenticators, reach })
    }

    /// Reads what the user can be asked for beside phones, where the policy accepts any of it.
    pub async fn read_authenticators(&mut self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        if !self.policy.authenticators.none() {
            self.authenticators = authenticator::list_of_user(tx, self.user.id).await?;
        }
        Ok(())
    }

    /// Leaves what was read to those who come after.
    pub fn remember(self, seen: &mut Seen) {
        (seen.application, seen.user) = (Some(self.application), Some(self.user));
        (seen.devices, seen.policy) = (self.devices, Some(self.policy));
        seen.authenticators = self.authenticators;
    }
}

/// Whether a policy asks anybody by push, silently or visibly.
fn asks_by_push(policy: &MfaPolicy) -> bool {
    let verifies = |rules: &MobileApplication| {
        rules.device_authorization.is_some_and(|rules| rules.extra_verification.is_some())
    };
    policy.mobile.applications.iter().any(|rules| rules.push.enabled || verifies(rules))
}

/// How far pushes reach the devices of a user.
async fn reach(
    tx: &mut Tx<'_>,
    policy: &MfaPolicy,
    (user, devices): (Id<User>, &[Device]),
    now: Timestamp,
) -> Result<Reach, Fault> {
    let mut reach = Reach::default();
    for rules in &policy.mobile.applications {
        let authorization = rules.device_authorization;
        let verifies = authorization.is_some_and(|rules| rules.extra_verification.is_some());
        let id = rules.application;
        let has = |device: &Device| device.installation.application == id;
        if (rules.push.enabled || verifies) && devices.iter().any(has) {
            let services = push_credentials::list_services(tx, id).await?;
            reach.services.extend(services.into_iter().map(|service| (id, service)));
        }
    }
    if policy.mobile.applications.iter().any(|rules| rules.push.enabled) {
        reach.stopped = push_limit::list_stopped(tx, user, now).await?;
    }
    Ok(reach)
}

/// An MFA step that is decided.
pub(super) struct Ground<'a> {
    pub flow: &'a Flow,
    pub identity: &'a Identity,
    /// Which of the steps it is.
    pub place: usize,
    pub no_devices_mode: NoDevicesMode,
}

impl Ground<'_> {
    pub fn facts<'a>(&'a self, scene: &'a Scene, now: Timestamp) -> mfa::Facts<'a> {
        let Self { flow, identity, place, no_devices_mode } = *self;
        mfa::Facts {
            policy: &scene.policy,
            no_devices_mode,
            // Another policy of a later flow may want more than what the device has shown once.
            scanned: identity.scanned.filter(|_| flow.resumed.is_none()),
            authenticated: identity.authenticated_at.is_some(),
            vouched: flow.request.answer == Answer::Worker,
            // A step that has a condition and runs is not passed by the session.
            resumed: flow.resumed.as_ref().filter(|resumed| {
                let condition = flow.conditions.as_ref().and_then(|all| all.of(place));
                resumed.user == identity.user && condition.is_none()
            }),
            application: &scene.application,
            installation: flow.fresh_installation(now),
            user: &scene.user,
            named: flow.request.device,
            devices: &scene.devices,
            authenticators: &scene.authenticators,
            reach: &scene.reach,
        }
    }
}
