//! Native applications, as MFA policies tell of them (platform API, section 5.4).

use countersign_domain::{
    lockout::Limit,
    mfa_policy::{self, CodeRules, MobileApplication, PushRules},
    push_limit::PushLimitRules,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    super::{
        duration::{Duration, TimeUnit},
        resource::id_in,
    },
    method::Failure,
};
use crate::app::AdministerError;

/// Native applications as a method.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "MobileMethod")]
pub(super) struct Mobile {
    enabled: bool,
    otp: Otp,
    /// The applications that count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    applications: Vec<Application>,
    /// Kept for others. Names are given on the page of the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_for_nickname_on_pairing: Option<bool>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "MobileOtp")]
struct Otp {
    /// When wrong passcodes lock a device: 1 to 7 of them, for 2 to 30 minutes.
    failure: Failure,
    /// Kept for others. The application says how long a passcode counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    window: Option<Window>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "OtpWindow")]
struct Window {
    #[serde(skip_serializing_if = "Option::is_none")]
    step_size: Option<Duration>,
}

/// How one native application behaves.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "MobileMethodApplication")]
struct Application {
    /// The application.
    id: String,
    /// Whether and how its phones are asked by push.
    #[serde(skip_serializing_if = "Option::is_none")]
    push: Option<Push>,
    /// Whether its one-time passcodes count.
    #[serde(skip_serializing_if = "Option::is_none")]
    otp: Option<Switch>,
    /// How long a person has to answer, 40 to 150 seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    push_timeout: Option<Duration>,
    /// When pushes are stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    push_limit: Option<PushLimit>,
    /// How long a new pairing key can be used, 1 minute to 48 hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pairing_key_lifetime: Option<Duration>,
    /// Whether a paired phone passes the MFA step of a sign-on that it runs itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    device_authorization: Option<DeviceAuthorization>,
    /// Whether the first sign-on from an unpaired phone offers to pair it.
    #[serde(skip_serializing_if = "Option::is_none")]
    auto_enrollment: Option<Switch>,
    /// Refuses new pairings; devices that are paired go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pairing_disabled: Option<bool>,
    /// How people sign on by an authentication code of a sign-on page.
    #[serde(skip_serializing_if = "Option::is_none")]
    codes: Option<Codes>,
    /// Kept for others. What happens where the integrity of a phone is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    integrity_detection: Option<Strictness>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
struct Switch {
    enabled: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PushMethod")]
struct Push {
    enabled: bool,
    /// Whether the number that the sign-on page shows must come back.
    #[serde(skip_serializing_if = "Option::is_none")]
    number_matching: Option<Switch>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Codes {
    /// Whether the number that the page shows must come back too.
    number_matching: Switch,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct PushLimit {
    /// Questions without a yes, 1 to 50.
    count: u8,
    /// Within what time they count, 1 to 120 minutes.
    time_period: Duration,
    /// How long pushes are stopped, 1 to 120 minutes.
    lock_duration: Duration,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct DeviceAuthorization {
    enabled: bool,
    /// Whether the phone must also answer a silent push, and what happens without an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    extra_verification: Option<Strictness>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Strictness {
    /// The step passes all the same.
    Permissive,
    /// The step fails.
    Restrictive,
}

impl Mobile {
    /// What it says.
    pub fn rules(&self) -> Result<mfa_policy::Mobile, AdministerError> {
        let Failure { count, cool_down } = self.otp.failure;
        let passcode_limit = Limit { failures: count, lock_seconds: cool_down.seconds() };
        let applications = self.applications.iter().map(Application::rules);
        let applications = applications.collect::<Result<_, _>>()?;
        Ok(mfa_policy::Mobile { enabled: self.enabled, passcode_limit, applications })
    }

    /// What says this, in the words in which it was told.
    pub fn of(rules: &mfa_policy::Mobile, told: Option<&Self>) -> Self {
        let cool_down = told.map(|told| told.otp.failure.cool_down);
        let Limit { failures, lock_seconds } = rules.passcode_limit;
        let application = |rules: &MobileApplication| {
            let id = rules.application.to_string();
            let mut known = told.into_iter().flat_map(|told| &told.applications);
            Application::of(rules, known.find(|told| told.id == id))
        };
        Self {
            enabled: rules.enabled,
            otp: Otp {
                failure: Failure::of(failures, lock_seconds, cool_down),
                window: told.and_then(|told| told.otp.window.clone()),
            },
            applications: rules.applications.iter().map(application).collect(),
            prompt_for_nickname_on_pairing: told
                .and_then(|told| told.prompt_for_nickname_on_pairing),
        }
    }
}

impl Application {
    fn rules(&self) -> Result<MobileApplication, AdministerError> {
        let is_on = |switch: Option<Switch>| switch.is_some_and(|switch| switch.enabled);
        let default = MobileApplication::new(id_in(&self.id, "mobile.applications.id")?);
        let timeout = self.push_timeout.map(|told| u16::try_from(told.seconds()));
        let timeout = timeout.map(|seconds| seconds.unwrap_or(u16::MAX));
        let limit = self.push_limit.as_ref().map(|limit| PushLimitRules {
            count: limit.count,
            period_seconds: limit.time_period.seconds(),
            lock_seconds: limit.lock_duration.seconds(),
        });
        let key_life = self.pairing_key_lifetime.map(Duration::seconds);
        let authorization = self.device_authorization.as_ref().filter(|told| told.enabled);
        let codes = self.codes.as_ref().map(|codes| codes.number_matching);
        Ok(MobileApplication {
            passcode_enabled: is_on(self.otp),
            device_authorization: authorization.map(|told| mfa_policy::DeviceAuthorization {
                extra_verification: told.extra_verification.map(Strictness::mode),
            }),
            auto_enrollment: is_on(self.auto_enrollment),
            pairing_disabled: self.pairing_disabled.unwrap_or_default(),
            pairing_key_life_seconds: key_life.unwrap_or(default.pairing_key_life_seconds),
            push: PushRules {
                enabled: self.push.as_ref().is_some_and(|push| push.enabled),
                number_matching: is_on(self.push.as_ref().and_then(|push| push.number_matching)),
                timeout_seconds: timeout.unwrap_or(default.push.timeout_seconds),
                limit: limit.unwrap_or(default.push.limit),
            },
            codes: CodeRules { number_matching: is_on(codes) },
            ..default
        })
    }

    fn of(rules: &MobileApplication, told: Option<&Self>) -> Self {
        let limit = told.and_then(|told| told.push_limit.as_ref());
        let (period, lock) =
            (limit.map(|told| told.time_period), limit.map(|told| told.lock_duration));
        let PushRules { enabled, number_matching, timeout_seconds, limit } = rules.push;
        let timeout = told.and_then(|told| told.push_timeout);
        let key_life = told.and_then(|told| told.pairing_key_lifetime);
        let on = |enabled| Some(Switch { enabled });
        let authorization = told.and_then(|told| told.device_authorization.as_ref());
        // What was told of one that is off does not count, and is kept.
        let idle = authorization.filter(|told| !told.enabled);
        let extra_verification = match rules.device_authorization {
            Some(on) => on.extra_verification.map(Strictness::of),
            None => idle.and_then(|told| told.extra_verification),
        };
        let enabled_authorization = rules.device_authorization.is_some();
        Self {
            id: rules.application.to_string(),
            push: Some(Push { enabled, number_matching: on(number_matching) }),
            otp: on(rules.passcode_enabled),
            push_timeout: Some(Duration::of(timeout_seconds.into(), timeout, TimeUnit::Seconds)),
            push_limit: Some(PushLimit {
                count: limit.count,
                time_period: Duration::of(limit.period_seconds, period, TimeUnit::Minutes),
                lock_duration: Duration::of(limit.lock_seconds, lock, TimeUnit::Minutes),
            }),
            pairing_key_lifetime: Some(Duration::of(
                rules.pairing_key_life_seconds,
                key_life,
                TimeUnit::Minutes,
            )),
            device_authorization: Some(DeviceAuthorization {
                enabled: enabled_authorization,
                extra_verification,
            }),
            auto_enrollment: on(rules.auto_enrollment),
            pairing_disabled: Some(rules.pairing_disabled),
            codes: on(rules.codes.number_matching).map(|number_matching| Codes { number_matching }),
            integrity_detection: told.and_then(|told| told.integrity_detection),
        }
    }
}

impl Strictness {
    const fn mode(self) -> mfa_policy::ExtraVerification {
        match self {
            Self::Permissive => mfa_policy::ExtraVerification::Permissive,
            Self::Restrictive => mfa_policy::ExtraVerification::Restrictive,
        }
    }

    const fn of(mode: mfa_policy::ExtraVerification) -> Self {
        match mode {
            mfa_policy::ExtraVerification::Permissive => Self::Permissive,
            mfa_policy::ExtraVerification::Restrictive => Self::Restrictive,
        }
    }
}
