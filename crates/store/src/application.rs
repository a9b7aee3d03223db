//! Applications.

use countersign_domain::{application::Application, environment::Environment, id::Id};

pub use crate::configured::{insert, list, load, swap};
use crate::{
    StoreError, Tx, Value, Versioned,
    configured::{Configured, Table},
    configured_table, document,
};

pub(crate) const STATEMENTS: &[&str] = &{
    let [insert, load, swap, delete, list, count] = Application::TABLE.statements();
    [insert, load, swap, delete, list, count, FIND_BY_NAME]
};

const FIND_BY_NAME: &str =
    "SELECT data, version FROM applications WHERE environment_id = $1 AND name = $2";

/// The name, and those of its app at the makers of phones, are unique in the environment.
impl Configured for Application {
    const TABLE: Table = configured_table!(
        "applications",
        name = "$4",
        package_name = "$5",
        bundle_id = "$6",
        huawei_app_id = "$7",
        huawei_package_name = "$8"
    );

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
        let mobile = self.mobile.as_ref();
        vec![
            self.name.as_str().into(),
            mobile.and_then(|mobile| mobile.package_name.as_deref()).into(),
            mobile.and_then(|mobile| mobile.bundle_id.as_deref()).into(),
            mobile.and_then(|mobile| mobile.huawei_app_id.as_deref()).into(),
            mobile.and_then(|mobile| mobile.huawei_package_name.as_deref()).into(),
        ]
    }
}

/// The application of this name in this environment.
pub async fn find_by_name(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    name: &str,
) -> Result<Option<Versioned<Application>>, StoreError> {
    document::find(tx, FIND_BY_NAME, &[environment.into(), name.into()]).await
}
