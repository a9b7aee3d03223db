//! MFA policies on the wire (platform API, section 5).

mod method;
mod mobile;

use std::sync::Arc;

use axum::{body::Bytes, extract::State, response::Response};
use countersign_domain::{
    id::Id,
    invalid::{Check, Rule},
    mfa_policy::{self, MfaPolicy, MobileApplication, method::Method},
    role::Area,
};
use countersign_protocol::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::{
    method::{Authenticator, Message, Recovery, SecurityKey},
    mobile::Mobile,
};
use super::{
    administrator::Administrator,
    duration::Duration,
    hal::Reference,
    media::Media,
    refusal::Refusal,
    resource::{self, New, Resource},
};
use crate::app::{AdministerError, App};

/// Which methods count, and how each native application behaves.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "DeviceAuthenticationPolicy")]
pub(super) struct Body {
    /// Unique in the environment, 1 to 256 characters.
    name: String,
    /// Whether MFA steps without a policy of their own use it. One of each environment is it.
    #[serde(default)]
    default: bool,
    /// Native applications.
    mobile: Mobile,
    /// How a device is chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    authentication: Option<Authentication>,
    /// Lets a user pass although wrong passcodes have locked the user's MFA.
    #[serde(skip_serializing_if = "Option::is_none")]
    ignore_user_lock: Option<bool>,
    /// Refuses disabled users also where a back end vouches for them. True unless it is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    block_disabled_users: Option<bool>,
    /// Refuses users whose MFA is disabled; otherwise they count as users without a device.
    #[serde(skip_serializing_if = "Option::is_none")]
    block_users_with_disabled_mfa: Option<bool>,
    /// Passcodes by text message.
    sms: Message,
    /// Passcodes by phone call.
    voice: Message,
    /// Passcodes by mail.
    email: Message,
    /// Kept for others. Passcodes by `WhatsApp`; the platform sends none.
    #[serde(skip_serializing_if = "Option::is_none")]
    whats_app: Option<Message>,
    /// Authenticator apps (RFC 6238).
    totp: Authenticator,
    /// Kept for others. Security keys; the platform pairs none.
    #[serde(skip_serializing_if = "Option::is_none")]
    fido2: Option<SecurityKey>,
    /// Kept for others. Hardware tokens; the platform pairs none.
    #[serde(skip_serializing_if = "Option::is_none")]
    oath_token: Option<Authenticator>,
    /// Recovery codes, which people make for themselves. A member of our own: they are off unless it is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery_codes: Option<Recovery>,
    /// Kept for others. Who is told of a new device.
    #[serde(skip_serializing_if = "Option::is_none")]
    new_device_notification: Option<NewDeviceNotification>,
    /// Kept for others. The rules for messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    notifications_policy: Option<Reference>,
    /// Kept for others. Each sign-on asks anew, except in a session.
    #[serde(skip_serializing_if = "Option::is_none")]
    remember_me: Option<RememberMe>,
    /// Kept for others, and without a meaning.
    #[serde(skip_serializing_if = "Option::is_none")]
    for_sign_on_policy: Option<bool>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "DeviceAuthenticationPolicyAuthentication")]
struct Authentication {
    device_selection: DeviceSelection,
}

/// How a device is chosen when several could be used.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum DeviceSelection {
    /// The first that can be used, without asking.
    DefaultToFirst,
    /// Asks when more than one can be used.
    PromptToSelect,
    /// Asks even when only one can.
    AlwaysDisplayDevices,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum NewDeviceNotification {
    None,
    EmailThenSms,
    SmsThenEmail,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct RememberMe {
    web: RememberMeWeb,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct RememberMeWeb {
    enabled: bool,
    /// 1 hour to 90 days.
    life_time: Duration,
}

impl Body {
    /// The rules for what is only kept.
    fn validate(&self) -> Result<(), AdministerError> {
        let mut check = Check::default();
        let messages = [
            (Method::Sms, Some(&self.sms)),
            (Method::Voice, Some(&self.voice)),
            (Method::Email, Some(&self.email)),
            (Method::WhatsApp, self.whats_app.as_ref()),
        ];
        for (method, message) in messages {
            if let Some(message) = message {
                message.rules().validate(method, &mut check);
            }
        }
        self.totp.rules().validate(Method::Totp, &mut check);
        if let Some(token) = &self.oath_token {
            token.rules().validate(Method::OathToken, &mut check);
        }
        if let Some(key) = &self.fido2 {
            key.rules().validate(Method::Fido2, &mut check);
        }
        if let Some(RememberMe { web }) =
            self.remember_me.as_ref().filter(|rules| rules.web.enabled)
        {
            let life = web.life_time.seconds().into();
            check.range(life, "remember_me.life_seconds", 3_600, 90 * 86_400);
        }
        let is_own = !self.for_sign_on_policy.unwrap_or_default();
        check.require(is_own, "for_sign_on_policy", Rule::Form { form: "false" });
        Ok(check.finish()?)
    }

    fn told(policy: &MfaPolicy) -> Option<Self> {
        serde_json::from_str(policy.told.as_deref()?).ok()
    }
}

impl From<DeviceSelection> for mfa_policy::DeviceSelection {
    fn from(told: DeviceSelection) -> Self {
        match told {
            DeviceSelection::DefaultToFirst => Self::DefaultToFirst,
            DeviceSelection::PromptToSelect => Self::PromptToSelect,
            DeviceSelection::AlwaysDisplayDevices => Self::AlwaysDisplayDevices,
        }
    }
}

impl From<mfa_policy::DeviceSelection> for DeviceSelection {
    fn from(known: mfa_policy::DeviceSelection) -> Self {
        match known {
            mfa_policy::DeviceSelection::DefaultToFirst => Self::DefaultToFirst,
            mfa_policy::DeviceSelection::PromptToSelect => Self::PromptToSelect,
            mfa_policy::DeviceSelection::AlwaysDisplayDevices => Self::AlwaysDisplayDevices,
        }
    }
}

impl Resource for MfaPolicy {
    const NAME: &'static str = "MFA policy";
    const COLLECTION: &'static str = "deviceAuthenticationPolicies";
    const AREA: Area = Area::Policies;
    type Body = Body;

    fn blank(new: &New<Self>) -> Self {
        Self::new((new.id, new.environment), String::new(), new.now)
    }

    fn put(&mut self, body: Body) -> Result<(), AdministerError> {
        body.validate()?;
        self.mobile = body.mobile.rules()?;
        self.authenticators = mfa_policy::Authenticators {
            totp: body.totp.totp(),
            recovery_codes: body.recovery_codes.as_ref().and_then(Recovery::codes),
            email: body.email.messages(),
            sms: body.sms.messages(),
            voice: body.voice.messages(),
        };
        let selection = body.authentication.map(|told| told.device_selection.into());
        self.device_selection = selection.unwrap_or_default();
        (self.name, self.default) = (body.name, body.default);
        self.ignore_user_lock = body.ignore_user_lock.unwrap_or_default();
        self.block_disabled_users = body.block_disabled_users.unwrap_or(true);
        let block = body.block_users_with_disabled_mfa;
        self.block_users_with_disabled_mfa = block.unwrap_or_default();
        Ok(())
    }

    fn body(&self) -> Body {
        let told = Body::told(self);
        let mobile = Mobile::of(&self.mobile, told.as_ref().map(|told| &told.mobile));
        let acted_on = Body {
            name: self.name.clone(),
            default: self.default,
            mobile,
            authentication: Some(Authentication { device_selection: self.device_selection.into() }),
            ignore_user_lock: Some(self.ignore_user_lock),
            block_disabled_users: Some(self.block_disabled_users),
            block_users_with_disabled_mfa: Some(self.block_users_with_disabled_mfa),
            sms: Message::of(self.authenticators.sms, told.as_ref().map(|told| &told.sms)),
            voice: Message::of(self.authenticators.voice, told.as_ref().map(|told| &told.voice)),
            email: Message::of(self.authenticators.email, told.as_ref().map(|told| &told.email)),
            whats_app: None,
            totp: Authenticator::of(
                self.authenticators.totp.as_ref(),
                told.as_ref().map(|told| &told.totp),
            ),
            recovery_codes: Recovery::of(
                self.authenticators.recovery_codes,
                told.as_ref().and_then(|told| told.recovery_codes.as_ref()),
            ),
            fido2: None,
            oath_token: None,
            new_device_notification: None,
            notifications_policy: None,
            remember_me: None,
            for_sign_on_policy: Some(false),
        };
        let Some(told) = told else { return acted_on };
        let Body { whats_app, fido2, oath_token, .. } = told;
        Body {
            whats_app,
            fido2,
            oath_token,
            new_device_notification: told.new_device_notification,
            notifications_policy: told.notifications_policy,
            remember_me: told.remember_me,
            ..acted_on
        }
    }

    fn told(&self) -> Option<&str> {
        self.told.as_deref()
    }

    fn tell(&mut self, told: String) {
        self.told = Some(told);
    }

    fn defaults(blank: &Self) -> Value {
        let mut one = blank.clone();
        one.mobile.applications.push(MobileApplication::new(Id::from_bytes([0; 16])));
        serde_json::to_value(one.body()).unwrap_or_default()
    }

    fn times(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        (None, Some(self.updated_at))
    }
}

/// What the media type says that moves policies to FIDO2 policies.
const MIGRATE: &str = "deviceAuthenticationPolicy.fido2.migrate";

/// `POST .../deviceAuthenticationPolicies`
pub(super) async fn create(
    app: State<Arc<App>>,
    administrator: Administrator,
    media: Media,
    body: Bytes,
) -> Result<Response, Refusal> {
    if media.is(&[MIGRATE]).is_ok_and(|action| action.is_some()) {
        let message = "there is nothing to migrate: MFA policies name their FIDO2 policies from the beginning";
        return Err(Refusal::invalid_request(message));
    }
    resource::create::<MfaPolicy>(app, administrator, body).await
}
