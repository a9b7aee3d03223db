//! Grants of applications on the wire (platform API, section 3.5): which scopes of which resource they may ask for.
//!
//! They are kept in the application, since each request that names such scopes reads them with it.

use countersign_domain::{
    application::{Application, ResourceGrant},
    id::Id,
    invalid::{Invalid, Rule},
    role::Area,
};
use countersign_protocol::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    hal::Reference,
    part::{Part, Place, put_in},
    resource::id_in,
};
use crate::app::AdministerError;

/// What an application may ask for at one resource.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Grant")]
pub(super) struct Body {
    /// The resource. An application has one grant for each, and it cannot be changed.
    resource: Reference,
    /// Scopes of the resource, at least one.
    scopes: Vec<Reference>,
    /// Whose it is.
    #[serde(skip_deserializing)]
    application: Option<Reference>,
}

impl Part for ResourceGrant {
    type Whole = Application;
    const NAME: &'static str = "grant";
    const COLLECTION: &'static str = "grants";
    const AREA: Area = Area::Applications;
    const WHOLE: &'static str = "application";
    type Body = Body;

    fn id(&self) -> Id<Self> {
        self.id
    }

    fn all(whole: &Application) -> Vec<Self> {
        whole.oidc.grants.clone()
    }

    fn read(body: Body, place: &Place<'_, Self>) -> Result<Self, AdministerError> {
        let resource = id_in(&body.resource.id, "oidc.grants.resource.id")?;
        if place.old.is_some_and(|old| old.resource != resource) {
            return Err(Invalid::new("oidc.grants.resource.id", Rule::Immutable).into());
        }
        let mut scopes = Vec::new();
        for scope in &body.scopes {
            let scope = id_in(&scope.id, "oidc.grants.scopes")?;
            if !scopes.contains(&scope) {
                scopes.push(scope);
            }
        }
        let created_at = place.old.map_or(place.now, |old| old.created_at);
        Ok(Self { id: place.id, resource, scopes, created_at, updated_at: place.now })
    }

    fn body(&self, whole: &Application) -> Body {
        Body {
            resource: self.resource.into(),
            scopes: self.scopes.iter().copied().map(Reference::from).collect(),
            application: Some(whole.id.into()),
        }
    }

    fn times(&self) -> Option<(Timestamp, Timestamp)> {
        Some((self.created_at, self.updated_at))
    }

    fn put(self, whole: &mut Application) -> Result<(), AdministerError> {
        put_in(&mut whole.oidc.grants, self);
        Ok(())
    }

    fn remove(&self, whole: &mut Application) -> Result<(), AdministerError> {
        whole.oidc.grants.retain(|grant| grant.id != self.id);
        Ok(())
    }
}
