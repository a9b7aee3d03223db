//! Which sign-on policies an application uses.

use countersign_domain::{
    application::Application, environment::Environment, id::Id,
    sign_on_policy::SignOnPolicyAssignment,
};

use crate::{
    StoreError, Tx, Value,
    configured::{Configured, Table},
    configured_table,
};

pub(crate) const STATEMENTS: &[&str] = &{
    let [insert, load, swap, delete, list, count] = SignOnPolicyAssignment::TABLE.statements();
    [insert, load, swap, delete, list, count, FORGET]
};

const FORGET: &str = "DELETE FROM sign_on_policy_assignments WHERE application_id = $1";

impl Configured for SignOnPolicyAssignment {
    const TABLE: Table = configured_table!(
        "sign_on_policy_assignments" under application_id,
        application_id = "$4", sign_on_policy_id = "$5", priority = "$6"
    );

    fn id(&self) -> Id<Self> {
        self.id
    }

    fn environment(&self) -> Id<Environment> {
        self.environment
    }

    type Owner = Application;

    fn owner(&self) -> Id<Application> {
        self.application
    }

    fn columns(&self) -> Vec<Value<'_>> {
        let priority = i64::from(self.priority).into();
        vec![self.application.into(), self.sign_on_policy.into(), priority]
    }
}

/// Takes all policies from an application that is to be deleted.
pub async fn forget(tx: &mut Tx<'_>, application: Id<Application>) -> Result<(), StoreError> {
    tx.execute(FORGET, &[application.into()]).await.map(drop)
}
