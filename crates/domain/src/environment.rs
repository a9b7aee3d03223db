//! Environments: the tenants. Every other id lives in one.

use countersign_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    id::Id,
    invalid::{Check, Invalid, Rule},
};

/// The name of the environment whose users administer the platform. Each platform has one from its first start.
pub const ADMINISTRATORS: &str = "Administrators";

/// A tenant: its own users, applications, policies and keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// First segment of every address of this tenant.
    pub id: Id<Environment>,
    /// Unique on this platform, 1 to 256 characters.
    pub name: String,
    /// For administrators, at most 1,024 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether real people depend on it.
    #[serde(default)]
    pub kind: Kind,
    /// When it was deleted. Nobody can use it since, and what is in it is kept until an operator removes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
    /// The last body that the platform API was told it by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// What an environment is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Real people depend on it.
    #[default]
    Production,
    /// Somebody tries things out.
    Sandbox,
}

impl Environment {
    /// The rules for what an administrator may store.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.text(&self.name, "name", 256);
        check.optional_prose(self.description.as_deref(), "description", 1_024);
        // It is how administrators are found.
        let form = Rule::Form { form: "another name: this one is the administrators'" };
        let stays = self.deleted_at.is_none() || self.name != ADMINISTRATORS;
        check.require(stays, "name", form);
        check.finish()
    }

    /// Whether it can be used.
    #[must_use]
    pub const fn is_there(&self) -> bool {
        self.deleted_at.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{NOW, assert_told, environment};

    #[test]
    fn each_broken_rule_is_told() {
        assert_told(
            environment,
            Environment::validate,
            &[
                (|e| e.name = String::new(), "name must be given"),
                (|e| e.name = "x".repeat(256), ""),
                (|e| e.name = "x".repeat(257), "name must have at most 256 characters"),
                (
                    |e| e.name = " x".to_owned(),
                    "name must be printable text without surrounding space",
                ),
                (
                    |e| e.description = Some("x".repeat(1_025)),
                    "description must have at most 1024 characters",
                ),
                (|e| e.name = ADMINISTRATORS.to_owned(), ""),
                (
                    |e| {
                        e.name = ADMINISTRATORS.to_owned();
                        e.deleted_at = Some(NOW);
                    },
                    "name must be another name: this one is the administrators'",
                ),
            ],
        );
    }
}
