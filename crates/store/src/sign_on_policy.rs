//! Sign-on policies and their assignment to applications.

use countersign_domain::{
    application::Application,
    environment::Environment,
    id::Id,
    sign_on_policy::{SignOnPolicy, SignOnPolicyAssignment},
};

pub use crate::configured::{insert, load, load_default, swap};
use crate::{
    StoreError, Tx, Value, Versioned,
    configured::{Configured, Defaulted, Table},
    configured_table, default_of, document,
};

pub(crate) const STATEMENTS: &[&str] = &{
    let [insert, load, swap, delete, list, count] = SignOnPolicy::TABLE.statements();
    let default = SignOnPolicy::LOAD_DEFAULT;
    [insert, load, swap, delete, list, count, default, ASSIGN, LOAD_ASSIGNED, FIND_ASSIGNED, FORGET]
};

const ASSIGN: &str = "INSERT INTO sign_on_policy_assignments \
     (id, environment_id, application_id, sign_on_policy_id, priority) VALUES ($1, $2, $3, $4, $5)";
const LOAD_ASSIGNED: &str = "SELECT p.data, p.version FROM sign_on_policy_assignments a \
     JOIN sign_on_policies p ON p.id = a.sign_on_policy_id \
     WHERE a.application_id = $1 ORDER BY a.priority, a.id LIMIT 1";

const FIND_ASSIGNED: &str = "SELECT p.data, p.version FROM sign_on_policy_assignments a \
     JOIN sign_on_policies p ON p.id = a.sign_on_policy_id \
     WHERE a.application_id = $1 AND p.name = $2";

const FORGET: &str = "DELETE FROM sign_on_policy_assignments WHERE application_id = $1";

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

/// Adds an assignment. One application has one policy at most once.
pub async fn assign(
    tx: &mut Tx<'_>,
    assignment: &SignOnPolicyAssignment,
) -> Result<(), StoreError> {
    let params = [
        assignment.id.into(),
        assignment.environment.into(),
        assignment.application.into(),
        assignment.sign_on_policy.into(),
        i64::from(assignment.priority).into(),
    ];
    tx.execute(ASSIGN, &params).await.map(drop)
}

/// Takes all policies from an application that is to be deleted.
pub async fn forget_application(
    tx: &mut Tx<'_>,
    application: Id<Application>,
) -> Result<(), StoreError> {
    tx.execute(FORGET, &[application.into()]).await.map(drop)
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
