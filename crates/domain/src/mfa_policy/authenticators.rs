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
    /// Passcodes by mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Messages>,
    /// Passcodes by text message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sms: Option<Messages>,
    /// Passcodes by phone call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voice: Option<Messages>,
}

/// How passcodes behave that are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Messages {
    /// Wrong passcodes in a row that lock a target (1 to 7), and for how long (up to 30 minutes). Even without a lock the passcodes
    /// that were sent before count no more.
    pub passcode_limit: Limit,
    /// How long a passcode can be used, 1 to 1,800 seconds.
    pub life_seconds: u32,
    /// Digits of a passcode, 6 to 10.
    pub digits: u8,
    /// Refuses new targets; those that are active go on.
    pub pairing_disabled: bool,
}

impl Messages {
    /// Passcodes as they are if nobody says otherwise.
    pub const USUAL: Self = Self {
        passcode_limit: Limit { failures: 3, lock_seconds: 0 },
        life_seconds: 1_800,
        digits: 6,
        pairing_disabled: false,
    };
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
        let Self { totp, recovery_codes, email, sms, voice } = self;
        let none = email.is_none() && sms.is_none() && voice.is_none();
        none && totp.is_none() && recovery_codes.is_none()
    }

    /// When wrong passcodes lock an authenticator of a kind; none: this kind does not count.
    #[must_use]
    pub fn limit_of(&self, kind: &Kind) -> Option<Limit> {
        match kind {
            Kind::Totp { .. } => self.totp.as_ref().map(|rules| rules.passcode_limit),
            Kind::RecoveryCodes { .. } => self.recovery_codes.map(|rules| rules.passcode_limit),
            Kind::Email(_) | Kind::Sms(_) | Kind::Voice(_) => {
                self.messages(kind).map(|rules| rules.passcode_limit)
            }
        }
    }

    /// How passcodes behave that are sent to a kind of target, if they are.
    #[must_use]
    pub const fn messages(&self, kind: &Kind) -> Option<Messages> {
        match kind {
            Kind::Totp { .. } | Kind::RecoveryCodes { .. } => None,
            Kind::Email(_) => self.email,
            Kind::Sms(_) => self.sms,
            Kind::Voice(_) => self.voice,
        }
    }

    /// Whether there may be new authenticators of a kind.
    #[must_use]
    pub fn is_open(&self, kind: &Kind) -> bool {
        match kind {
            Kind::Totp { .. } => self.open_totp().is_some(),
            Kind::RecoveryCodes { .. } => self.recovery_codes.is_some(),
            Kind::Email(_) | Kind::Sms(_) | Kind::Voice(_) => {
                self.messages(kind).is_some_and(|rules| !rules.pairing_disabled)
            }
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
        for (name, rules) in [("email", self.email), ("sms", self.sms), ("voice", self.voice)] {
            let Some(Messages { passcode_limit, life_seconds, digits, .. }) = rules else {
                continue;
            };
            check.within(name, |check| {
                check.range(passcode_limit.failures.into(), "otp.failure.count", 1, 7);
                let lock = passcode_limit.lock_seconds.into();
                check.range(lock, "otp.failure.cool_down_seconds", 0, 1_800);
                check.range(life_seconds.into(), "otp.life_seconds", 1, 1_800);
                check.range(digits.into(), "otp.otp_length", 6, 10);
            });
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
