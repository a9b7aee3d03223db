//! Populations on the wire (platform API, section 2.2).

use countersign_domain::{id::Id, population::Population, role::Area};
use countersign_protocol::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    hal::Reference,
    resource::{New, Resource, kept},
};
use crate::app::AdministerError;

/// The only theme.
const THEME: Id<Reference> = Id::from_bytes([0, 0, 0, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 2, 1]);

/// The language of populations that name none.
const LANGUAGE: &str = "en";

/// A population: a part of the users of an environment.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Population")]
pub(super) struct Body {
    /// Unique in the environment, 1 to 256 characters.
    name: String,
    /// For administrators, at most 1,024 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// Whether users who are made without a population come into this one. One of each environment is it.
    #[serde(default)]
    default: bool,
    /// The language of messages to its users, as RFC 5646 writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    preferred_language: Option<String>,
    #[serde(flatten)]
    kept: Kept,
}

/// What is kept for others, and not acted on.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
struct Kept {
    /// How pages look to its users. There is one theme.
    theme: Option<Reference>,
    /// The rules for passwords. There is one set of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    password_policy: Option<Reference>,
    /// Other names of the population.
    #[serde(skip_serializing_if = "Option::is_none")]
    alternative_identifiers: Option<Vec<String>>,
}

impl Resource for Population {
    const NAME: &'static str = "population";
    const COLLECTION: &'static str = "populations";
    const AREA: Area = Area::Environment;
    type Body = Body;

    fn blank(new: &New<Self>) -> Self {
        Self {
            id: new.id,
            environment: new.environment,
            name: String::new(),
            default: false,
            description: None,
            preferred_language: None,
            told: None,
            created_at: new.now,
            updated_at: new.now,
        }
    }

    fn put(&mut self, body: Body) -> Result<(), AdministerError> {
        let Body { name, description, default, preferred_language, kept: _ } = body;
        (self.name, self.description) = (name, description);
        (self.default, self.preferred_language) = (default, preferred_language);
        Ok(())
    }

    fn body(&self) -> Body {
        let mut kept: Kept = kept(self);
        // Clients wait until there is one.
        kept.theme.get_or_insert_with(|| THEME.into());
        Body {
            name: self.name.clone(),
            description: self.description.clone(),
            default: self.default,
            preferred_language: Some(
                self.preferred_language.clone().unwrap_or_else(|| LANGUAGE.to_owned()),
            ),
            kept,
        }
    }

    fn told(&self) -> Option<&str> {
        self.told.as_deref()
    }

    fn tell(&mut self, told: String) {
        self.told = Some(told);
    }

    fn defaults(blank: &Self) -> Value {
        let mut body = serde_json::to_value(blank.body()).unwrap_or_default();
        // Always told, since clients wait for them.
        if let Some(members) = body.as_object_mut() {
            members.remove("theme");
            members.remove("preferredLanguage");
            members.remove("default");
        }
        body
    }

    fn times(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        (Some(self.created_at), Some(self.updated_at))
    }
}
