//! Populations: groups of users of an environment. Each user is in exactly one.

use countersign_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    environment::Environment,
    id::Id,
    invalid::{Check, Invalid},
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
    /// When it was made.
    pub created_at: Timestamp,
}

impl Population {
    /// The rules for what an administrator may store.
    pub fn validate(&self) -> Result<(), Invalid> {
        Check::default().text(&self.name, "name", 256).finish()
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
                (
                    |p| p.name = " x".to_owned(),
                    "name must be printable text without surrounding space",
                ),
            ],
        );
    }
}
