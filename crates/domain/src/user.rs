//! Users: the people who sign in.

use countersign_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    environment::Environment,
    id::Id,
    invalid::{Check, Invalid, Rule},
    lockout::Lockout,
    population::Population,
};

/// The most characters of a user name.
pub const MAX_USERNAME_CHARACTERS: usize = 128;

/// A person who signs in to the applications of an environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The subject of tokens.
    pub id: Id<User>,
    /// The tenant.
    pub environment: Id<Environment>,
    /// The population.
    pub population: Id<Population>,
    /// Unique in the environment without regard to case, 1 to 128 characters.
    pub username: String,
    /// Mail address.
    pub email: String,
    /// What the person is called.
    #[serde(default)]
    pub name: Name,
    /// Whether the user may sign in at all.
    pub enabled: bool,
    /// Whether the user may pass MFA steps with devices.
    pub mfa_enabled: bool,
    /// Wrong passcodes and denied pushes over all devices (MFA settings, lockout).
    #[serde(default)]
    pub mfa_lockout: Lockout,
    /// When the user was made.
    pub created_at: Timestamp,
    /// When the user last changed.
    pub updated_at: Timestamp,
}

/// Parts of a name, each at most 256 characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Name {
    /// Given name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given: Option<String>,
    /// Family name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
}

impl Name {
    /// Given and family name in one, or nothing if neither is known.
    #[must_use]
    pub fn formatted(&self) -> Option<String> {
        let parts: Vec<&str> =
            [&self.given, &self.family].into_iter().flatten().map(String::as_str).collect();
        if parts.is_empty() { None } else { Some(parts.join(" ")) }
    }
}

impl User {
    /// The rules for what an administrator may store.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.text(&self.username, "username", MAX_USERNAME_CHARACTERS).text(
            &self.email,
            "email",
            254,
        );
        check.require(is_address(&self.email), "email", Rule::Form { form: "a mail address" });
        if let Some(given) = &self.name.given {
            check.text(given, "name.given", 256);
        }
        if let Some(family) = &self.name.family {
            check.text(family, "name.family", 256);
        }
        check.finish()
    }

    /// Whether anybody could have this user name. Others are nobody's, and are not looked for.
    #[must_use]
    pub fn is_username(text: &str) -> bool {
        Check::default().text(text, "username", MAX_USERNAME_CHARACTERS).finish().is_ok()
    }

    /// The form of a user name under which it is unique and looked up.
    #[must_use]
    pub fn username_key(username: &str) -> String {
        username.to_lowercase()
    }
}

/// One `@` with something on both sides and no space: what can be checked without sending mail.
fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    !local.is_empty()
        && !domain.is_empty()
        && !text.contains(char::is_whitespace)
        && !local.contains('@')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{assert_told, user};

    #[test]
    fn each_broken_rule_is_told() {
        assert_told(
            user,
            User::validate,
            &[
                (|u| u.username = String::new(), "username must be given"),
                (|u| u.username = "x".repeat(128), ""),
                (|u| u.username = "x".repeat(129), "username must have at most 128 characters"),
                (
                    |u| u.username = "a\u{202e}b".to_owned(),
                    "username must be printable text without surrounding space",
                ),
                (|u| u.email = format!("{}@x", "x".repeat(252)), ""),
                (
                    |u| u.email = format!("{}@x", "x".repeat(253)),
                    "email must have at most 254 characters",
                ),
                (|u| u.email = "ann".to_owned(), "email must be a mail address"),
                (|u| u.email = "@bank.example".to_owned(), "email must be a mail address"),
                (|u| u.email = "ann@".to_owned(), "email must be a mail address"),
                (|u| u.email = "ann@lee@bank.example".to_owned(), "email must be a mail address"),
                (|u| u.email = "ann lee@bank.example".to_owned(), "email must be a mail address"),
                (|u| u.name = Name::default(), ""),
                (|u| u.name.given = Some(String::new()), "name.given must be given"),
                (
                    |u| u.name.family = Some("x".repeat(257)),
                    "name.family must have at most 256 characters",
                ),
            ],
        );
    }
}
