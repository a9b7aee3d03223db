//! Sign-on policies: the ordered steps of a sign-on, and which application uses which.

use countersign_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    application::Application,
    environment::Environment,
    id::Id,
    invalid::{Check, Invalid, Rule},
    mfa_policy::MfaPolicy,
};

/// Ordered steps. Its name is the `acr` of tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignOnPolicy {
    /// Its id.
    pub id: Id<SignOnPolicy>,
    /// The tenant.
    pub environment: Id<Environment>,
    /// Unique in the environment: letters, digits, `_`, `.`, space and `-`, or an absolute URI.
    pub name: String,
    /// Whether applications without an assignment use it; one in each environment.
    pub default: bool,
    /// The steps, by ascending priority.
    pub actions: Vec<Action>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// One step of a sign-on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// Its id.
    pub id: Id<Action>,
    /// Its place: ascending, 1 or more.
    pub priority: u16,
    /// What is done.
    #[serde(flatten)]
    pub kind: ActionKind,
}

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ActionKind {
    /// User name and password on one screen.
    Login,
    /// The user name first, then the password.
    IdentifierFirst,
    /// A device of the user.
    MultiFactorAuthentication {
        /// The MFA policy; none: the default of the environment.
        mfa_policy: Option<Id<MfaPolicy>>,
        /// What happens to a user without a device that the policy accepts.
        no_devices_mode: NoDevicesMode,
    },
}

/// "None or incompatible methods" in the console.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoDevicesMode {
    /// The flow fails.
    #[default]
    Block,
    /// The step is skipped, but only after the user has authenticated in an earlier step.
    Bypass,
}

/// Which policies an application uses, by ascending priority. The first is used unless the request names another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignOnPolicyAssignment {
    /// Its id.
    pub id: Id<SignOnPolicyAssignment>,
    /// The tenant.
    pub environment: Id<Environment>,
    /// The application.
    pub application: Id<Application>,
    /// The policy.
    pub sign_on_policy: Id<SignOnPolicy>,
    /// Its place: ascending, 1 or more.
    pub priority: u16,
}

impl SignOnPolicy {
    /// The rules for what an administrator may store.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.text(&self.name, "name", 256);
        let plain = self.name.chars().all(|c| c.is_ascii_alphanumeric() || "_. -".contains(c));
        let named = plain || (self.name.contains(':') && url::Url::parse(&self.name).is_ok());
        let form = "letters, digits, '_', '.', ' ' and '-', or an absolute URI";
        check.require(named, "name", Rule::Form { form });
        check.require(!self.actions.is_empty(), "actions", Rule::Required);
        check.require(
            self.actions.len() <= 20,
            "actions",
            Rule::Form { form: "a list of at most 20" },
        );
        let mut last = 0;
        for action in &self.actions {
            check.range(action.priority.into(), "actions.priority", 1, 1_000);
            let form = "distinct and ascending";
            check.require(action.priority > last, "actions.priority", Rule::Form { form });
            last = action.priority;
        }
        check.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{assert_told, id, sign_on_policy};

    fn logins(priorities: impl IntoIterator<Item = u16>) -> Vec<Action> {
        let login = |priority| Action { id: id(1), priority, kind: ActionKind::Login };
        priorities.into_iter().map(login).collect()
    }

    #[test]
    fn each_broken_rule_is_told() {
        assert_told(
            sign_on_policy,
            SignOnPolicy::validate,
            &[
                (|s| s.name = String::new(), "name must be given"),
                (|s| s.name = "x".repeat(256), ""),
                (|s| s.name = "x".repeat(257), "name must have at most 256 characters"),
                (
                    |s| s.name = " x".to_owned(),
                    "name must be printable text without surrounding space",
                ),
                (|s| s.name = "urn:bank:strong".to_owned(), ""),
                (
                    |s| s.name = "a/b".to_owned(),
                    "name must be letters, digits, '_', '.', ' ' and '-', or an absolute URI",
                ),
                (
                    |s| s.name = "http://".to_owned(),
                    "name must be letters, digits, '_', '.', ' ' and '-', or an absolute URI",
                ),
                (|s| s.actions = Vec::new(), "actions must be given"),
                (|s| s.actions = logins(1..=20), ""),
                (|s| s.actions = logins(1..=21), "actions must be a list of at most 20"),
                (|s| s.actions = logins([1, 1]), "actions.priority must be distinct and ascending"),
                (|s| s.actions = logins([2, 1]), "actions.priority must be distinct and ascending"),
                (|s| s.actions = logins([1_001]), "actions.priority must be from 1 to 1000"),
                (
                    |s| s.actions = logins([0]),
                    "actions.priority must be from 1 to 1000; actions.priority must be distinct and ascending",
                ),
            ],
        );
    }
}
