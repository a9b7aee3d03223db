//! Applications on the wire (platform API, sections 3.1 to 3.3).
//!
//! Members that the vendor's clients do not know (`phoneSignOn`, `backchannelLogoutUri`, `dpopRequired`, `accessTokenDuration`,
//! `idTokenAlgorithm`, `mobile.unpairing`) stay as they are where a body leaves them out, so that such a client changes nothing
//! that it cannot see; `null` clears those that can be absent.

mod kept;
mod mobile;
mod words;

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::State,
    response::{IntoResponse, Response},
};
use countersign_domain::{
    application::{
        Application, ClientKeys, DeviceGrantRules, GrantType, Kind, Mobile, Oidc, Pkce,
        PushedRequestRules, RefreshRules, RequestObjectRules, TokenEndpointAuthMethod,
    },
    invalid::{Invalid, Rule},
    role::Area,
    sealed::Sealed,
};
use countersign_protocol::{jose::Algorithm, time::Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use self::{
    kept::Kept,
    mobile::MobileBody,
    words::{
        AlgorithmWord, AuthMethodWord, GrantTypeWord, ParWord, PkceWord, ProtocolWord,
        ResponseTypeWord, TypeWord,
    },
};
use super::{
    administrator::Administrator,
    hal::{Address, Links, Reference, link},
    refusal::Refusal,
    resource::{self, New, Resource, Sent, id_in, kept},
};
use crate::app::{AdministerError, App};

/// An application: an OIDC client.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Application")]
pub(super) struct Body {
    /// Unique in the environment, 1 to 256 characters; shown to the person who signs in.
    name: String,
    /// For administrators, at most 1,024 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// Whether it may be used.
    #[serde(default)]
    enabled: bool,
    /// What it speaks.
    protocol: ProtocolWord,
    /// What it is. Cannot be changed.
    #[serde(rename = "type")]
    kind: TypeWord,
    /// How it proves itself at the token endpoint.
    token_endpoint_auth_method: AuthMethodWord,
    /// How it may get tokens. By default by an authorization code, or, as a worker, by client credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    grant_types: Option<Vec<GrantTypeWord>>,
    /// What it may ask for in `response_type`.
    #[serde(skip_serializing_if = "Option::is_none")]
    response_types: Option<Vec<ResponseTypeWord>>,
    /// Where its users may be sent back to, at most 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect_uris: Option<Vec<String>>,
    /// Where its users may be sent after a sign-off, at most 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    post_logout_redirect_uris: Option<Vec<String>>,
    #[serde(flatten)]
    rules: Rules,
    #[serde(flatten)]
    own: Own,
    /// The app on phones, of native applications.
    #[serde(skip_serializing_if = "Option::is_none")]
    mobile: Option<MobileBody>,
    #[serde(flatten)]
    kept: Kept,
}

/// Rules of the protocol.
#[expect(clippy::struct_excessive_bools, reason = "as they are on the wire")]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
struct Rules {
    /// Whether `*` may stand in redirect URIs.
    allow_wildcard_in_redirect_uris: bool,
    /// Whether requests must carry a code challenge. Those of public clients and native applications must in any case.
    pkce_enforcement: PkceWord,
    /// Whether only pushed authorization requests count.
    par_requirement: ParWord,
    /// Life of a pushed request, in seconds, 1 to 600.
    par_timeout: u32,
    /// Seconds that a refresh token may rest, 60 to 2,147,483,647.
    refresh_token_duration: u32,
    /// Seconds after the sign-on that no refresh token outlives.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token_rolling_duration: Option<u32>,
    /// Seconds in which the refresh token before the newest still counts, 0 to 86,400.
    refresh_token_rolling_grace_period_duration: u32,
    /// Whether an older refresh token that comes back revokes all that came of the same sign-on.
    additional_refresh_token_replay_protection_enabled: bool,
    /// Whether a request object may be unsigned.
    support_unsigned_request_object: bool,
    /// Whether only requests with a signed request object count.
    require_signed_request_object: bool,
    /// The keys that it signs with: a JWK set.
    #[serde(skip_serializing_if = "Option::is_none")]
    jwks: Option<String>,
    /// Where its keys are instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    jwks_url: Option<String>,
    /// Life of a device code, in seconds, 1 to 3,600.
    device_timeout: u32,
    /// Seconds between two polls of a device, 1 to 60.
    device_polling_interval: u32,
    /// Where the person with a device code is sent instead of the hosted page.
    #[serde(skip_serializing_if = "Option::is_none")]
    device_custom_verification_uri: Option<String>,
}

/// What the vendor's clients do not know.
#[expect(clippy::option_option, reason = "null clears, and what is absent stays")]
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
struct Own {
    /// The native application whose phones sign its users on by an authentication code.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Reference>")]
    phone_sign_on: Option<Option<Reference>>,
    /// Where it is told that a session has ended (OIDC Back-Channel Logout).
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    backchannel_logout_uri: Option<Option<String>>,
    /// Whether all its access tokens must be bound to a key (RFC 9449).
    #[serde(skip_serializing_if = "Option::is_none")]
    dpop_required: Option<bool>,
    /// Life of its access tokens, in seconds, 300 to 86,400.
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token_duration: Option<u32>,
    /// The algorithm of its ID tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token_algorithm: Option<AlgorithmWord>,
}

/// Tells a member that is null from one that is absent.
#[expect(clippy::option_option, reason = "null clears, and what is absent stays")]
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl Default for Rules {
    fn default() -> Self {
        Self::of(Pkce::Optional, &Oidc::default())
    }
}

impl Rules {
    fn of(pkce: Pkce, oidc: &Oidc) -> Self {
        let Oidc { pushed_requests, request_objects, refresh, device_grant, .. } = oidc;
        let (jwks, jwks_url) = match &oidc.keys {
            None => (None, None),
            Some(ClientKeys::Inline(text)) => (Some(text.clone()), None),
            Some(ClientKeys::Url(url)) => (None, Some(url.clone())),
        };
        Self {
            allow_wildcard_in_redirect_uris: oidc.wildcard_redirect_uris,
            pkce_enforcement: pkce.into(),
            par_requirement: ParWord::of(pushed_requests.required),
            par_timeout: pushed_requests.timeout_seconds.into(),
            refresh_token_duration: refresh.idle_seconds,
            refresh_token_rolling_duration: refresh.life_seconds,
            refresh_token_rolling_grace_period_duration: refresh.grace_seconds,
            additional_refresh_token_replay_protection_enabled: refresh.replay_protection,
            support_unsigned_request_object: request_objects.unsigned_allowed,
            require_signed_request_object: request_objects.signature_required,
            jwks,
            jwks_url,
            device_timeout: device_grant.timeout_seconds.into(),
            device_polling_interval: device_grant.interval_seconds.into(),
            device_custom_verification_uri: device_grant.verification_uri.clone(),
        }
    }

    /// Takes them over. A number that is far too large stays too large, so that its range is told.
    fn put(self, application: &mut Application) -> Result<(), AdministerError> {
        let oidc = &mut application.oidc;
        oidc.keys = match (self.jwks, self.jwks_url) {
            (None, None) => None,
            (Some(text), None) => Some(ClientKeys::Inline(text)),
            (None, Some(url)) => Some(ClientKeys::Url(url)),
            (Some(_), Some(_)) => {
                let form = "absent beside jwks";
                return Err(Invalid::new("jwks_url", Rule::Form { form }).into());
            }
        };
        application.pkce = self.pkce_enforcement.into();
        oidc.wildcard_redirect_uris = self.allow_wildcard_in_redirect_uris;
        oidc.pushed_requests = PushedRequestRules {
            required: self.par_requirement == ParWord::Required,
            timeout_seconds: self.par_timeout.try_into().unwrap_or(u16::MAX),
        };
        oidc.request_objects = RequestObjectRules {
            unsigned_allowed: self.support_unsigned_request_object,
            signature_required: self.require_signed_request_object,
        };
        oidc.refresh = RefreshRules {
            idle_seconds: self.refresh_token_duration,
            life_seconds: self.refresh_token_rolling_duration,
            grace_seconds: self.refresh_token_rolling_grace_period_duration,
            replay_protection: self.additional_refresh_token_replay_protection_enabled,
        };
        oidc.device_grant = DeviceGrantRules {
            timeout_seconds: self.device_timeout.try_into().unwrap_or(u16::MAX),
            interval_seconds: self.device_polling_interval.try_into().unwrap_or(u8::MAX),
            verification_uri: self.device_custom_verification_uri,
        };
        Ok(())
    }
}

impl Own {
    fn of(application: &Application) -> Self {
        let oidc = &application.oidc;
        Self {
            phone_sign_on: oidc.phone_sign_on.map(|id| Some(id.into())),
            backchannel_logout_uri: oidc.backchannel_logout_uri.clone().map(Some),
            dpop_required: Some(oidc.dpop_required),
            access_token_duration: Some(oidc.access_token_seconds),
            id_token_algorithm: Some(application.id_token_algorithm.into()),
        }
    }

    fn put(self, application: &mut Application) -> Result<(), AdministerError> {
        let oidc = &mut application.oidc;
        if let Some(phones) = self.phone_sign_on {
            let id = |phones: Reference| id_in(&phones.id, "oidc.phone_sign_on.id");
            oidc.phone_sign_on = phones.map(id).transpose()?;
        }
        if let Some(uri) = self.backchannel_logout_uri {
            oidc.backchannel_logout_uri = uri;
        }
        oidc.dpop_required = self.dpop_required.unwrap_or(oidc.dpop_required);
        let seconds = self.access_token_duration.unwrap_or(oidc.access_token_seconds);
        oidc.access_token_seconds = seconds;
        if let Some(algorithm) = self.id_token_algorithm {
            application.id_token_algorithm = algorithm.into();
        }
        Ok(())
    }
}

impl Resource for Application {
    const NAME: &'static str = "application";
    const COLLECTION: &'static str = "applications";
    const AREA: Area = Area::Applications;
    type Body = Body;

    fn blank(new: &New<Self>) -> Self {
        Self {
            id: new.id,
            environment: new.environment,
            name: String::new(),
            description: None,
            kind: Kind::Web,
            enabled: false,
            token_endpoint_auth_method: TokenEndpointAuthMethod::None,
            secret: None,
            previous_secret: None,
            grant_types: vec![GrantType::AuthorizationCode],
            redirect_uris: Vec::new(),
            pkce: Pkce::Optional,
            id_token_algorithm: Algorithm::Rs256,
            oidc: Oidc::default(),
            mobile: None,
            told: None,
            created_at: new.now,
            updated_at: new.now,
        }
    }

    fn put(&mut self, body: Body) -> Result<(), AdministerError> {
        body.kept.validate()?;
        self.oidc.access_control = body.kept.access_control()?;
        self.kind = body.kind.kind(self)?;
        (self.name, self.description, self.enabled) = (body.name, body.description, body.enabled);
        self.token_endpoint_auth_method = body.token_endpoint_auth_method.into();
        let grant_types = body.grant_types.map(|words| words.into_iter().map(Into::into).collect());
        self.grant_types = grant_types.unwrap_or_else(|| match self.kind {
            Kind::Worker => vec![GrantType::ClientCredentials],
            Kind::Web | Kind::Native | Kind::SinglePage => vec![GrantType::AuthorizationCode],
        });
        let types = body.response_types.map(|words| words.into_iter().map(Into::into).collect());
        self.oidc.response_types = types.unwrap_or_else(|| Oidc::default().response_types);
        self.redirect_uris = body.redirect_uris.unwrap_or_default();
        self.oidc.post_logout_redirect_uris = body.post_logout_redirect_uris.unwrap_or_default();
        body.rules.put(self)?;
        body.own.put(self)?;
        let old = self.mobile.take();
        self.mobile = body
            .mobile
            .map(|mobile| mobile.put(old.as_ref().unwrap_or(&Mobile::default())))
            .transpose()?;
        Ok(())
    }

    fn body(&self) -> Body {
        let words = |uris: &Vec<String>| (!uris.is_empty()).then(|| uris.clone());
        let types = self.oidc.response_types.iter().copied().map(Into::into).collect();
        Body {
            name: self.name.clone(),
            description: self.description.clone(),
            enabled: self.enabled,
            protocol: ProtocolWord::OpenidConnect,
            kind: TypeWord::of(self),
            token_endpoint_auth_method: self.token_endpoint_auth_method.into(),
            grant_types: Some(self.grant_types.iter().copied().map(Into::into).collect()),
            response_types: Some(types),
            redirect_uris: words(&self.redirect_uris),
            post_logout_redirect_uris: words(&self.oidc.post_logout_redirect_uris),
            rules: Rules::of(self.pkce, &self.oidc),
            own: Own::of(self),
            mobile: self.mobile.as_ref().map(|mobile| MobileBody::of(mobile, kept(self))),
            kept: kept(self),
        }
    }

    fn told(&self) -> Option<&str> {
        self.told.as_deref()
    }

    fn tell(&mut self, told: String) {
        self.told = Some(told);
    }

    fn defaults(blank: &Self) -> Value {
        let blank = Self { mobile: Some(Mobile::default()), ..blank.clone() };
        let mut body = serde_json::to_value(blank.body()).unwrap_or_default();
        // Always told.
        if let Some(members) = body.as_object_mut() {
            members.remove("enabled");
        }
        body
    }

    fn times(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        (Some(self.created_at), Some(self.updated_at))
    }

    fn links(&self, address: &Address) -> Links {
        let own = address.of(self.id);
        let native = (self.kind == Kind::Native).then_some("pushCredentials");
        let worker = (self.kind == Kind::Worker).then_some("roleAssignments");
        ["attributes", "grants", "secret", "signOnPolicyAssignments"]
            .into_iter()
            .chain(native)
            .chain(worker)
            .map(|relation| link(relation, format!("{own}/{relation}")))
            .collect()
    }
}

/// Gives an application that proves itself by a secret one, if it has none.
fn equip(application: &mut Application, spare: Sealed) {
    if application.token_endpoint_auth_method.has_secret() && application.secret.is_none() {
        application.secret = Some(spare);
    }
}

/// `POST .../applications`
pub(super) async fn create(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    body: Bytes,
) -> Result<Response, Refusal> {
    let environment = administrator.environment()?;
    let new = New { id: app.new_id(), environment, owner: environment, now: app.now() };
    let mut made = Application::blank(&new);
    Sent::parse(&body)?.put(&mut made)?;
    equip(&mut made, app.spare_secret(new.id)?);
    let made = Box::pin(administrator.act(app.create(made))).await?;
    Ok(resource::created(&made, administrator.address()))
}

/// `PUT .../applications/{id}`. Whoever gives an application another key or secret could speak for it afterwards.
pub(super) async fn replace(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    body: Bytes,
) -> Result<Response, Refusal> {
    let (environment, id) = (administrator.environment()?, administrator.id("id")?);
    let sent = Sent::parse(&body)?;
    app.may_speak_for(&administrator.authority, id).await?;
    let spare = app.spare_secret(id)?;
    let edit = move |mut old: Application| {
        sent.clone().put(&mut old)?;
        equip(&mut old, spare.clone());
        Ok(old)
    };
    let replaced = Box::pin(administrator.act(app.replace(environment, id, edit))).await?;
    Ok(Json(resource::show(&replaced, administrator.address())).into_response())
}
