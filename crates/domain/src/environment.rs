//! Environments: the tenants. Every other id lives in one.

use countersign_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    id::Id,
    invalid::{Check, Invalid},
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
    /// When it was made.
    pub created_at: Timestamp,
}

impl Environment {
    /// The rules for what an administrator may store.
    pub fn validate(&self) -> Result<(), Invalid> {
        Check::default().text(&self.name, "name", 256).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{assert_told, environment};

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
            ],
        );
    }
}
