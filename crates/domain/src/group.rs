//! Groups: users that belong together. A user can be in several.

use countersign_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    environment::Environment,
    id::Id,
    invalid::{Check, Invalid},
    population::Population,
};

/// A group of users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its id.
    pub id: Id<Group>,
    /// The tenant.
    pub environment: Id<Environment>,
    /// Unique in the environment, 1 to 256 characters.
    pub name: String,
    /// For administrators, at most 1,024 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The only population whose users can be in it; none: everybody can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub population: Option<Id<Population>>,
    /// What it is called elsewhere, 1 to 1,024 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// The last body that the platform API was told it by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Group {
    /// The rules for what an administrator may store.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.text(&self.name, "name", 256);
        check.optional_prose(self.description.as_deref(), "description", 1_024);
        if let Some(external_id) = &self.external_id {
            check.text(external_id, "external_id", 1_024);
        }
        check.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{assert_told, group};

    #[test]
    fn each_broken_rule_is_told() {
        assert_told(
            group,
            Group::validate,
            &[
                (|g| g.name = String::new(), "name must be given"),
                (|g| g.name = "x".repeat(257), "name must have at most 256 characters"),
                (
                    |g| g.description = Some("x".repeat(1_025)),
                    "description must have at most 1024 characters",
                ),
                (|g| g.external_id = Some(String::new()), "external_id must be given"),
            ],
        );
    }
}
