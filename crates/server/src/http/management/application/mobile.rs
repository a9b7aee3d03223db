//! The app of a native application on the wire (platform API, section 3.3).

use countersign_domain::{
    application::Mobile,
    invalid::{Check, Invalid, Rule},
    unpairing::UnpairingRules,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::words::NumberMatchingWord;

/// The app of a native application on phones.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(rename = "ApplicationMobile")]
pub(super) struct MobileBody {
    /// The app at Apple. Unique in the environment, cannot be changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    bundle_id: Option<String>,
    /// The app at Google. Unique in the environment, cannot be changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    package_name: Option<String>,
    /// The app at Huawei. Unique in the environment, cannot be changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    huawei_app_id: Option<String>,
    /// The package of the app at Huawei. Unique in the environment, cannot be changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    huawei_package_name: Option<String>,
    /// What stands before the code in what a phone reads off a screen.
    #[serde(skip_serializing_if = "Option::is_none")]
    uri_prefix: Option<String>,
    /// How long a one-time passcode is shown, 30 to 60 seconds.
    passcode_refresh_duration: Seconds,
    /// How many passcodes before and after the present one count, 1 to 10.
    passcode_grace_period: u32,
    /// How phones are asked by push.
    push: Push,
    /// Whether phones that say they are rooted are refused.
    integrity_detection: IntegrityDetection,
    /// When a phone that its push service no longer knows is unpaired. Stays as it is where it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    unpairing: Option<Unpairing>,
}

/// A duration of seconds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "DurationInSeconds")]
struct Seconds {
    duration: u32,
    time_unit: SecondsWord,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum SecondsWord {
    Seconds,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ApplicationPush")]
struct Push {
    number_matching: NumberMatching,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ApplicationNumberMatching")]
struct NumberMatching {
    #[serde(rename = "type")]
    kind: NumberMatchingWord,
}

/// Whether phones that say they are rooted are refused. Only the mode is acted on: the phone itself says what it is.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct IntegrityDetection {
    mode: Mode,
    #[serde(flatten)]
    kept: KeptIntegrity,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schemars(rename = "IntegrityDetectionMode")]
enum Mode {
    Enabled,
    #[default]
    Disabled,
}

/// What is kept of it for others.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
struct KeptIntegrity {
    /// Platforms whose phones are not looked at. Kept: those that say they are rooted are refused all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    excluded_platforms: Option<Vec<Platform>>,
    /// For how long a phone need not be looked at again. Kept: each sign-on looks.
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_duration: Option<CacheDuration>,
    /// How Google is asked. Kept, without what is secret in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    google_play: Option<GooglePlay>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schemars(rename = "IntegrityDetectionPlatform")]
enum Platform {
    Google,
    Ios,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "IntegrityDetectionCacheDuration")]
struct CacheDuration {
    amount: u32,
    units: Units,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schemars(rename = "IntegrityDetectionUnits")]
enum Units {
    Minutes,
    Hours,
}

/// How Google is asked. Nobody asks it here, so the keys and credentials that clients send beside this are not stored.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct GooglePlay {
    verification_type: Verification,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schemars(rename = "GooglePlayVerificationType")]
enum Verification {
    Google,
    Internal,
}

/// When a phone that its push service no longer knows is unpaired.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
struct Unpairing {
    /// Whether it is at all.
    enabled: bool,
    /// For how many seconds the device stays, in case the phone gets in touch; 0 to 7,776,000.
    grace_seconds: u32,
    /// More answers of this kind in an hour than this, 1 to 100,000, that are also more than ...
    breaker_count: u32,
    /// ... this percentage of all, 1 to 100, stop automatic unpairing.
    breaker_percent: u32,
    /// The most devices that are unpaired in a day, 1 to 1,000,000.
    daily_cap: u32,
}

impl Default for Unpairing {
    fn default() -> Self {
        UnpairingRules::default().into()
    }
}

impl From<UnpairingRules> for Unpairing {
    fn from(rules: UnpairingRules) -> Self {
        let UnpairingRules { enabled, grace_seconds, breaker_count, breaker_percent, daily_cap } =
            rules;
        let breaker_percent = breaker_percent.into();
        Self { enabled, grace_seconds, breaker_count, breaker_percent, daily_cap }
    }
}

impl From<Unpairing> for UnpairingRules {
    fn from(told: Unpairing) -> Self {
        let Unpairing { enabled, grace_seconds, breaker_count, breaker_percent, daily_cap } = told;
        let breaker_percent = breaker_percent.try_into().unwrap_or(u8::MAX);
        Self { enabled, grace_seconds, breaker_count, breaker_percent, daily_cap }
    }
}

/// What is read back of the last body.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Told {
    mobile: Option<ToldMobile>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ToldMobile {
    integrity_detection: IntegrityDetection,
}

impl Default for MobileBody {
    fn default() -> Self {
        Self::of(&Mobile::default(), Told::default())
    }
}

impl MobileBody {
    pub fn of(mobile: &Mobile, told: Told) -> Self {
        let kept = told.mobile.map(|told| told.integrity_detection.kept).unwrap_or_default();
        let mode = if mobile.integrity_detection { Mode::Enabled } else { Mode::Disabled };
        let duration = mobile.passcode_step_seconds.into();
        Self {
            bundle_id: mobile.bundle_id.clone(),
            package_name: mobile.package_name.clone(),
            huawei_app_id: mobile.huawei_app_id.clone(),
            huawei_package_name: mobile.huawei_package_name.clone(),
            uri_prefix: mobile.uri_prefix.clone(),
            passcode_refresh_duration: Seconds { duration, time_unit: SecondsWord::Seconds },
            passcode_grace_period: mobile.passcode_grace_steps.into(),
            push: Push { number_matching: NumberMatching { kind: mobile.number_matching.into() } },
            integrity_detection: IntegrityDetection { mode, kept },
            unpairing: Some(mobile.unpairing.into()),
        }
    }

    /// What it says, in place of what was there. A number that is far too large stays too large, so that its range is told.
    pub fn put(self, old: &Mobile) -> Result<Mobile, Invalid> {
        self.integrity_detection.validate()?;
        let seconds = self.passcode_refresh_duration.duration;
        Ok(Mobile {
            package_name: self.package_name,
            bundle_id: self.bundle_id,
            huawei_app_id: self.huawei_app_id,
            huawei_package_name: self.huawei_package_name,
            passcode_step_seconds: seconds.try_into().unwrap_or(u8::MAX),
            passcode_grace_steps: self.passcode_grace_period.try_into().unwrap_or(u8::MAX),
            integrity_detection: self.integrity_detection.mode == Mode::Enabled,
            uri_prefix: self.uri_prefix,
            number_matching: self.push.number_matching.kind.into(),
            unpairing: self.unpairing.map_or(old.unpairing, Into::into),
        })
    }
}

impl IntegrityDetection {
    /// The vendor's rules. They hold although little of it is acted on, so that what counts here counts there.
    fn validate(&self) -> Result<(), Invalid> {
        let mut check = Check::default();
        let excluded = self.kept.excluded_platforms.as_deref().unwrap_or_default();
        let form = "a list of at most one";
        let target = "mobile.integrity_detection.excluded_platforms";
        check.require(excluded.len() <= 1, target, Rule::Form { form });
        let target = "mobile.integrity_detection.cache_duration";
        // Only Google's verdicts are kept for a while.
        let asks_google = !excluded.iter().any(|platform| matches!(platform, Platform::Google));
        let is_needed = self.mode == Mode::Enabled && asks_google;
        let is_given = !is_needed || self.kept.cache_duration.is_some();
        check.require(is_given, target, Rule::Required);
        if let Some(CacheDuration { amount, units }) = self.kept.cache_duration {
            let max = match units {
                Units::Minutes => 48 * 60,
                Units::Hours => 48,
            };
            let target = "mobile.integrity_detection.cache_duration.amount";
            check.range(amount.into(), target, 1, max);
        }
        check.finish()
    }
}
