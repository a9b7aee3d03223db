//! MFA settings: what holds for all users of an environment.

use countersign_protocol::{pairing_key::KeyFormat, time::Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    invalid::{Check, Invalid},
    lockout::Limit,
};

/// One per environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MfaSettings {
    /// Devices that a user may have, active and blocked, 1 to 15.
    pub max_allowed_devices: u8,
    /// What new pairing keys are made of.
    #[serde(default)]
    pub pairing_key_format: KeyFormat,
    /// Wrong passcodes over all devices that lock the user's MFA; none: they never do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lockout: Option<Limit>,
    /// Whether new users may pass MFA steps with devices.
    pub new_users_mfa_enabled: bool,
    /// The last body that the platform API was told them by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<String>,
    /// When they last changed; none: they are the defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
}

/// The length of a lock that ends only when an administrator ends it: more than a hundred years.
pub const UNTIL_UNLOCKED: u32 = u32::MAX;

impl Default for MfaSettings {
    fn default() -> Self {
        // Ten guesses an hour at eleven valid codes in a million.
        let lockout = Some(Limit { failures: 10, lock_seconds: 3_600 });
        Self {
            max_allowed_devices: 5,
            pairing_key_format: KeyFormat::default(),
            lockout,
            new_users_mfa_enabled: true,
            told: None,
            updated_at: None,
        }
    }
}

impl MfaSettings {
    /// The rules for what an administrator may store.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.range(self.max_allowed_devices.into(), "pairing.max_allowed_devices", 1, 15);
        if let Some(lockout) = self.lockout {
            check.range(lockout.failures.into(), "lockout.failures", 1, 100);
            if lockout.lock_seconds != UNTIL_UNLOCKED {
                check.range(lockout.lock_seconds.into(), "lockout.lock_seconds", 1, 86_400);
            }
        }
        check.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{assert_told, mfa_settings};

    const fn locking(failures: u8, lock_seconds: u32) -> Limit {
        Limit { failures, lock_seconds }
    }

    #[test]
    fn each_broken_rule_is_told() {
        assert_told(
            mfa_settings,
            MfaSettings::validate,
            &[
                (|m| m.lockout = None, ""),
                (|m| m.max_allowed_devices = 0, "pairing.max_allowed_devices must be from 1 to 15"),
                (|m| m.max_allowed_devices = 15, ""),
                (
                    |m| m.max_allowed_devices = 16,
                    "pairing.max_allowed_devices must be from 1 to 15",
                ),
                (|m| m.lockout = Some(locking(0, 600)), "lockout.failures must be from 1 to 100"),
                (|m| m.lockout = Some(locking(101, 600)), "lockout.failures must be from 1 to 100"),
                (|m| m.lockout = Some(locking(100, 86_400)), ""),
                (|m| m.lockout = Some(locking(1, UNTIL_UNLOCKED)), ""),
                (
                    |m| m.lockout = Some(locking(1, 0)),
                    "lockout.lock_seconds must be from 1 to 86400",
                ),
                (
                    |m| m.lockout = Some(locking(1, 86_401)),
                    "lockout.lock_seconds must be from 1 to 86400",
                ),
            ],
        );
    }
}
