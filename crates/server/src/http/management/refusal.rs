//! Refusals of the management API: which member breaks which rule, in the names of the wire (platform API, section 1.6).

use axum::response::{IntoResponse, Response};
use countersign_domain::invalid::{Invalid, Rule, Violation};
use countersign_protocol::json as strict;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{
    app::{AdministerError, Fault, TryPasswordError},
    http::{
        limit::Surface,
        problem::{Detail, FaultResponse, Problem},
    },
    limits::Limited,
};

/// Why a request was refused.
pub(super) enum Refusal {
    Problem(Problem),
    Limited(Limited),
    Fault(Fault),
}

impl Refusal {
    /// What a line of an answer says of it.
    pub fn envelope(&self) -> Value {
        match self {
            Self::Problem(problem) => {
                serde_json::to_value(problem.envelope("")).unwrap_or_default()
            }
            Self::Limited(limited) => {
                json!({ "code": "REQUEST_LIMITED", "message": limited.to_string() })
            }
            Self::Fault(_) => {
                json!({ "code": "UNAVAILABLE", "message": "the service is busy; try again from here" })
            }
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Problem(problem) => problem.into_response(),
            Self::Limited(limited) => Surface::Envelope.refuse(limited),
            Self::Fault(fault) => FaultResponse(fault).into_response(),
        }
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Invalid> for Refusal {
    fn from(invalid: Invalid) -> Self {
        let details: Vec<_> = invalid.violations().iter().map(detail).collect();
        let mut details = details.into_iter();
        let Some(first) = details.next() else {
            return Self::Problem(Problem::invalid_request(invalid.to_string()));
        };
        Self::Problem(details.fold(Problem::invalid_data(first), Problem::with))
    }
}

impl From<AdministerError> for Refusal {
    fn from(error: AdministerError) -> Self {
        let message = error.to_string();
        match error {
            AdministerError::Invalid(invalid) => invalid.into(),
            AdministerError::NotFound => not_found().into(),
            AdministerError::InUse { .. } | AdministerError::Kept { .. } => {
                let detail = Detail::new("CONSTRAINT_VIOLATION", "id", message.clone());
                Problem::request_failed(message).with(detail).into()
            }
            AdministerError::Forbidden { .. } => Problem::forbidden(message).into(),
            AdministerError::Fault(fault) => fault.into(),
        }
    }
}

impl From<TryPasswordError> for Refusal {
    fn from(error: TryPasswordError) -> Self {
        let message = error.to_string();
        let refused = |detail: Detail| Problem::invalid_data(detail).into();
        match error {
            TryPasswordError::NotFound => not_found().into(),
            TryPasswordError::Wrong => {
                refused(Detail::new("INVALID_CREDENTIALS", "password", message))
            }
            TryPasswordError::LockedOut { seconds } => {
                let detail = Detail::new("PASSWORD_LOCKED_OUT", "password", message);
                refused(detail.with_inner(json!({ "secondsUntilUnlock": seconds })))
            }
            TryPasswordError::Limited(limited) => Self::Limited(limited),
            TryPasswordError::Fault(fault) => fault.into(),
        }
    }
}

/// 404.
pub(super) fn not_found() -> Problem {
    Problem::not_found("there is nothing with this id")
}

impl Refusal {
    pub fn invalid_request(message: impl Into<String>) -> Self {
        Self::Problem(Problem::invalid_request(message))
    }

    pub fn not_a_cursor() -> Self {
        Invalid::new("cursor", Rule::Form { form: "one of a link to the next part" }).into()
    }

    pub fn out_of_range(target: &'static str, min: i64, max: i64) -> Self {
        Invalid::new(target, Rule::Range { min, max }).into()
    }
}

/// A broken rule, in the names of the wire.
fn detail(violation: &Violation) -> Detail {
    let target = wire_name(&violation.target);
    let told = violation.to_string();
    let mut message = told.replacen(&*violation.target, &target, 1);
    if violation.target.ends_with("_seconds") && matches!(violation.rule, Rule::Range { .. }) {
        message.push_str(" seconds");
    }
    let (code, inner) = match &violation.rule {
        Rule::Required => ("REQUIRED_VALUE", None),
        Rule::TooLong { max } => ("INVALID_VALUE", Some(json!({ "maximumValue": max }))),
        Rule::Range { min, max } => {
            let inner = json!({ "rangeMinimumValue": min, "rangeMaximumValue": max });
            ("INVALID_VALUE", Some(inner))
        }
        Rule::OneOf { words } => ("INVALID_VALUE", Some(json!({ "allowedValues": words }))),
        Rule::TooShort { .. } | Rule::Form { .. } | Rule::Immutable | Rule::Unknown => {
            ("INVALID_VALUE", None)
        }
        Rule::Unique => ("UNIQUENESS_VIOLATION", None),
    };
    let detail = Detail::new(code, target, message);
    match inner {
        Some(inner) => detail.with_inner(inner),
        None => detail,
    }
}

/// A member as the wire names it. The domain's names are the wire's in snake case, except for a few.
fn wire_name(target: &str) -> String {
    const OTHER: &[(&str, &str)] = &[
        ("kind", "type"),
        ("mobile.passcode_step_seconds", "mobile.passcodeRefreshDuration.duration"),
        ("mobile.passcode_grace_steps", "mobile.passcodeGracePeriod"),
        ("oidc.access_token_seconds", "accessTokenDuration"),
        ("oidc.backchannel_logout_uri", "backchannelLogoutUri"),
        ("oidc.device_grant.interval_seconds", "devicePollingInterval"),
        ("oidc.device_grant.timeout_seconds", "deviceTimeout"),
        ("oidc.device_grant.verification_uri", "deviceCustomVerificationUri"),
        ("oidc.keys", "jwks"),
        ("oidc.phone_sign_on.id", "phoneSignOn.id"),
        ("oidc.post_logout_redirect_uris", "postLogoutRedirectUris"),
        ("oidc.pushed_requests.timeout_seconds", "parTimeout"),
        ("oidc.refresh.grace_seconds", "refreshTokenRollingGracePeriodDuration"),
        ("oidc.refresh.idle_seconds", "refreshTokenDuration"),
        ("oidc.refresh.life_seconds", "refreshTokenRollingDuration"),
        ("oidc.request_objects.unsigned_allowed", "supportUnsignedRequestObject"),
        ("oidc.response_types", "responseTypes"),
        ("access_token_seconds", "accessTokenValiditySeconds"),
        ("attributes.name", "name"),
        ("attributes.value", "value"),
        ("scopes.description", "description"),
        ("scopes.name", "name"),
        ("oidc.grants", "grants"),
        ("oidc.grants.resource.id", "resource.id"),
        ("oidc.grants.scopes", "scopes"),
        ("oidc.attributes", "attributes"),
        ("oidc.attributes.name", "name"),
        ("oidc.attributes.scopes", "oidcScopes"),
        ("oidc.attributes.value", "value"),
        ("lockout.failures", "lockout.failureCount"),
        ("lockout.lock_seconds", "lockout.durationSeconds"),
        ("mobile.applications.push_timeout_seconds", "mobile.applications.pushTimeout"),
        ("mobile.applications.pairing_key_life_seconds", "mobile.applications.pairingKeyLifetime"),
        (
            "mobile.applications.push_limit.period_seconds",
            "mobile.applications.pushLimit.timePeriod",
        ),
        (
            "mobile.applications.push_limit.lock_seconds",
            "mobile.applications.pushLimit.lockDuration",
        ),
        ("remember_me.life_seconds", "rememberMe.web.lifeTime"),
        ("actions.priority", "priority"),
        ("actions.condition", "condition"),
        ("actions.mfa_policy.id", "deviceAuthenticationPolicy.id"),
    ];
    if let Some(method) = target.strip_suffix(".failure.cool_down_seconds") {
        return format!("{}.failure.coolDown", wire_name(method));
    }
    if let Some(method) = target.strip_suffix(".otp.life_seconds") {
        return format!("{}.otp.lifeTime", wire_name(method));
    }
    if let Some((_, wire)) = OTHER.iter().find(|(domain, _)| *domain == target) {
        return (*wire).to_owned();
    }
    let mut name = String::with_capacity(target.len());
    let mut is_start = false;
    for c in target.chars() {
        match c {
            '_' => is_start = true,
            c if is_start => {
                name.push(c.to_ascii_uppercase());
                is_start = false;
            }
            c => name.push(c),
        }
    }
    name
}

/// Reads a body. Members that are not known are left alone, as clients send back what they were answered.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    strict::parse(body).map_err(|error| {
        let problem = Problem::invalid_request(format!("the body {error}"));
        let told = error.to_string();
        let member = error.member();
        let missing = told.split("missing field `").nth(1).and_then(|rest| rest.split('`').next());
        let detail = match (missing, member) {
            (Some(name), path) => {
                let target = path.map_or_else(|| name.to_owned(), |path| format!("{path}.{name}"));
                let message = format!("{target} must be given");
                Detail::new("REQUIRED_VALUE", target, message)
            }
            (None, Some(path)) => {
                let why = told.split_once("expected: ").map_or(told.as_str(), |(_, why)| why);
                let message = why.to_owned();
                Detail::new("INVALID_VALUE", path, message)
            }
            (None, None) => return problem.into(),
        };
        problem.with(detail).into()
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Body {
        #[expect(dead_code, reason = "read and not used")]
        name: String,
        #[expect(dead_code, reason = "read and not used")]
        inner: Option<Inner>,
    }

    #[derive(Debug, Deserialize)]
    struct Inner {
        #[expect(dead_code, reason = "read and not used")]
        count: u8,
    }

    fn told(body: &str) -> String {
        let Err(Refusal::Problem(problem)) = parse::<Body>(body.as_bytes()) else {
            panic!("{body} was read");
        };
        serde_json::to_value(problem.envelope("x")).unwrap()["details"].to_string()
    }

    #[test]
    fn a_body_that_does_not_fit_names_the_member() {
        assert!(told("{}").contains(r#""code":"REQUIRED_VALUE""#), "{}", told("{}"));
        assert!(told("{}").contains(r#""target":"name""#));
        let inner = told(r#"{"name":"x","inner":{}}"#);
        assert!(inner.contains(r#""target":"inner.count""#), "{inner}");
        let count = told(r#"{"name":"x","inner":{"count":"y"}}"#);
        assert!(count.contains(r#""code":"INVALID_VALUE""#) && count.contains("inner.count"));
        assert_eq!(told("{"), "null");
    }

    #[test]
    fn members_are_named_as_on_the_wire() {
        assert_eq!(wire_name("pairing.max_allowed_devices"), "pairing.maxAllowedDevices");
        assert_eq!(wire_name("name"), "name");
    }
}
