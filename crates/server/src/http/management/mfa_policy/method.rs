//! Methods beside native applications, as MFA policies tell of them (platform API, section 5.3).

use std::collections::BTreeMap;

use countersign_domain::{
    lockout::Limit,
    mfa_policy::{self, DEFAULT_GRACE_STEPS, Messages, Mobile, method::MethodRules},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::duration::{Duration, TimeUnit};

/// Passcodes that are sent.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "MessageMethod")]
pub(super) struct Message {
    enabled: bool,
    otp: MessageOtp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pairing_disabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_for_nickname_on_pairing: Option<bool>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct MessageOtp {
    /// How long a passcode can be used, up to 30 minutes.
    life_time: Duration,
    failure: Failure,
    /// Digits, 6 to 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    otp_length: Option<u8>,
}

/// When wrong attempts lock a device.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "OtpFailure")]
pub(super) struct Failure {
    /// Wrong attempts in a row, 1 to 7.
    pub count: u8,
    /// How long the lock lasts, up to 30 minutes.
    pub cool_down: Duration,
}

/// Passcodes that an app or a token makes.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "AuthenticatorMethod")]
pub(super) struct Authenticator {
    enabled: bool,
    otp: AuthenticatorOtp,
    /// Passcodes before and after the present one that count, 1 to 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    passcode_grace_period: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri_parameters: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pairing_disabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_for_nickname_on_pairing: Option<bool>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct AuthenticatorOtp {
    failure: Failure,
}

/// Recovery codes: a member of our own.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "RecoveryCodeMethod")]
pub(super) struct Recovery {
    enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<Failure>,
}

/// Security keys and passkeys.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "SecurityKeyMethod")]
pub(super) struct SecurityKey {
    enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<Failure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fido2_policy_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pairing_disabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_for_nickname_on_pairing: Option<bool>,
}

impl Failure {
    const fn lasting(minutes: u32) -> Self {
        Self { count: Mobile::PASSCODE_LIMIT.failures, cool_down: Duration::minutes(minutes) }
    }

    pub fn of(count: u8, seconds: u32, told: Option<Duration>) -> Self {
        Self { count, cool_down: Duration::of(seconds, told, TimeUnit::Minutes) }
    }

    pub const fn limit(&self) -> Limit {
        Limit { failures: self.count, lock_seconds: self.cool_down.seconds() }
    }

    fn rules(&self) -> MethodRules {
        MethodRules {
            failures: Some(self.count),
            lock_seconds: Some(self.cool_down.seconds()),
            ..MethodRules::default()
        }
    }
}

impl Message {
    pub const fn off() -> Self {
        let (life_time, failure) = (Duration::minutes(30), Failure::lasting(0));
        let otp = MessageOtp { life_time, failure, otp_length: Some(6) };
        let (pairing_disabled, prompt_for_nickname_on_pairing) = (None, None);
        Self { enabled: false, otp, pairing_disabled, prompt_for_nickname_on_pairing }
    }

    /// Passcodes of this kind, if they are sent.
    pub fn messages(&self) -> Option<Messages> {
        self.enabled.then(|| Messages {
            passcode_limit: self.otp.failure.limit(),
            life_seconds: self.otp.life_time.seconds(),
            digits: self.otp.otp_length.unwrap_or(Messages::USUAL.digits),
            pairing_disabled: self.pairing_disabled.unwrap_or_default(),
        })
    }

    /// The method as it stands, with what it was told by.
    pub fn of(known: Option<Messages>, told: Option<&Self>) -> Self {
        let Some(rules) = known else {
            return Self { enabled: false, ..told.cloned().unwrap_or_else(Self::off) };
        };
        let Limit { failures, lock_seconds } = rules.passcode_limit;
        let cool_down = told.map(|told| told.otp.failure.cool_down);
        let life_time = told.map(|told| told.otp.life_time);
        let length = told.and_then(|told| told.otp.otp_length).map(|_| rules.digits);
        let is_usual = rules.digits == Messages::USUAL.digits;
        let disabled = told.and_then(|told| told.pairing_disabled).map(|_| rules.pairing_disabled);
        Self {
            enabled: true,
            otp: MessageOtp {
                life_time: Duration::of(rules.life_seconds, life_time, TimeUnit::Minutes),
                failure: Failure::of(failures, lock_seconds, cool_down),
                otp_length: length.or_else(|| (!is_usual).then_some(rules.digits)),
            },
            pairing_disabled: disabled.or_else(|| rules.pairing_disabled.then_some(true)),
            prompt_for_nickname_on_pairing: told
                .and_then(|told| told.prompt_for_nickname_on_pairing),
        }
    }

    pub fn rules(&self) -> MethodRules {
        let life_seconds = Some(self.otp.life_time.seconds());
        MethodRules { life_seconds, length: self.otp.otp_length, ..self.otp.failure.rules() }
    }
}

impl Authenticator {
    pub const fn off() -> Self {
        Self {
            enabled: false,
            otp: AuthenticatorOtp { failure: Failure::lasting(2) },
            passcode_grace_period: None,
            uri_parameters: None,
            pairing_disabled: None,
            prompt_for_nickname_on_pairing: None,
        }
    }

    pub fn rules(&self) -> MethodRules {
        MethodRules { grace: self.passcode_grace_period, ..self.otp.failure.rules() }
    }

    /// Authenticator apps, if they count.
    pub fn totp(&self) -> Option<mfa_policy::Totp> {
        self.enabled.then(|| mfa_policy::Totp {
            passcode_limit: self.otp.failure.limit(),
            grace_steps: self.passcode_grace_period.unwrap_or(DEFAULT_GRACE_STEPS),
            pairing_disabled: self.pairing_disabled.unwrap_or_default(),
            uri_parameters: self.uri_parameters.clone().unwrap_or_default(),
        })
    }

    /// The method as it stands, with what it was told by.
    pub fn of(known: Option<&mfa_policy::Totp>, told: Option<&Self>) -> Self {
        let told = told.cloned();
        let Some(rules) = known else {
            return Self { enabled: false, ..told.unwrap_or_else(Self::off) };
        };
        let Limit { failures, lock_seconds } = rules.passcode_limit;
        let cool_down = told.as_ref().map(|told| told.otp.failure.cool_down);
        let of = told.as_ref();
        let parameters = (!rules.uri_parameters.is_empty()).then(|| rules.uri_parameters.clone());
        Self {
            enabled: true,
            otp: AuthenticatorOtp { failure: Failure::of(failures, lock_seconds, cool_down) },
            passcode_grace_period: of
                .and_then(|told| told.passcode_grace_period)
                .map(|_| rules.grace_steps)
                .or_else(|| {
                    (rules.grace_steps != DEFAULT_GRACE_STEPS).then_some(rules.grace_steps)
                }),
            uri_parameters: parameters.or_else(|| of.and_then(|told| told.uri_parameters.clone())),
            pairing_disabled: of
                .and_then(|told| told.pairing_disabled)
                .map(|_| rules.pairing_disabled)
                .or_else(|| rules.pairing_disabled.then_some(true)),
            prompt_for_nickname_on_pairing: of.and_then(|told| told.prompt_for_nickname_on_pairing),
        }
    }
}

impl Recovery {
    /// Recovery codes, if they count.
    pub fn codes(&self) -> Option<mfa_policy::RecoveryCodes> {
        let limit = self.failure.as_ref().map_or(Mobile::PASSCODE_LIMIT, Failure::limit);
        self.enabled.then_some(mfa_policy::RecoveryCodes { passcode_limit: limit })
    }

    /// The method as it stands, if there is something to say of it.
    pub fn of(known: Option<mfa_policy::RecoveryCodes>, told: Option<&Self>) -> Option<Self> {
        let Some(mfa_policy::RecoveryCodes { passcode_limit }) = known else {
            return told.map(|told| Self { enabled: false, ..told.clone() });
        };
        let failure = told.and_then(|told| told.failure.as_ref());
        let Limit { failures, lock_seconds } = passcode_limit;
        let failure = if failure.is_none() && passcode_limit == Mobile::PASSCODE_LIMIT {
            None
        } else {
            Some(Failure::of(failures, lock_seconds, failure.map(|told| told.cool_down)))
        };
        Some(Self { enabled: true, failure })
    }
}

impl SecurityKey {
    pub fn rules(&self) -> MethodRules {
        self.failure.as_ref().map(Failure::rules).unwrap_or_default()
    }
}
