//! Push credentials.

use countersign_domain::{
    application::Application, environment::Environment, id::Id, push_credentials::PushCredentials,
};
use countersign_protocol::mobile_payload::PushService;

pub use crate::configured::{delete, insert, load, swap};
use crate::{
    StoreError, Tx, Value, Versioned,
    configured::{Configured, Table},
    configured_table, document,
};

pub(crate) const STATEMENTS: &[&str] = &{
    let [insert, load, swap, delete, list, count] = PushCredentials::TABLE.statements();
    let (of_application, services) = (LIST_OF_APPLICATION, LIST_SERVICES);
    [insert, load, swap, delete, list, count, FIND, LIST, of_application, services, FORGET]
};

const FIND: &str =
    "SELECT data, version FROM push_credentials WHERE application_id = $1 AND service = $2";
const LIST: &str = "SELECT data, version FROM push_credentials ORDER BY id LIMIT $1";
const LIST_OF_APPLICATION: &str =
    "SELECT data, version FROM push_credentials WHERE application_id = $1 ORDER BY id LIMIT 10";
const LIST_SERVICES: &str =
    "SELECT service FROM push_credentials WHERE application_id = $1 ORDER BY service LIMIT 10";
const FORGET: &str = "DELETE FROM push_credentials WHERE application_id = $1";

/// An application has at most one of each service.
impl Configured for PushCredentials {
    const TABLE: Table = configured_table!(
        "push_credentials" under application_id, application_id = "$4", service = "$5"
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
        vec![self.application.into(), name(self.service).into()]
    }
}

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

/// Takes all credentials from an application that is to be deleted.
pub async fn forget_application(
    tx: &mut Tx<'_>,
    application: Id<Application>,
) -> Result<(), StoreError> {
    tx.execute(FORGET, &[application.into()]).await.map(drop)
}
