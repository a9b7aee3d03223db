//! How authenticators behave under an MFA policy: which of them count, and when wrong passcodes lock one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    authenticator::{self, Kind, totp},
    invalid::{Check, Rule},
    lockout::Limit,
};

/// Which authenticators count; none is as if the user had none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authenticators {
    /// Authenticator apps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub totp: Option<Totp>,
    /// Recovery codes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_codes: Option<RecoveryCodes>,
}

/// How authenticator apps behave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totp {
    /// Wrong passcodes in a row that lock one (1 to 7), and for how long (2 to 30 minutes).
    pub passcode_limit: Limit,
    /// Passcodes before and after the present one that count too, 1 to 10.
    pub grace_steps: u8,
    /// Refuses new ones; those that are active go on.
    pub pairing_disabled: bool,
    /// What the address by which an app learns its seed says beside that, such as an `issuer`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub uri_parameters: BTreeMap<String, String>,
}

/// How recovery codes behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryCodes {
    /// Wrong codes in a row that lock them (1 to 7), and for how long (2 to 30 minutes).
    pub passcode_limit: Limit,
}

/// Passcodes before and after the present one that count if nobody says otherwise.
pub const DEFAULT_GRACE_STEPS: u8 = 5;

/// The most parameters of an address.
const MAX_PARAMETERS: usize = 10;

impl Authenticators {
    /// Whether none count.
    #[must_use]
    pub const fn none(&self) -> bool {
        self.totp.is_none() && self.recovery_codes.is_none()
    }

    /// When wrong passcodes lock an authenticator of a kind; none: this kind does not count.
    #[must_use]
    pub fn limit_of(&self, kind: &Kind) -> Option<Limit> {
        match kind {
            Kind::Totp { .. } => self.totp.as_ref().map(|rules| rules.passcode_limit),
            Kind::RecoveryCodes { .. } => self.recovery_codes.map(|rules| rules.passcode_limit),
        }
    }

    /// The rules for new authenticator apps, where there may be any.
    #[must_use]
    pub fn open_totp(&self) -> Option<&Totp> {
        self.totp.as_ref().filter(|rules| !rules.pairing_disabled)
    }

    pub(super) fn validate(&self, check: &mut Check) {
        if let Some(Totp { passcode_limit, grace_steps, uri_parameters, .. }) = &self.totp {
            check.within("totp", |check| {
                within(*passcode_limit, check);
                check.range((*grace_steps).into(), "passcode_grace_period", 1, 10);
                let fits = |(name, value): (&String, &String)| totp::is_parameter(name, value);
                let all_fit =
                    uri_parameters.len() <= MAX_PARAMETERS && uri_parameters.iter().all(fits);
                let form = "at most 10 of 1 to 100 characters, none of them one that says how passcodes are made";
                check.require(all_fit, "uri_parameters", Rule::Form { form });
            });
        }
        if let Some(rules) = self.recovery_codes {
            check.within("recovery_codes", |check| within(rules.passcode_limit, check));
        }
    }
}

fn within(limit: Limit, check: &mut Check) {
    check.range(limit.failures.into(), "otp.failure.count", 1, 7);
    check.range(limit.lock_seconds.into(), "otp.failure.cool_down_seconds", 120, 1_800);
}

/// The limit of one that is not activated yet, and so of no policy.
pub const ACTIVATION_LIMIT: Limit =
    Limit { failures: authenticator::ACTIVATION_FAILURES, lock_seconds: 0 };
