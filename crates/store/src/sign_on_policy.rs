//! Sign-on policies and their assignment to applications.

use countersign_domain::{
    application::Application,
    environment::Environment,
    id::Id,
    sign_on_policy::{SignOnPolicy, SignOnPolicyAssignment},
};

pub use crate::named::{insert, load, load_default, swap};
use crate::{
    StoreError, Tx, Versioned, document,
    named::{Named, Table},
    named_table,
};

pub(crate) const STATEMENTS: &[&str] = &{
    let [insert, load, load_default, swap] = SignOnPolicy::TABLE.statements();
    [insert, load, load_default, swap, ASSIGN, LOAD_ASSIGNED, FIND_ASSIGNED]
};

const ASSIGN: &str = "INSERT INTO sign_on_policy_assignments \
     (id, environment_id, application_id, sign_on_policy_id, priority) VALUES ($1, $2, $3, $4, $5)";
const LOAD_ASSIGNED: &str = "SELECT p.data, p.version FROM sign_on_policy_assignments a \
     JOIN sign_on_policies p ON p.id = a.sign_on_policy_id \
     WHERE a.application_id = $1 ORDER BY a.priority, a.id LIMIT 1";

const FIND_ASSIGNED: &str = "SELECT p.data, p.version FROM sign_on_policy_assignments a \
     JOIN sign_on_policies p ON p.id = a.sign_on_policy_id \
     WHERE a.application_id = $1 AND p.name = $2";

impl Named for SignOnPolicy {
    const TABLE: Table = named_table!("sign_on_policies");

    fn id(&self) -> Id<Self> {
        self.id
    }

    fn environment(&self) -> Id<Environment> {
        self.environment
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn is_default(&self) -> bool {
        self.default
    }
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

/// The first policy assigned to an application.
pub async fn load_assigned(
    tx: &mut Tx<'_>,
    application: Id<Application>,
) -> Result<Option<Versioned<SignOnPolicy>>, StoreError> {
    document::find(tx, LOAD_ASSIGNED, &[application.into()]).await
}

/// The policy of this name, if it is assigned to the application.
pub async fn find_assigned(
    tx: &mut Tx<'_>,
    application: Id<Application>,
    name: &str,
) -> Result<Option<Versioned<SignOnPolicy>>, StoreError> {
    document::find(tx, FIND_ASSIGNED, &[application.into(), name.into()]).await
}
