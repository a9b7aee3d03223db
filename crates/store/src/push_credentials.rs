//! Push credentials.

use countersign_domain::{
    application::Application, environment::Environment, id::Id, push_credentials::PushCredentials,
};
use countersign_protocol::mobile_payload::PushService;

use crate::{StoreError, Tx, Versioned, document};

pub(crate) const STATEMENTS: &[&str] =
    &[INSERT, LOAD, FIND, LIST, LIST_OF_APPLICATION, LIST_SERVICES, SWAP, DELETE];

const INSERT: &str = "INSERT INTO push_credentials \
     (id, environment_id, application_id, service, version, data) VALUES ($1, $2, $3, $4, 1, $5)";
const LOAD: &str =
    "SELECT data, version FROM push_credentials WHERE id = $1 AND environment_id = $2";
const FIND: &str =
    "SELECT data, version FROM push_credentials WHERE application_id = $1 AND service = $2";
const LIST: &str = "SELECT data, version FROM push_credentials ORDER BY id LIMIT $1";
const LIST_OF_APPLICATION: &str =
    "SELECT data, version FROM push_credentials WHERE application_id = $1 ORDER BY id LIMIT 10";
const LIST_SERVICES: &str =
    "SELECT service FROM push_credentials WHERE application_id = $1 ORDER BY service LIMIT 10";
const SWAP: &str =
    "UPDATE push_credentials SET data = $3, version = version + 1 WHERE id = $1 AND version = $2";
const DELETE: &str = "DELETE FROM push_credentials WHERE id = $1 AND version = $2";

/// The services, by the names that stand in their column.
const SERVICES: [(PushService, &str); 5] = [
    (PushService::Apns, "apns"),
    (PushService::Fcm, "fcm"),
    (PushService::Hms, "hms"),
    (PushService::WebPush, "web_push"),
    (PushService::Direct, "direct"),
];

/// The name of a service in a column.
pub(crate) fn name(service: PushService) -> &'static str {
    SERVICES.iter().find(|(known, _)| *known == service).map_or("", |(_, name)| name)
}

/// Adds credentials. An application has at most one of each service.
pub async fn insert(tx: &mut Tx<'_>, credentials: &PushCredentials) -> Result<(), StoreError> {
    let row = [
        credentials.id.into(),
        credentials.environment.into(),
        credentials.application.into(),
        name(credentials.service).into(),
        document::encode(credentials)?.into(),
    ];
    tx.execute(INSERT, &row).await.map(drop)
}

/// The credentials of this id in this environment.
pub async fn load(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    id: Id<PushCredentials>,
) -> Result<Option<Versioned<PushCredentials>>, StoreError> {
    document::find(tx, LOAD, &[id.into(), environment.into()]).await
}

/// The credentials of an application at a service.
pub async fn find(
    tx: &mut Tx<'_>,
    application: Id<Application>,
    service: PushService,
) -> Result<Option<Versioned<PushCredentials>>, StoreError> {
    document::find(tx, FIND, &[application.into(), name(service).into()]).await
}

/// The oldest credentials of all applications.
pub async fn list(
    tx: &mut Tx<'_>,
    limit: u32,
) -> Result<Vec<Versioned<PushCredentials>>, StoreError> {
    document::list(tx, LIST, &[i64::from(limit).into()]).await
}

/// All credentials of an application.
pub async fn list_of_application(
    tx: &mut Tx<'_>,
    application: Id<Application>,
) -> Result<Vec<Versioned<PushCredentials>>, StoreError> {
    document::list(tx, LIST_OF_APPLICATION, &[application.into()]).await
}

/// The services at which an application has credentials. They themselves are not read.
pub async fn list_services(
    tx: &mut Tx<'_>,
    application: Id<Application>,
) -> Result<Vec<PushService>, StoreError> {
    let rows = tx.query(LIST_SERVICES, &[application.into()]).await?;
    let mut services = Vec::with_capacity(rows.len());
    for row in &rows {
        let text = row.text(0)?;
        let known = SERVICES.iter().find(|(_, name)| *name == text);
        services.push(known.ok_or_else(|| StoreError::corrupt("push_credentials.service"))?.0);
    }
    Ok(services)
}

/// Replaces credentials that nobody has changed since they were read.
pub async fn swap(
    tx: &mut Tx<'_>,
    old: &Versioned<PushCredentials>,
    new: &PushCredentials,
) -> Result<(), StoreError> {
    let data = document::encode(new)?;
    tx.swap(SWAP, &[old.id.into(), old.version().into(), data.into()]).await
}

/// Removes credentials that nobody has changed since they were read.
pub async fn delete(tx: &mut Tx<'_>, old: &Versioned<PushCredentials>) -> Result<(), StoreError> {
    tx.swap(DELETE, &[old.id.into(), old.version().into()]).await
}
