//! Attributes of resources on the wire: what access tokens for them say of a user. Each resource has that of `sub`.

use countersign_domain::{
    application::SUBJECT,
    id::Id,
    invalid::{Invalid, Rule},
    protected_resource::{ProtectedResource, ResourceAttribute},
    role::Area,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::{
    hal::Reference,
    part::{Part, Place, put_in},
};
use crate::app::AdministerError;

/// A claim of the access tokens of a resource.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ResourceAttribute")]
pub(in super::super) struct Body {
    /// Name of the claim.
    name: String,
    /// What it says, at most 2,048 characters: text with references such as `${user.name.given}`.
    value: String,
    /// Whether it comes with every resource.
    #[serde(rename = "type", skip_deserializing)]
    kind: Type,
    /// Whose it is.
    #[serde(skip_deserializing)]
    resource: Option<Reference>,
}

/// Whether an attribute comes with every resource.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schemars(rename = "ResourceAttributeType")]
enum Type {
    Core,
    #[default]
    Custom,
}

impl Part for ResourceAttribute {
    type Whole = ProtectedResource;
    const NAME: &'static str = "attribute of a resource";
    const COLLECTION: &'static str = "attributes";
    const AREA: Area = Area::Applications;
    const WHOLE: &'static str = "resource";
    type Body = Body;

    fn id(&self) -> Id<Self> {
        self.id
    }

    /// That of `sub` first, which is not stored.
    fn all(whole: &ProtectedResource) -> Vec<Self> {
        let subject =
            Self { id: whole.id.cast(), name: SUBJECT.to_owned(), value: "${user.id}".to_owned() };
        std::iter::once(subject).chain(whole.attributes.iter().cloned()).collect()
    }

    fn read(body: Body, place: &Place<'_, Self>) -> Result<Self, AdministerError> {
        let Body { name, value, .. } = body;
        if place.old.is_some_and(|old| old.name == SUBJECT && old.value != value) {
            let form = "${user.id} for the claim sub, which is never reassigned";
            return Err(Invalid::new("attributes.value", Rule::Form { form }).into());
        }
        if place.old.is_some_and(|old| old.name == SUBJECT && old.name != name) {
            return Err(Invalid::new("attributes.name", Rule::Immutable).into());
        }
        Ok(Self { id: place.id, name, value })
    }

    fn body(&self, whole: &ProtectedResource) -> Body {
        let is_core = self.name == SUBJECT;
        Body {
            name: self.name.clone(),
            value: self.value.clone(),
            kind: if is_core { Type::Core } else { Type::Custom },
            resource: Some(whole.id.into()),
        }
    }

    fn put(self, whole: &mut ProtectedResource) -> Result<(), AdministerError> {
        if self.id == whole.id.cast() {
            return Ok(());
        }
        put_in(&mut whole.attributes, self);
        Ok(())
    }

    fn remove(&self, whole: &mut ProtectedResource) -> Result<(), AdministerError> {
        if self.name == SUBJECT {
            return Err(AdministerError::InUse { by: "every token, as its subject" });
        }
        whole.attributes.retain(|attribute| attribute.id != self.id);
        Ok(())
    }
}
