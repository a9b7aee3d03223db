//! Attribute mappings of applications on the wire (platform API, section 3.5): what tokens and userinfo tell of a user.
//!
//! They are kept in the application, since each sign-on reads them with it. Each application has the mapping of `sub`.

use countersign_domain::{
    application::{Application, AttributeMapping, SUBJECT},
    authorization::Scope,
    id::Id,
    invalid::{Invalid, Rule},
    role::Area,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    hal::Reference,
    part::{Part, Place, put_in},
};
use crate::app::AdministerError;

/// An attribute mapping.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ApplicationAttribute")]
pub(super) struct Body {
    /// Name of the claim.
    name: String,
    /// What it says, at most 2,048 characters: text with references such as `${user.name.given}`.
    value: String,
    /// Whether a sign-on fails for a user for whom it is empty.
    #[serde(default)]
    required: bool,
    /// Whether it is in ID tokens.
    #[serde(default = "yes")]
    id_token: bool,
    /// Whether userinfo tells it.
    #[serde(default = "yes")]
    user_info: bool,
    /// Ids of the scopes of which one must be granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    oidc_scopes: Option<Vec<String>>,
    /// Whether it comes with every application.
    #[serde(skip_deserializing)]
    mapping_type: MappingType,
    /// Whose it is.
    #[serde(skip_deserializing)]
    application: Option<Reference>,
}

/// Whether a mapping comes with every application.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schemars(rename = "ApplicationAttributeType")]
enum MappingType {
    Core,
    #[default]
    Custom,
}

const fn yes() -> bool {
    true
}

impl Part for AttributeMapping {
    type Whole = Application;
    const NAME: &'static str = "attribute mapping";
    const COLLECTION: &'static str = "attributes";
    const AREA: Area = Area::Applications;
    const WHOLE: &'static str = "application";
    type Body = Body;

    fn id(&self) -> Id<Self> {
        self.id
    }

    /// That of `sub` first.
    fn all(whole: &Application) -> Vec<Self> {
        let own = whole.oidc.attributes.iter().filter(|mapping| mapping.name != SUBJECT);
        std::iter::once(whole.subject_mapping()).chain(own.cloned()).collect()
    }

    fn read(body: Body, place: &Place<'_, Self>) -> Result<Self, AdministerError> {
        let is_subject = body.name == SUBJECT;
        match place.old {
            // That of the subject is there already.
            None if is_subject => {
                return Err(Invalid::new("oidc.attributes.name", Rule::Unique).into());
            }
            Some(old) if is_subject != (old.name == SUBJECT) => {
                return Err(Invalid::new("oidc.attributes.name", Rule::Immutable).into());
            }
            None | Some(_) => {}
        }
        let name = |id: String| {
            let scope = Scope::ALL.iter().find(|scope| scope.id().to_string() == id);
            let unknown = || Invalid::new("oidc.attributes.scopes", Rule::Unknown);
            scope.map(|scope| scope.name().to_owned()).ok_or_else(unknown)
        };
        let scopes = body.oidc_scopes.unwrap_or_default().into_iter().map(name);
        Ok(Self {
            id: place.id,
            scopes: scopes.collect::<Result<_, _>>()?,
            name: body.name,
            value: body.value,
            required: body.required,
            id_token: body.id_token,
            user_info: body.user_info,
        })
    }

    fn body(&self, whole: &Application) -> Body {
        let id = |name: &String| {
            let scope = Scope::ALL.iter().find(|scope| scope.name() == name)?;
            Some(scope.id().to_string())
        };
        let scopes: Vec<_> = self.scopes.iter().filter_map(id).collect();
        let is_core = self.name == SUBJECT;
        Body {
            name: self.name.clone(),
            value: self.value.clone(),
            required: self.required,
            id_token: self.id_token,
            user_info: self.user_info,
            oidc_scopes: (!scopes.is_empty()).then_some(scopes),
            mapping_type: if is_core { MappingType::Core } else { MappingType::Custom },
            application: Some(whole.id.into()),
        }
    }

    fn put(self, whole: &mut Application) -> Result<(), AdministerError> {
        put_in(&mut whole.oidc.attributes, self);
        Ok(())
    }

    fn remove(&self, whole: &mut Application) -> Result<(), AdministerError> {
        if self.name == SUBJECT {
            return Err(AdministerError::InUse { by: "every token, as its subject" });
        }
        whole.oidc.attributes.retain(|mapping| mapping.id != self.id);
        Ok(())
    }
}
