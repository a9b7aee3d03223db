//! Populations: groups of users of an environment. Each user is in exactly one.

use countersign_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    environment::Environment,
    id::Id,
    invalid::{Check, Invalid, Rule},
};

/// A part of the users of an environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Population {
    /// Its id.
    pub id: Id<Population>,
    /// The tenant.
    pub environment: Id<Environment>,
    /// Unique in the environment, 1 to 256 characters.
    pub name: String,
    /// Whether it receives users that are made without a population; one in each environment.
    pub default: bool,
    /// For administrators, at most 1,024 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The language that messages to its users are in if they name none, as RFC 5646 writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preferred_language: Option<String>,
    /// The last body that the platform API was told it by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Population {
    /// The rules for what an administrator may store.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.text(&self.name, "name", 256);
        check.optional_prose(self.description.as_deref(), "description", 1_024);
        if let Some(language) = &self.preferred_language {
            let is_tag = language.len() <= 35
                && language.split('-').all(|part| (1..=8).contains(&part.len()))
                && language.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            let form = "a language tag of RFC 5646";
            check.require(is_tag, "preferred_language", Rule::Form { form });
        }
        check.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{assert_told, population};

    #[test]
    fn each_broken_rule_is_told() {
        assert_told(
            population,
            Population::validate,
            &[
                (|p| p.name = String::new(), "name must be given"),
                (|p| p.name = "x".repeat(256), ""),
                (|p| p.name = "x".repeat(257), "name must have at most 256 characters"),
                (|p| p.description = Some("x\ny".repeat(341)), ""),
                (
                    |p| p.description = Some("x".repeat(1_025)),
                    "description must have at most 1024 characters",
                ),
                (|p| p.preferred_language = Some("de-CH".to_owned()), ""),
                (
                    |p| p.preferred_language = Some("de_CH".to_owned()),
                    "preferred_language must be a language tag of RFC 5646",
                ),
                (
                    |p| p.name = " x".to_owned(),
                    "name must be printable text without surrounding space",
                ),
            ],
        );
    }
}
