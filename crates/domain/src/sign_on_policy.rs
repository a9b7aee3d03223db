//! Sign-on policies: the ordered steps of a sign-on, and which application uses which.

use countersign_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    application::Application,
    condition::Condition,
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
    /// For administrators, at most 1,024 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The steps, by ascending priority. A policy without any lets nobody in.
    pub actions: Vec<Action>,
    /// The last body that the platform API was told it by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<String>,
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
    /// Its place: ascending, 1 or more. Of two with the same, the older comes first.
    pub priority: u16,
    /// What is done.
    #[serde(flatten)]
    pub kind: ActionKind,
    /// When it is done; none: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<Condition>,
    /// The last body that the platform API was told it by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<String>,
}

impl Action {
    /// One that is always done.
    #[must_use]
    pub const fn new(id: Id<Self>, priority: u16, kind: ActionKind) -> Self {
        Self { id, priority, kind, condition: None, told: None }
    }
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

/// The most bytes of what is kept of an action for others: each sign-on reads them.
const MAX_KEPT: usize = 8 * 1_024;

impl SignOnPolicyAssignment {
    /// The rules for what an administrator may store.
    pub fn validate(&self) -> Result<(), Invalid> {
        Check::default().range(self.priority.into(), "priority", 1, 1_000).finish()
    }
}

impl SignOnPolicy {
    /// One without actions.
    #[must_use]
    pub const fn new(
        (id, environment): (Id<Self>, Id<Environment>),
        name: String,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            environment,
            name,
            default: false,
            description: None,
            actions: Vec::new(),
            told: None,
            created_at: now,
            updated_at: now,
        }
    }

    /// The rules for what an administrator may store.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.text(&self.name, "name", 256);
        let plain = self.name.chars().all(|c| c.is_ascii_alphanumeric() || "_. -".contains(c));
        let named = plain || (self.name.contains(':') && url::Url::parse(&self.name).is_ok());
        let form = "letters, digits, '_', '.', ' ' and '-', or an absolute URI";
        check.require(named, "name", Rule::Form { form });
        check.optional_prose(self.description.as_deref(), "description", 1_024);
        let form = "false as long as the policy has no actions";
        let is_fit = !self.default || !self.actions.is_empty();
        check.require(is_fit, "default", Rule::Form { form });
        check.require(
            self.actions.len() <= 20,
            "actions",
            Rule::Form { form: "a list of at most 20" },
        );
        let mut last = 0;
        for action in &self.actions {
            check.range(action.priority.into(), "actions.priority", 1, 1_000);
            let form = "ascending";
            check.require(action.priority >= last, "actions.priority", Rule::Form { form });
            last = action.priority;
            let kept = action.told.as_ref().map_or(0, String::len);
            let short = kept <= MAX_KEPT;
            check.require(short, "actions", Rule::TooLong { max: MAX_KEPT });
        }
        // Nobody is known then, except by a session.
        let first = self.actions.first().and_then(|action| action.condition.as_ref());
        let is_open = first.is_none_or(|condition| !condition.mentions_user());
        let form = "without the user in the first action";
        check.require(is_open, "actions.condition", Rule::Form { form });
        check.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{assert_told, id, sign_on_policy};

    fn about_user() -> Condition {
        let condition = serde_json::json!({ "value": "${user.username}", "equals": "ann" });
        Condition::parse(&condition).unwrap()
    }

    fn logins(priorities: impl IntoIterator<Item = u16>) -> Vec<Action> {
        let login = |priority| Action::new(id(1), priority, ActionKind::Login);
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
                (
                    |s| s.actions = Vec::new(),
                    "default must be false as long as the policy has no actions",
                ),
                (|s| (s.actions, s.default) = (Vec::new(), false), ""),
                (
                    |s| s.actions[0].condition = Some(about_user()),
                    "actions.condition must be without the user in the first action",
                ),
                (|s| s.actions[1].condition = Some(about_user()), ""),
                (
                    |s| s.actions[1].told = Some("x".repeat(8 * 1_024 + 1)),
                    "actions must have at most 8192 characters",
                ),
                (|s| s.actions = logins(1..=20), ""),
                (|s| s.actions = logins(1..=21), "actions must be a list of at most 20"),
                (|s| s.actions = logins([1, 1]), ""),
                (|s| s.actions = logins([2, 1]), "actions.priority must be ascending"),
                (|s| s.actions = logins([1_001]), "actions.priority must be from 1 to 1000"),
                (|s| s.actions = logins([0]), "actions.priority must be from 1 to 1000"),
            ],
        );
    }
}
