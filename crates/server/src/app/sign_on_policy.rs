//! Sign-on policies and their actions: their rules among the things around them.

use countersign_domain::{
    audit::{Action as Told, Resource},
    environment::Environment,
    id::Id,
    invalid::{Invalid, Rule},
    sign_on_policy::{Action, ActionKind, SignOnPolicy},
};
use countersign_protocol::time::Timestamp;
use countersign_store::{Tx, configured, mfa_policy, sign_on_policy};

use super::{
    AdministerError, App,
    configure::{Administered, Events, HasDefault, settle_default},
    create_environment::actions,
};

/// What a sign-on policy is made of.
#[derive(Clone, Debug)]
pub struct NewSignOnPolicy {
    /// Its name.
    pub name: String,
    /// The steps, in order.
    pub steps: Vec<ActionKind>,
}

impl App {
    /// Makes a sign-on policy.
    pub async fn create_sign_on_policy(
        &self,
        environment: Id<Environment>,
        new: NewSignOnPolicy,
    ) -> Result<SignOnPolicy, AdministerError> {
        let call = self.call(environment, "");
        let blank = SignOnPolicy::new((call.new_id(), environment), new.name, call.now);
        self.create(SignOnPolicy { actions: actions(&call, &new.steps), ..blank }).await
    }

    /// Replaces a sign-on policy by a changed one. Flows that run keep their steps.
    pub async fn replace_sign_on_policy(
        &self,
        policy: SignOnPolicy,
    ) -> Result<(), AdministerError> {
        let (environment, id) = (policy.environment, policy.id);
        let edit = move |old: SignOnPolicy| {
            let SignOnPolicy { default, created_at, .. } = old;
            Ok(SignOnPolicy { default, created_at, ..policy.clone() })
        };
        self.replace(environment, id, edit).await.map(drop)
    }

    /// Adds an action to a sign-on policy, or replaces the one with the same id, at the place of its priority.
    pub async fn put_action(
        &self,
        environment: Id<Environment>,
        policy: Id<SignOnPolicy>,
        action: Action,
        must_exist: bool,
    ) -> Result<(), AdministerError> {
        let edit = move |mut policy: SignOnPolicy| {
            let before = policy.actions.len();
            policy.actions.retain(|known| known.id != action.id);
            if must_exist && policy.actions.len() == before {
                return Err(AdministerError::NotFound);
            }
            policy.actions.push(action.clone());
            policy.actions.sort_by_key(|action| (action.priority, action.id));
            Ok(policy)
        };
        self.replace(environment, policy, edit).await.map(drop)
    }

    /// Takes an action from a sign-on policy.
    pub async fn delete_action(
        &self,
        environment: Id<Environment>,
        policy: Id<SignOnPolicy>,
        action: Id<Action>,
    ) -> Result<(), AdministerError> {
        let edit = move |mut policy: SignOnPolicy| {
            let before = policy.actions.len();
            policy.actions.retain(|known| known.id != action);
            if policy.actions.len() == before {
                return Err(AdministerError::NotFound);
            }
            Ok(policy)
        };
        self.replace(environment, policy, edit).await.map(drop)
    }
}

impl Administered for SignOnPolicy {
    const EVENTS: Events = Events {
        created: Told::SignOnPolicyCreated,
        updated: Told::SignOnPolicyUpdated,
        deleted: Told::SignOnPolicyDeleted,
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
        let loses_all = old.is_some_and(|old| !old.actions.is_empty()) && self.actions.is_empty();
        if loses_all && (self.default || sign_on_policy::is_assigned(tx, self.id).await?) {
            let why = "Cannot delete last action from the policy: applications use it";
            return Err(AdministerError::Kept { why });
        }
        hold_mfa_policies(self, old, tx).await?;
        settle_default(self, old, tx).await
    }

    async fn release(&self, tx: &mut Tx<'_>) -> Result<(), AdministerError> {
        if self.default {
            let why = "nobody can delete a default policy: another one must be the default first";
            return Err(AdministerError::Kept { why });
        }
        if sign_on_policy::is_assigned(tx, self.id).await? {
            return Err(AdministerError::InUse { by: "an application" });
        }
        Ok(())
    }
}

impl HasDefault for SignOnPolicy {
    fn is_default(&self) -> bool {
        self.default
    }

    fn set_default(&mut self, is_default: bool) {
        self.default = is_default;
    }
}

/// The MFA policies that actions name anew must be there, and stay.
async fn hold_mfa_policies(
    policy: &SignOnPolicy,
    old: Option<&SignOnPolicy>,
    tx: &mut Tx<'_>,
) -> Result<(), AdministerError> {
    let named = |policy: &SignOnPolicy| {
        let mut ids: Vec<_> = policy.actions.iter().filter_map(mfa_policy_of).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    };
    let known = old.map(named).unwrap_or_default();
    for id in named(policy).into_iter().filter(|id| !known.contains(id)) {
        let found = mfa_policy::load(tx, policy.environment, id).await?;
        let found = found.ok_or_else(|| Invalid::new("actions.mfa_policy.id", Rule::Unknown))?;
        configured::hold(tx, &found).await?;
    }
    Ok(())
}

const fn mfa_policy_of(action: &Action) -> Option<Id<countersign_domain::mfa_policy::MfaPolicy>> {
    match action.kind {
        ActionKind::MultiFactorAuthentication { mfa_policy, .. } => mfa_policy,
        ActionKind::Login | ActionKind::IdentifierFirst => None,
    }
}
