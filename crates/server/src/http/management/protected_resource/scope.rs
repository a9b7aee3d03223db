//! Scopes of resources on the wire. Those of the two that come with an environment have the same ids everywhere.

use countersign_domain::{
    id::Id,
    protected_resource::{ProtectedResource, ResourceScope},
    role::Area,
};
use countersign_protocol::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::{
    hal::Reference,
    part::{Part, Place, put_in},
};
use crate::app::AdministerError;

/// What an application can ask for at a resource.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Scope")]
pub(in super::super) struct Body {
    /// Unique among the scopes of the environment: 1 to 256 visible ASCII characters, not beginning with `p1:`.
    name: String,
    /// For administrators, at most 1,024 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// Whose it is.
    #[serde(skip_deserializing)]
    resource: Option<Reference>,
}

impl Part for ResourceScope {
    type Whole = ProtectedResource;
    const NAME: &'static str = "scope of a resource";
    const COLLECTION: &'static str = "scopes";
    const AREA: Area = Area::Applications;
    const WHOLE: &'static str = "resource";
    type Body = Body;

    fn id(&self) -> Id<Self> {
        self.id
    }

    fn all(whole: &ProtectedResource) -> Vec<Self> {
        whole.all_scopes().into_owned()
    }

    fn read(body: Body, place: &Place<'_, Self>) -> Result<Self, AdministerError> {
        let Body { name, description, resource: _ } = body;
        let created_at = place.old.map_or(place.now, |old| old.created_at);
        Ok(Self { id: place.id, name, description, created_at, updated_at: place.now })
    }

    fn body(&self, whole: &ProtectedResource) -> Body {
        Body {
            name: self.name.clone(),
            description: self.description.clone(),
            resource: Some(whole.id.into()),
        }
    }

    fn times(&self) -> Option<(Timestamp, Timestamp)> {
        Some((self.created_at, self.updated_at))
    }

    fn put(self, whole: &mut ProtectedResource) -> Result<(), AdministerError> {
        put_in(&mut whole.scopes, self);
        Ok(())
    }

    fn remove(&self, whole: &mut ProtectedResource) -> Result<(), AdministerError> {
        if !whole.is_custom() {
            return Err(AdministerError::InUse { by: "the environment, with which it comes" });
        }
        whole.scopes.retain(|scope| scope.id != self.id);
        Ok(())
    }
}
