//! Actions of sign-on policies on the wire (platform API, sections 6.2 to 6.4).

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use countersign_domain::{
    condition::Condition,
    id::Id,
    invalid::{Invalid, Rule},
    mfa_policy::MfaPolicy,
    sign_on_policy::{Action, ActionKind, NoDevicesMode, SignOnPolicy},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::{
    administrator::Administrator,
    hal::{Links, Page, Reference, Shown, link},
    refusal::{Refusal, not_found, parse},
    resource::{id_in, without_defaults},
};
use crate::app::{AdministerError, App};

type Answer = Result<Response, Refusal>;

/// A step of a sign-on.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "SignOnPolicyAction")]
pub(in super::super) struct Body {
    /// What is done.
    #[serde(rename = "type")]
    kind: Kind,
    /// Its place: ascending, 1 to 1,000.
    priority: u16,
    /// When it is done: what the condition says, in the forms of `docs/sign-on-policies.md`. Left out, always.
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<Value>,
    /// The MFA policy of a `MULTI_FACTOR_AUTHENTICATION`. Left out, the default of the environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    device_authentication_policy: Option<Reference>,
    /// What happens at a `MULTI_FACTOR_AUTHENTICATION` to a user without a device that the policy accepts.
    #[serde(skip_serializing_if = "Option::is_none")]
    no_devices_mode: Option<Mode>,
    /// The policy that it is a part of.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    sign_on_policy: Option<Reference>,
    #[serde(flatten)]
    kept: Kept,
}

/// What is kept for others, and not acted on: people neither register nor recover passwords here, and sign on at no other
/// provider.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
struct Kept {
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    registration: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    social_providers: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enforce_lockout_for_identity_providers: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new_user_provisioning: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    discovery_rules: Option<Value>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schemars(rename = "SignOnPolicyActionType")]
enum Kind {
    /// User name and password on one screen.
    Login,
    /// The user name first, then the password.
    IdentifierFirst,
    /// A device of the user.
    MultiFactorAuthentication,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schemars(rename = "NoDevicesMode")]
enum Mode {
    /// The sign-on fails.
    #[default]
    Block,
    /// The step is skipped, but only after the user has authenticated in an earlier one.
    Bypass,
}

impl Body {
    /// The action that it tells of.
    fn action(&self, id: Id<Action>) -> Result<Action, AdministerError> {
        let kind = match self.kind {
            Kind::Login => ActionKind::Login,
            Kind::IdentifierFirst => ActionKind::IdentifierFirst,
            Kind::MultiFactorAuthentication => {
                let policy = self.device_authentication_policy.as_ref();
                let id = policy.map(|policy| id_in(&policy.id, "actions.mfa_policy.id"));
                ActionKind::MultiFactorAuthentication {
                    mfa_policy: id.transpose()?,
                    no_devices_mode: match self.no_devices_mode.unwrap_or_default() {
                        Mode::Block => NoDevicesMode::Block,
                        Mode::Bypass => NoDevicesMode::Bypass,
                    },
                }
            }
        };
        let condition = self.condition.as_ref().map(Condition::parse).transpose();
        let condition = condition
            .map_err(|error| Invalid::new("actions.condition", Rule::Form { form: error.0 }))?;
        let told = serde_json::to_string(self).ok();
        Ok(Action { condition, told, ..Action::new(id, self.priority, kind) })
    }

    /// What an action says. One without an MFA policy of its own is answered with the default.
    fn of(action: &Action, default: Option<Id<MfaPolicy>>) -> Self {
        let (kind, policy, mode) = match action.kind {
            ActionKind::Login => (Kind::Login, None, None),
            ActionKind::IdentifierFirst => (Kind::IdentifierFirst, None, None),
            ActionKind::MultiFactorAuthentication { mfa_policy, no_devices_mode } => {
                let mode = match no_devices_mode {
                    NoDevicesMode::Block => Mode::Block,
                    NoDevicesMode::Bypass => Mode::Bypass,
                };
                (Kind::MultiFactorAuthentication, mfa_policy.or(default), Some(mode))
            }
        };
        let told = action.told.as_deref();
        Self {
            kind,
            priority: action.priority,
            condition: action.condition.clone().map(Value::from),
            device_authentication_policy: policy.map(Reference::from),
            no_devices_mode: mode,
            sign_on_policy: None,
            kept: told.and_then(|told| serde_json::from_str(told).ok()).unwrap_or_default(),
        }
    }
}

fn shown(
    administrator: &Administrator,
    policy: &SignOnPolicy,
    action: &Action,
    default: Option<Id<MfaPolicy>>,
) -> Shown<Value> {
    let body = serde_json::to_value(Body::of(action, default)).unwrap_or_default();
    let told = action.told.as_deref().and_then(|told| serde_json::from_str(told).ok());
    let mut body = match told {
        None => body,
        Some(told) => {
            let usual = serde_json::json!({ "noDevicesMode": Mode::Block });
            without_defaults(body, &told, &usual)
        }
    };
    if let Some(members) = body.as_object_mut() {
        let owner = serde_json::to_value(Reference::from(policy.id)).unwrap_or_default();
        members.insert("signOnPolicy".to_owned(), owner);
    }
    let address = administrator.address();
    let links = Links::from([
        link("self", address.of(action.id)),
        link("environment", address.environment(policy.environment)),
    ]);
    let (id, environment) = (action.id.to_string(), policy.environment.into());
    Shown { links, id, environment, body, created_at: None, updated_at: None }
}

/// The policy of the address, and the default MFA policy where an action of it needs it.
async fn found(
    app: &App,
    administrator: &Administrator,
) -> Result<(SignOnPolicy, Option<Id<MfaPolicy>>), Refusal> {
    let environment = administrator.environment()?;
    let policy = app.get::<SignOnPolicy>(environment, administrator.id("policy")?).await?;
    let unnamed = |action: &Action| {
        matches!(action.kind, ActionKind::MultiFactorAuthentication { mfa_policy: None, .. })
    };
    let default = if policy.actions.iter().any(unnamed) {
        app.default_mfa_policy(environment).await?
    } else {
        None
    };
    Ok((policy, default))
}

/// One action of the policy of the address, as it is now.
async fn one(
    app: &App,
    administrator: &Administrator,
    id: Id<Action>,
) -> Result<Shown<Value>, Refusal> {
    let (policy, default) = found(app, administrator).await?;
    let action = policy.actions.iter().find(|action| action.id == id).ok_or_else(not_found)?;
    Ok(shown(administrator, &policy, action, default))
}

/// `GET .../signOnPolicies/{policy}/actions`
pub(in super::super) async fn list(
    State(app): State<Arc<App>>,
    administrator: Administrator,
) -> Answer {
    let (policy, default) = found(&app, &administrator).await?;
    let show = |action| shown(&administrator, &policy, action, default);
    let items = policy.actions.iter().map(show).collect();
    Ok(Page::whole("actions", items, administrator.address()).into_response())
}

/// `POST .../signOnPolicies/{policy}/actions`
pub(in super::super) async fn create(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    body: Bytes,
) -> Answer {
    let id = app.new_id();
    put(&app, &administrator, id, &body, false).await?;
    let made = one(&app, &administrator, id).await?;
    let location = [(header::LOCATION, administrator.address().of(id))];
    Ok((StatusCode::CREATED, location, Json(made)).into_response())
}

/// `GET .../signOnPolicies/{policy}/actions/{id}`
pub(in super::super) async fn read(
    State(app): State<Arc<App>>,
    administrator: Administrator,
) -> Answer {
    Ok(Json(one(&app, &administrator, administrator.id("id")?).await?).into_response())
}

/// `PUT .../signOnPolicies/{policy}/actions/{id}`
pub(in super::super) async fn replace(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    body: Bytes,
) -> Answer {
    let id = administrator.id("id")?;
    put(&app, &administrator, id, &body, true).await?;
    Ok(Json(one(&app, &administrator, id).await?).into_response())
}

async fn put(
    app: &App,
    administrator: &Administrator,
    id: Id<Action>,
    body: &Bytes,
    must_exist: bool,
) -> Result<(), Refusal> {
    let body: Body = parse(body)?;
    let (environment, policy) = (administrator.environment()?, administrator.id("policy")?);
    let put = app.put_action(environment, policy, body.action(id)?, must_exist);
    Ok(administrator.act(put).await?)
}

/// `DELETE .../signOnPolicies/{policy}/actions/{id}`
pub(in super::super) async fn delete(
    State(app): State<Arc<App>>,
    administrator: Administrator,
) -> Answer {
    let (environment, policy) = (administrator.environment()?, administrator.id("policy")?);
    let delete = app.delete_action(environment, policy, administrator.id("id")?);
    administrator.act(delete).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
