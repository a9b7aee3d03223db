//! What an application may ask of the OpenID provider beside the plain code flow. Each default is the strict one.

use serde::{Deserialize, Serialize};
use url::Url;

use super::{Application, ResourceGrant, is_redirect_uri, resource_grant};
use crate::{
    access_control::AccessControl,
    authorization::Scope,
    client_key::ClientKeySet,
    expression::{self, Expression},
    grant::MAX_TOKEN_SECONDS,
    id::Id,
    invalid::{Check, Rule},
    user::User,
};

/// Rules of one application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Oidc {
    /// What it may ask for in `response_type`.
    pub response_types: Vec<ResponseType>,
    /// Whether `*` may stand in registered redirect URIs, for a part of a label, segment or member. RFC 9700, section 2.1,
    /// advises against it.
    pub wildcard_redirect_uris: bool,
    /// Where its users may be sent after they have signed off, compared exactly.
    pub post_logout_redirect_uris: Vec<String>,
    /// Where it is told that a session has ended (OIDC Back-Channel Logout).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backchannel_logout_uri: Option<String>,
    /// RFC 9126.
    pub pushed_requests: PushedRequestRules,
    /// RFC 9101.
    pub request_objects: RequestObjectRules,
    /// Refresh tokens, where it has the grant type.
    pub refresh: RefreshRules,
    /// RFC 8628.
    pub device_grant: DeviceGrantRules,
    /// The native application whose phones sign its users on by an authentication code, if any do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone_sign_on: Option<Id<Application>>,
    /// Which users it takes; none: everybody who can sign in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_control: Option<AccessControl>,
    /// The keys that it signs with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys: Option<ClientKeys>,
    /// Whether all its access tokens must be bound to a key (RFC 9449, section 5.2).
    pub dpop_required: bool,
    /// Life of its access tokens, in seconds, 300 to 86,400.
    pub access_token_seconds: u32,
    /// What its tokens and userinfo tell beside the claims of the scopes, or in their place. At most 100.
    pub attributes: Vec<AttributeMapping>,
    /// What it may ask for at protected resources. At most 100.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<ResourceGrant>,
}

/// A part of `response_type` (OAuth 2.0 Multiple Response Types).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResponseType {
    /// An authorization code.
    Code,
    /// An access token in the authorization response.
    Token,
    /// An ID token in the authorization response.
    IdToken,
}

/// Pushed authorization requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushedRequestRules {
    /// Whether only pushed requests count.
    pub required: bool,
    /// Life of a pushed request, in seconds, 1 to 600.
    pub timeout_seconds: u16,
}

/// Request objects. Not both at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestObjectRules {
    /// Whether `alg: none` counts.
    pub unsigned_allowed: bool,
    /// Whether only requests with a signed object count.
    pub signature_required: bool,
}

/// How long refresh tokens live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshRules {
    /// Seconds that a token may rest, 60 to 2,147,483,647.
    pub idle_seconds: u32,
    /// Seconds after the sign-on that no token outlives, not less than `idle_seconds`; none: no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub life_seconds: Option<u32>,
    /// Seconds in which the token before the newest still counts, since an answer can be lost, 0 to 86,400.
    pub grace_seconds: u32,
    /// Whether an older token that comes back revokes all that came of the same sign-on (RFC 9700, section 4.14.2).
    pub replay_protection: bool,
}

/// The device authorization grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceGrantRules {
    /// Life of the codes, in seconds, 1 to 3,600.
    pub timeout_seconds: u16,
    /// Seconds between two polls, 1 to 60.
    pub interval_seconds: u8,
    /// Where the person is sent instead of the hosted page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification_uri: Option<String>,
}

/// Where the public keys of a client are (RFC 7591, section 2: `jwks`, `jwks_uri`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientKeys {
    /// Here: the text of a JWK set.
    Inline(String),
    /// At this https address.
    Url(String),
}

/// One claim: a name, and an [`Expression`] such as `${user.name.given}` or a fixed text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributeMapping {
    /// Its id.
    pub id: Id<AttributeMapping>,
    /// Name of the claim. A standard one stands in the place of what the scopes would tell.
    pub name: String,
    /// What it says, at most 2,048 characters.
    pub value: String,
    /// Whether a sign-on fails for a user for whom the expression is empty.
    #[serde(default)]
    pub required: bool,
    /// Whether it is in ID tokens.
    pub id_token: bool,
    /// Whether userinfo tells it.
    pub user_info: bool,
    /// Names of the scopes of which one must be granted; empty: always.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
}

impl Default for Oidc {
    fn default() -> Self {
        Self {
            response_types: vec![ResponseType::Code],
            wildcard_redirect_uris: false,
            post_logout_redirect_uris: Vec::new(),
            backchannel_logout_uri: None,
            pushed_requests: PushedRequestRules::default(),
            request_objects: RequestObjectRules::default(),
            refresh: RefreshRules::default(),
            device_grant: DeviceGrantRules::default(),
            phone_sign_on: None,
            access_control: None,
            keys: None,
            dpop_required: false,
            access_token_seconds: 3_600,
            attributes: Vec::new(),
            grants: Vec::new(),
        }
    }
}

impl Default for PushedRequestRules {
    fn default() -> Self {
        Self { required: false, timeout_seconds: 60 }
    }
}

impl Default for RefreshRules {
    fn default() -> Self {
        let idle_seconds = 30 * 86_400;
        Self { idle_seconds, life_seconds: None, grace_seconds: 0, replay_protection: true }
    }
}

impl Default for DeviceGrantRules {
    fn default() -> Self {
        Self { timeout_seconds: 600, interval_seconds: 5, verification_uri: None }
    }
}

impl Oidc {
    /// Most applications are: then there is nothing to store, and nothing to read in each flow.
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The rules for what an administrator may store.
    pub(super) fn validate(&self, check: &mut Check) {
        self.validate_addresses(check);
        let timeout = self.pushed_requests.timeout_seconds;
        check.range(timeout.into(), "oidc.pushed_requests.timeout_seconds", 1, 600);
        let objects = self.request_objects;
        let form = Rule::Form { form: "off where a signature is required" };
        let both = objects.unsigned_allowed && objects.signature_required;
        check.require(!both, "oidc.request_objects.unsigned_allowed", form);
        self.refresh.validate(check);
        let DeviceGrantRules { timeout_seconds, interval_seconds, .. } = self.device_grant;
        check.range(timeout_seconds.into(), "oidc.device_grant.timeout_seconds", 1, 3_600);
        check.range(interval_seconds.into(), "oidc.device_grant.interval_seconds", 1, 60);
        check.range(
            self.access_token_seconds.into(),
            "oidc.access_token_seconds",
            300,
            MAX_TOKEN_SECONDS,
        );
        check.require(self.attributes.len() <= 100, "oidc.attributes", LIST_OF_100);
        for (place, attribute) in self.attributes.iter().enumerate() {
            attribute.validate(check);
            let mut before = self.attributes.iter().take(place);
            let known = before.any(|known| known.name == attribute.name);
            check.require(!known, "oidc.attributes.name", Rule::Unique);
        }
        resource_grant::validate(&self.grants, check);
        if let Some(ClientKeys::Inline(text)) = &self.keys {
            check.require(ClientKeySet::parse(text.as_bytes()).is_ok(), "oidc.keys", KEY_SET);
        }
    }

    fn validate_addresses(&self, check: &mut Check) {
        let target = "oidc.post_logout_redirect_uris";
        check.require(self.post_logout_redirect_uris.len() <= 100, target, LIST_OF_100);
        for uri in &self.post_logout_redirect_uris {
            let form = "an absolute URI without fragment: https, http on loopback, or an app scheme with a dot";
            check.require(uri.len() <= 2_048, target, Rule::TooLong { max: 2_048 });
            check.require(is_redirect_uri(uri), target, Rule::Form { form });
        }
        for (uri, target) in [
            (&self.backchannel_logout_uri, "oidc.backchannel_logout_uri"),
            (&self.device_grant.verification_uri, "oidc.device_grant.verification_uri"),
            (&self.keys.as_ref().and_then(ClientKeys::url), "oidc.keys"),
        ] {
            let Some(uri) = uri else { continue };
            check.require(uri.len() <= 2_048, target, Rule::TooLong { max: 2_048 });
            check.require(is_web_address(uri), target, WEB_ADDRESS);
        }
    }
}

impl RefreshRules {
    fn validate(&self, check: &mut Check) {
        let max = i64::from(i32::MAX);
        check.range(self.idle_seconds.into(), "oidc.refresh.idle_seconds", 60, max);
        check.range(self.grace_seconds.into(), "oidc.refresh.grace_seconds", 0, 86_400);
        if let Some(life) = self.life_seconds {
            check.range(life.into(), "oidc.refresh.life_seconds", self.idle_seconds.into(), max);
        }
    }
}

/// The claim whose mapping every application has.
pub const SUBJECT: &str = "sub";

impl Application {
    /// What `sub` says, which every application has a mapping of.
    #[must_use]
    pub fn subject_mapping(&self) -> AttributeMapping {
        let stored = self.oidc.attributes.iter().find(|mapping| mapping.name == SUBJECT);
        stored.cloned().unwrap_or_else(|| AttributeMapping {
            id: self.id.cast(),
            name: SUBJECT.to_owned(),
            value: "${user.id}".to_owned(),
            required: true,
            id_token: true,
            user_info: true,
            scopes: Vec::new(),
        })
    }
}

impl AttributeMapping {
    /// Names that the platform itself fills (platform API, section 3.5).
    const RESERVED: [&str; 19] = [
        "acr",
        "amr",
        "at_hash",
        "aud",
        "auth_time",
        "azp",
        "c_hash",
        "client_id",
        "exp",
        "iat",
        "iss",
        "jti",
        "nbf",
        "nonce",
        "org",
        "scope",
        "sid",
        "env",
        "countersign_pairing",
    ];

    fn validate(&self, check: &mut Check) {
        check.text(&self.name, "oidc.attributes.name", 256);
        check.text(&self.value, "oidc.attributes.value", 2_048);
        let own = !Self::RESERVED.contains(&self.name.as_str()) && !self.name.starts_with("p1.");
        let form = "none of the names that the platform fills itself";
        check.require(own, "oidc.attributes.name", Rule::Form { form });
        let is_expression = Expression::parse(&self.value).is_ok();
        let form = Rule::Form { form: expression::FORM };
        check.require(is_expression, "oidc.attributes.value", form);
        // OIDC Core, section 5.7: a subject is never somebody else's. User names change hands, and mail addresses are shared.
        let form = Rule::Form { form: "${user.id} for the claim sub, which is never reassigned" };
        let keeps_subject = self.name != SUBJECT || self.value == "${user.id}";
        check.require(keeps_subject, "oidc.attributes.value", form);
        let known = |name: &String| Scope::ALL.iter().any(|scope| scope.name() == name);
        let form = Rule::Form { form: "among openid, profile, email, address and phone" };
        check.require(self.scopes.iter().all(known), "oidc.attributes.scopes", form);
        check.require(self.scopes.len() <= 100, "oidc.attributes.scopes", LIST_OF_100);
    }

    /// What it says of a user; nothing if that is empty.
    #[must_use]
    pub fn evaluate(&self, user: &User) -> Option<String> {
        Expression::parse(&self.value).ok()?.evaluate(user)
    }
}

impl ClientKeys {
    /// The address, if the keys are elsewhere.
    #[must_use]
    pub fn url(&self) -> Option<String> {
        match self {
            Self::Inline(_) => None,
            Self::Url(url) => Some(url.clone()),
        }
    }
}

const KEY_SET: Rule = Rule::Form {
    form: "a JWK set of 1 to 50 public keys, of which one verifies signatures: RSA of 2048 to 8192 bits, P-256, P-384 or Ed25519",
};
const LIST_OF_100: Rule = Rule::Form { form: "a list of at most 100" };
const WEB_ADDRESS: Rule = Rule::Form {
    form: "an absolute https address without fragment or credentials, or http on loopback",
};

fn is_web_address(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "https" | "http"))
        && is_redirect_uri(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        application::Application,
        fixture::{application, assert_told},
    };

    fn mapping(name: &str) -> AttributeMapping {
        AttributeMapping {
            id: Id::from_bytes([1; 16]),
            name: name.to_owned(),
            value: "${user.id}".to_owned(),
            required: false,
            id_token: true,
            user_info: true,
            scopes: Vec::new(),
        }
    }

    fn saying(name: &str, value: &str) -> AttributeMapping {
        AttributeMapping { value: value.to_owned(), ..mapping(name) }
    }

    #[test]
    fn each_broken_rule_of_addresses_keys_and_times_is_told() {
        assert_told(
            application,
            Application::validate,
            &[
                (|a| a.oidc.response_types.clear(), "oidc.response_types must be given"),
                (
                    |a| a.oidc.post_logout_redirect_uris = vec!["http://bank.example".to_owned()],
                    "oidc.post_logout_redirect_uris must be an absolute URI without fragment: https, http on loopback, or an app scheme with a dot",
                ),
                (
                    |a| a.oidc.backchannel_logout_uri = Some("org.bank.app:/out".to_owned()),
                    "oidc.backchannel_logout_uri must be an absolute https address without fragment or credentials, or http on loopback",
                ),
                (
                    |a| a.oidc.keys = Some(ClientKeys::Url("ftp://bank.example/keys".to_owned())),
                    "oidc.keys must be an absolute https address without fragment or credentials, or http on loopback",
                ),
                (
                    |a| a.oidc.keys = Some(ClientKeys::Inline(r#"{"keys":[]}"#.to_owned())),
                    "oidc.keys must be a JWK set of 1 to 50 public keys, of which one verifies signatures: RSA of 2048 to 8192 bits, P-256, P-384 or Ed25519",
                ),
                (
                    |a| a.oidc.pushed_requests.timeout_seconds = 601,
                    "oidc.pushed_requests.timeout_seconds must be from 1 to 600",
                ),
                (
                    |a| {
                        a.oidc.request_objects.unsigned_allowed = true;
                        a.oidc.request_objects.signature_required = true;
                    },
                    "oidc.request_objects.unsigned_allowed must be off where a signature is required",
                ),
                (
                    |a| a.oidc.refresh.idle_seconds = 59,
                    "oidc.refresh.idle_seconds must be from 60 to 2147483647",
                ),
                (
                    |a| a.oidc.refresh.life_seconds = Some(2_591_999),
                    "oidc.refresh.life_seconds must be from 2592000 to 2147483647",
                ),
                (
                    |a| a.oidc.refresh.grace_seconds = 86_401,
                    "oidc.refresh.grace_seconds must be from 0 to 86400",
                ),
                (
                    |a| a.oidc.device_grant.interval_seconds = 61,
                    "oidc.device_grant.interval_seconds must be from 1 to 60",
                ),
                (
                    |a| a.oidc.device_grant.timeout_seconds = 3_601,
                    "oidc.device_grant.timeout_seconds must be from 1 to 3600",
                ),
                (
                    |a| a.oidc.access_token_seconds = 299,
                    "oidc.access_token_seconds must be from 300 to 86400",
                ),
            ],
        );
    }

    #[test]
    fn each_broken_rule_of_attribute_mappings_is_told() {
        assert_told(
            application,
            Application::validate,
            &[
                (
                    |a| a.oidc.attributes = vec![mapping("acr")],
                    "oidc.attributes.name must be none of the names that the platform fills itself",
                ),
                (|a| a.oidc.attributes = vec![mapping("department"), mapping("sub")], ""),
                (
                    |a| a.oidc.attributes = vec![mapping("name"), mapping("name")],
                    "oidc.attributes.name is taken",
                ),
                (
                    |a| a.oidc.attributes = vec![saying("tier", "${user.tier}")],
                    "oidc.attributes.value must be text with references among ${user.id}, ${user.username}, ${user.email}, ${user.name.given}, ${user.name.family}, ${user.name.formatted}, ${user.nickname}, ${user.title}, ${user.type}, ${user.locale}, ${user.preferredLanguage}, ${user.timezone}, ${user.primaryPhone}, ${user.mobilePhone}, ${user.externalId}, ${user.population.id}, ${user.environment.id}, ${user.createdAt} and ${user.updatedAt}",
                ),
                (
                    |a| a.oidc.attributes = vec![saying("sub", "${user.email}")],
                    "oidc.attributes.value must be ${user.id} for the claim sub, which is never reassigned",
                ),
                (
                    |a| {
                        let scopes = vec!["p1:read:user".to_owned()];
                        a.oidc.attributes = vec![AttributeMapping { scopes, ..mapping("tier") }];
                    },
                    "oidc.attributes.scopes must be among openid, profile, email, address and phone",
                ),
            ],
        );
    }
}
