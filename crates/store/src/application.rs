//! Applications.

use countersign_domain::{application::Application, environment::Environment, id::Id};

use crate::{StoreError, Tx, Versioned, document};

pub(crate) const STATEMENTS: &[&str] = &[INSERT, LOAD, FIND_BY_NAME];

const INSERT: &str = "INSERT INTO applications \
     (id, environment_id, name, package_name, bundle_id, version, data) VALUES ($1, $2, $3, $4, $5, 1, $6)";
const LOAD: &str = "SELECT data, version FROM applications WHERE id = $1 AND environment_id = $2";
const FIND_BY_NAME: &str =
    "SELECT data, version FROM applications WHERE environment_id = $1 AND name = $2";

/// Adds an application. Name, package name and bundle id must be free in the environment.
pub async fn insert(tx: &mut Tx<'_>, application: &Application) -> Result<(), StoreError> {
    let mobile = application.mobile.as_ref();
    let params = [
        application.id.into(),
        application.environment.into(),
        application.name.as_str().into(),
        mobile.and_then(|mobile| mobile.package_name.clone()).into(),
        mobile.and_then(|mobile| mobile.bundle_id.clone()).into(),
        document::encode(application)?.into(),
    ];
    tx.execute(INSERT, &params).await.map(drop)
}

/// The application of this id in this environment.
pub async fn load(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    id: Id<Application>,
) -> Result<Option<Versioned<Application>>, StoreError> {
    document::find(tx, LOAD, &[id.into(), environment.into()]).await
}

/// The application of this name in this environment.
pub async fn find_by_name(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    name: &str,
) -> Result<Option<Versioned<Application>>, StoreError> {
    document::find(tx, FIND_BY_NAME, &[environment.into(), name.into()]).await
}
