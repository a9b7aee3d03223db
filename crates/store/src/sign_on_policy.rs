//! Sign-on policies, and which of them an application uses.

use countersign_domain::{
    application::Application,
    environment::Environment,
    id::Id,
    mfa_policy::MfaPolicy,
    sign_on_policy::{ActionKind, SignOnPolicy},
};

pub use crate::configured::{insert, load, load_default};
use crate::{
    StoreError, Tx, Value, Versioned,
    configured::{self, Configured, Defaulted, Table},
    configured_table, default_of, document,
};

pub(crate) const STATEMENTS: &[&str] = &{
    let [insert, load, swap, delete, list, count] = SignOnPolicy::TABLE.statements();
    let default = SignOnPolicy::LOAD_DEFAULT;
    [insert, load, swap, delete, list, count, default, LOAD_ASSIGNED, FIND_ASSIGNED, IS_ASSIGNED]
};

const IS_ASSIGNED: &str =
    "SELECT 1 FROM sign_on_policy_assignments WHERE sign_on_policy_id = $1 LIMIT 1";
const LOAD_ASSIGNED: &str = "SELECT p.data, p.version FROM sign_on_policy_assignments a \
     JOIN sign_on_policies p ON p.id = a.sign_on_policy_id \
     WHERE a.application_id = $1 ORDER BY a.priority, a.id LIMIT 1";

const FIND_ASSIGNED: &str = "SELECT p.data, p.version FROM sign_on_policy_assignments a \
     JOIN sign_on_policies p ON p.id = a.sign_on_policy_id \
     WHERE a.application_id = $1 AND p.name = $2";

impl Configured for SignOnPolicy {
    const TABLE: Table = configured_table!("sign_on_policies", name = "$4", is_default = "$5");

    fn id(&self) -> Id<Self> {
        self.id
    }

    fn environment(&self) -> Id<Environment> {
        self.environment
    }

    type Owner = Environment;

    fn owner(&self) -> Id<Environment> {
        self.environment
    }

    fn columns(&self) -> Vec<Value<'_>> {
        vec![self.name.as_str().into(), self.default.into()]
    }
}

impl Defaulted for SignOnPolicy {
    const LOAD_DEFAULT: &'static str = default_of!("sign_on_policies");
}

/// Whether an application uses it.
pub async fn is_assigned(tx: &mut Tx<'_>, id: Id<SignOnPolicy>) -> Result<bool, StoreError> {
    Ok(tx.query_one(IS_ASSIGNED, &[id.into()]).await?.is_some())
}

/// Whether an action of a policy names an MFA policy. An environment has few policies, and all are looked at.
pub async fn uses_mfa_policy(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    id: Id<MfaPolicy>,
) -> Result<bool, StoreError> {
    let names = |policy: &SignOnPolicy| {
        policy.actions.iter().any(|action| match action.kind {
            ActionKind::MultiFactorAuthentication { mfa_policy, .. } => mfa_policy == Some(id),
            ActionKind::Login | ActionKind::IdentifierFirst => false,
        })
    };
    configured::any(tx, environment, names).await
}

/// The first policy assigned to an application.
pub async fn load_assigned(
    tx: &mut Tx<'_>,
    application: Id<Application>,
) -> Result<Option<Versioned<SignOnPolicy>>, StoreError> {
    document::find_configuration(tx, LOAD_ASSIGNED, &[application.into()]).await
}

/// The policy of this name, if it is assigned to the application.
pub async fn find_assigned(
    tx: &mut Tx<'_>,
    application: Id<Application>,
    name: &str,
) -> Result<Option<Versioned<SignOnPolicy>>, StoreError> {
    document::find(tx, FIND_ASSIGNED, &[application.into(), name.into()]).await
}
