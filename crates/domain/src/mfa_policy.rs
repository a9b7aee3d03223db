//! MFA policies: which methods count, and how each native application behaves.

mod authenticators;
pub mod method;

use countersign_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::authenticators::{
    ACTIVATION_LIMIT, Authenticators, DEFAULT_GRACE_STEPS, Messages, RecoveryCodes, Totp,
};
use crate::{
    application::Application,
    environment::Environment,
    id::Id,
    invalid::{Check, Invalid, Rule},
    lockout::Limit,
    push_limit::PushLimitRules,
};

/// `deviceAuthenticationPolicies` on the wire.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MfaPolicy {
    /// Its id.
    pub id: Id<MfaPolicy>,
    /// The tenant.
    pub environment: Id<Environment>,
    /// Unique in the environment, 1 to 256 characters.
    pub name: String,
    /// Whether MFA steps without a policy of their own use it; one in each environment.
    pub default: bool,
    /// Native applications as a method.
    pub mobile: Mobile,
    /// What counts beside native applications.
    #[serde(default, skip_serializing_if = "Authenticators::none")]
    pub authenticators: Authenticators,
    /// How a device is chosen when several could be used.
    pub device_selection: DeviceSelection,
    /// Lets a user pass although wrong passcodes have locked the user's MFA.
    pub ignore_user_lock: bool,
    /// Refuses users whose MFA is disabled; otherwise they count as users without a device.
    pub block_users_with_disabled_mfa: bool,
    /// Refuses disabled users also where a back end vouches for them. Nobody else who is disabled comes as far as an MFA step.
    #[serde(default = "yes")]
    pub block_disabled_users: bool,
    /// The last body that the platform API was told it by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

const fn yes() -> bool {
    true
}

/// Native applications as a method.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mobile {
    /// Whether they count at all.
    pub enabled: bool,
    /// Wrong passcodes in a row that lock a device (1 to 7), and for how long (2 to 30 minutes).
    pub passcode_limit: Limit,
    /// The applications that count. One that is not listed cannot be used under this policy.
    pub applications: Vec<MobileApplication>,
}

/// How one native application behaves under an MFA policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MobileApplication {
    /// The native application.
    pub application: Id<Application>,
    /// Whether its one-time passcodes count.
    pub passcode_enabled: bool,
    /// Whether a paired phone passes the MFA step of a flow that it runs itself.
    pub device_authorization: Option<DeviceAuthorization>,
    /// Whether the first sign-on from an unpaired phone offers to pair it.
    pub auto_enrollment: bool,
    /// Refuses new pairings; devices that are paired go on.
    pub pairing_disabled: bool,
    /// How long a new pairing key for its phones can be used, 60 to 172,800 seconds.
    #[serde(default = "default_pairing_key_life_seconds")]
    pub pairing_key_life_seconds: u32,
    /// Whether and how its phones are asked by push.
    #[serde(default)]
    pub push: PushRules,
    /// How people sign on by an authentication code of a sign-on page.
    #[serde(default)]
    pub codes: CodeRules,
}

/// How people sign on by an authentication code of a sign-on page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeRules {
    /// Whether the number that the page shows must come back too: whoever is lured to read somebody else's code has none.
    pub number_matching: bool,
}

/// How long a pairing key can be used if nobody says so, in seconds.
pub const DEFAULT_PAIRING_KEY_LIFE_SECONDS: u32 = 600;

const fn default_pairing_key_life_seconds() -> u32 {
    DEFAULT_PAIRING_KEY_LIFE_SECONDS
}

/// How phones are asked by push.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushRules {
    /// Whether they are.
    pub enabled: bool,
    /// Whether the number that the sign-on page shows must come back.
    pub number_matching: bool,
    /// How long a person has to answer, 40 to 150 seconds.
    pub timeout_seconds: u16,
    /// When too many went without a yes.
    pub limit: PushLimitRules,
}

impl Default for PushRules {
    fn default() -> Self {
        let limit = PushLimitRules::default();
        Self { enabled: false, number_matching: false, timeout_seconds: 40, limit }
    }
}

/// A paired phone passes the MFA step by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceAuthorization {
    /// Whether the phone must also answer a silent push.
    pub extra_verification: Option<ExtraVerification>,
}

/// What happens when the silent push of a device authorization stays without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExtraVerification {
    /// The step passes all the same, and the audit record says so.
    Permissive,
    /// The step fails.
    Restrictive,
}

/// How a device is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceSelection {
    /// The first usable device, without asking.
    #[default]
    DefaultToFirst,
    /// Asks when more than one is usable.
    PromptToSelect,
    /// Asks even when only one is.
    AlwaysDisplayDevices,
}

impl Mobile {
    /// Wrong passcodes that lock a device if nobody says otherwise.
    pub const PASSCODE_LIMIT: Limit = Limit { failures: 3, lock_seconds: 120 };
}

impl MobileApplication {
    /// One that is listed, and for which nothing is switched on.
    #[must_use]
    pub fn new(application: Id<Application>) -> Self {
        Self {
            application,
            passcode_enabled: false,
            device_authorization: None,
            auto_enrollment: false,
            pairing_disabled: false,
            pairing_key_life_seconds: DEFAULT_PAIRING_KEY_LIFE_SECONDS,
            push: PushRules::default(),
            codes: CodeRules::default(),
        }
    }
}

impl MfaPolicy {
    /// One that accepts native applications, and lists none.
    #[must_use]
    pub fn new(
        (id, environment): (Id<Self>, Id<Environment>),
        name: String,
        now: Timestamp,
    ) -> Self {
        let passcode_limit = Mobile::PASSCODE_LIMIT;
        Self {
            id,
            environment,
            name,
            default: false,
            mobile: Mobile { enabled: true, passcode_limit, applications: Vec::new() },
            authenticators: Authenticators::default(),
            device_selection: DeviceSelection::DefaultToFirst,
            ignore_user_lock: false,
            block_users_with_disabled_mfa: false,
            block_disabled_users: true,
            told: None,
            created_at: now,
            updated_at: now,
        }
    }

    /// How an application behaves under this policy, if it counts.
    #[must_use]
    pub fn application(&self, id: Id<Application>) -> Option<&MobileApplication> {
        let listed = self.mobile.applications.iter().find(|listed| listed.application == id);
        listed.filter(|_| self.mobile.enabled)
    }

    /// The rules for what an administrator may store.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.text(&self.name, "name", 256);
        check.range(self.mobile.passcode_limit.failures.into(), "mobile.otp.failure.count", 1, 7);
        let lock_seconds = self.mobile.passcode_limit.lock_seconds.into();
        check.range(lock_seconds, "mobile.otp.failure.cool_down_seconds", 120, 1_800);
        let mut ids: Vec<_> = self.mobile.applications.iter().map(|a| a.application).collect();
        ids.sort_unstable();
        let distinct = ids.windows(2).all(|pair| pair.first() != pair.last());
        check.require(distinct, "mobile.applications.id", Rule::Unique);
        let few = ids.len() <= 100;
        check.require(few, "mobile.applications", Rule::Form { form: "a list of at most 100" });
        for MobileApplication { pairing_key_life_seconds, push, .. } in &self.mobile.applications {
            let target = "mobile.applications.pairing_key_life_seconds";
            check.range((*pairing_key_life_seconds).into(), target, 60, 48 * 3_600);
            let PushRules { timeout_seconds, limit, .. } = push;
            let target = "mobile.applications.push_timeout_seconds";
            check.range((*timeout_seconds).into(), target, 40, 150);
            limit.validate(&mut check);
        }
        self.authenticators.validate(&mut check);
        check.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{assert_told, id, mfa_policy};

    fn listed(ids: &[u8]) -> Vec<MobileApplication> {
        let rules = mfa_policy().mobile.applications.remove(0);
        ids.iter().map(|n| MobileApplication { application: id(*n), ..rules.clone() }).collect()
    }

    #[test]
    fn an_application_counts_only_where_it_is_listed_and_phones_count_at_all() {
        let mut policy = mfa_policy();
        assert!(policy.application(id(1)).is_some());
        assert!(policy.application(id(2)).is_none());
        policy.mobile.enabled = false;
        assert!(policy.application(id(1)).is_none());
    }

    #[test]
    fn each_broken_rule_is_told() {
        assert_told(
            mfa_policy,
            MfaPolicy::validate,
            &[
                (|m| m.name = String::new(), "name must be given"),
                (|m| m.name = "x".repeat(256), ""),
                (|m| m.name = "x".repeat(257), "name must have at most 256 characters"),
                (
                    |m| m.name = " x".to_owned(),
                    "name must be printable text without surrounding space",
                ),
                (
                    |m| m.mobile.passcode_limit.failures = 0,
                    "mobile.otp.failure.count must be from 1 to 7",
                ),
                (
                    |m| m.mobile.passcode_limit.failures = 8,
                    "mobile.otp.failure.count must be from 1 to 7",
                ),
                (
                    |m| m.mobile.passcode_limit.lock_seconds = 119,
                    "mobile.otp.failure.cool_down_seconds must be from 120 to 1800",
                ),
                (
                    |m| m.mobile.passcode_limit.lock_seconds = 1_801,
                    "mobile.otp.failure.cool_down_seconds must be from 120 to 1800",
                ),
                (|m| m.mobile.applications = listed(&[3, 2, 3]), "mobile.applications.id is taken"),
                (|m| m.mobile.applications = listed(&(0..100).collect::<Vec<_>>()), ""),
                (
                    |m| m.mobile.applications = listed(&(0..101).collect::<Vec<_>>()),
                    "mobile.applications must be a list of at most 100",
                ),
                (|m| m.mobile.applications = Vec::new(), ""),
                (|m| m.mobile.applications[0].pairing_key_life_seconds = 60, ""),
                (|m| m.mobile.applications[0].pairing_key_life_seconds = 172_800, ""),
                (
                    |m| m.mobile.applications[0].pairing_key_life_seconds = 59,
                    "mobile.applications.pairing_key_life_seconds must be from 60 to 172800",
                ),
                (
                    |m| m.mobile.applications[0].pairing_key_life_seconds = 172_801,
                    "mobile.applications.pairing_key_life_seconds must be from 60 to 172800",
                ),
            ],
        );
    }
}
