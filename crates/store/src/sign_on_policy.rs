//! Sign-on policies and their assignment to applications.

use countersign_domain::{
    application::Application,
    environment::Environment,
    id::Id,
    sign_on_policy::{SignOnPolicy, SignOnPolicyAssignment},
};

use crate::{StoreError, Tx, Versioned, document};

pub(crate) const STATEMENTS: &[&str] = &[INSERT, LOAD, LOAD_DEFAULT, SWAP, ASSIGN, LOAD_ASSIGNED];

const INSERT: &str = "INSERT INTO sign_on_policies (id, environment_id, name, is_default, version, data) \
     VALUES ($1, $2, $3, $4, 1, $5)";
const LOAD: &str =
    "SELECT data, version FROM sign_on_policies WHERE id = $1 AND environment_id = $2";
const LOAD_DEFAULT: &str = "SELECT data, version FROM sign_on_policies \
     WHERE environment_id = $1 AND is_default ORDER BY id LIMIT 1";
const SWAP: &str = "UPDATE sign_on_policies SET name = $3, is_default = $4, data = $5, version = version + 1 \
     WHERE id = $1 AND version = $2";

const ASSIGN: &str = "INSERT INTO sign_on_policy_assignments \
     (id, environment_id, application_id, sign_on_policy_id, priority) VALUES ($1, $2, $3, $4, $5)";
const LOAD_ASSIGNED: &str = "SELECT p.data, p.version FROM sign_on_policy_assignments a \
     JOIN sign_on_policies p ON p.id = a.sign_on_policy_id \
     WHERE a.application_id = $1 ORDER BY a.priority, a.id LIMIT 1";

/// Adds a policy. Its name must be free in the environment.
pub async fn insert(tx: &mut Tx<'_>, policy: &SignOnPolicy) -> Result<(), StoreError> {
    let SignOnPolicy { id, environment, name, default, .. } = policy;
    let data = document::encode(policy)?;
    let params =
        [(*id).into(), (*environment).into(), name.as_str().into(), (*default).into(), data.into()];
    tx.execute(INSERT, &params).await.map(drop)
}

/// The policy of this id in this environment.
pub async fn load(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    id: Id<SignOnPolicy>,
) -> Result<Option<Versioned<SignOnPolicy>>, StoreError> {
    document::find(tx, LOAD, &[id.into(), environment.into()]).await
}

/// The default policy of an environment.
pub async fn load_default(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
) -> Result<Option<Versioned<SignOnPolicy>>, StoreError> {
    document::find(tx, LOAD_DEFAULT, &[environment.into()]).await
}

/// Replaces a policy that nobody has changed since it was read.
pub async fn swap(
    tx: &mut Tx<'_>,
    old: &Versioned<SignOnPolicy>,
    new: &SignOnPolicy,
) -> Result<(), StoreError> {
    let data = document::encode(new)?;
    let params = [
        old.id.into(),
        old.version().into(),
        new.name.as_str().into(),
        new.default.into(),
        data.into(),
    ];
    tx.swap(SWAP, &params).await
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
