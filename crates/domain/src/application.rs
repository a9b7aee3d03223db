//! Applications: the OIDC clients of an environment.

mod oidc;
mod resource_grant;
mod wildcard;

use countersign_protocol::{jose::Algorithm, time::Timestamp};
use serde::{Deserialize, Serialize};
use url::Url;

pub use self::oidc::{
    AttributeMapping, ClientKeys, DeviceGrantRules, Oidc, PushedRequestRules, RefreshRules,
    RequestObjectRules, ResponseType, SUBJECT,
};
pub use self::resource_grant::ResourceGrant;
pub(crate) use self::wildcard::covers;
use crate::{
    environment::Environment,
    id::Id,
    invalid::{Check, Invalid, Rule},
    sealed::Sealed,
    unpairing::UnpairingRules,
};

/// An OIDC client. Its id is its `client_id`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Application {
    /// The `client_id`.
    pub id: Id<Application>,
    /// The tenant.
    pub environment: Id<Environment>,
    /// Unique in the environment, 1 to 256 characters; shown to the person who signs in.
    pub name: String,
    /// What it is; decides what it may do.
    pub kind: Kind,
    /// Whether it may be used.
    pub enabled: bool,
    /// How it proves itself at the token endpoint.
    pub token_endpoint_auth_method: TokenEndpointAuthMethod,
    /// The client secret, for the methods that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Sealed>,
    /// The secret before it, while it still counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_secret: Option<PreviousSecret>,
    /// Which grants it may use.
    pub grant_types: Vec<GrantType>,
    /// Where its users may be sent back to, compared exactly (RFC 9700, section 2.1) unless `oidc.wildcard_redirect_uris` is on.
    pub redirect_uris: Vec<String>,
    /// Whether its requests must carry a code challenge; those of public clients always must (RFC 9700, section 2.1.1).
    pub pkce: Pkce,
    /// The algorithm of its ID tokens.
    pub id_token_algorithm: Algorithm,
    /// What else it may ask for, and how.
    #[serde(default, skip_serializing_if = "Oidc::is_default")]
    pub oidc: Oidc,
    /// The mobile section, of native applications.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mobile: Option<Mobile>,
    /// For administrators, at most 1,024 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The last body that the platform API was told it by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A client secret that was replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviousSecret {
    /// The secret.
    pub secret: Sealed,
    /// It counts until then.
    pub expires_at: Timestamp,
}

impl PreviousSecret {
    /// The shortest time that one still counts, in seconds.
    pub const MIN_SECONDS: i64 = 60;
    /// The longest time that one still counts, in seconds.
    pub const MAX_SECONDS: i64 = 30 * 86_400;

    /// Whether it still counts.
    #[must_use]
    pub fn counts(&self, now: Timestamp) -> bool {
        now < self.expires_at
    }
}

/// What an application is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Runs on a server.
    Web,
    /// Runs on a phone or a desktop, and can be an authenticator.
    Native,
    /// Runs in a browser.
    SinglePage,
    /// Acts for itself, without users.
    Worker,
}

/// How an application proves itself at the token endpoint (OIDC Core, section 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenEndpointAuthMethod {
    /// Not at all: a public client.
    None,
    /// HTTP Basic.
    ClientSecretBasic,
    /// Form members.
    ClientSecretPost,
    /// A JWT under an HMAC with the secret.
    ClientSecretJwt,
    /// A JWT under a key of the client's own.
    PrivateKeyJwt,
}

impl TokenEndpointAuthMethod {
    /// Whether the client has a secret.
    #[must_use]
    pub const fn has_secret(self) -> bool {
        match self {
            Self::ClientSecretBasic | Self::ClientSecretPost | Self::ClientSecretJwt => true,
            Self::None | Self::PrivateKeyJwt => false,
        }
    }
}

/// Whether authorization requests must carry a code challenge. The method is S256 in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pkce {
    /// They may.
    #[default]
    Optional,
    /// They must.
    Required,
    /// They must, and the method is named.
    S256Required,
}

/// A way to get tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantType {
    /// RFC 6749, section 4.1.
    AuthorizationCode,
    /// RFC 6749, section 4.2: tokens in the authorization response. RFC 9700 advises against it.
    Implicit,
    /// RFC 6749, section 6.
    RefreshToken,
    /// RFC 6749, section 4.4.
    ClientCredentials,
    /// RFC 8628.
    DeviceCode,
}

/// The mobile section of a native application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mobile {
    /// Android package name, unique in the environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package_name: Option<String>,
    /// iOS bundle id, unique in the environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle_id: Option<String>,
    /// Id of the app at Huawei, unique in the environment. With it comes its package name there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub huawei_app_id: Option<String>,
    /// Package name of the app at Huawei, unique in the environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub huawei_package_name: Option<String>,
    /// How long a one-time passcode of the SDK is shown, 30 to 60 seconds.
    pub passcode_step_seconds: u8,
    /// How many steps a passcode may lie in the past or the future, 1 to 10.
    pub passcode_grace_steps: u8,
    /// Whether phones that say they are rooted are refused.
    pub integrity_detection: bool,
    /// What stands before the code in what a phone reads off a screen: a universal link (`https://bank.example`) or the scheme of
    /// the app; at most 255 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri_prefix: Option<String>,
    /// How a number that must be matched comes into the phone. Whether one must, says the MFA policy.
    #[serde(default)]
    pub number_matching: NumberMatchingKind,
    /// When a phone that its push service no longer knows is unpaired.
    #[serde(default, skip_serializing_if = "UnpairingRules::is_default")]
    pub unpairing: UnpairingRules,
}

/// How a number that the sign-on page shows comes into the phone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NumberMatchingKind {
    /// Picked out of three.
    #[default]
    SelectNumber,
    /// Typed.
    EnterManually,
}

impl Default for Mobile {
    fn default() -> Self {
        Self {
            package_name: None,
            bundle_id: None,
            huawei_app_id: None,
            huawei_package_name: None,
            passcode_step_seconds: 30,
            passcode_grace_steps: 5,
            integrity_detection: false,
            uri_prefix: None,
            number_matching: NumberMatchingKind::default(),
            unpairing: UnpairingRules::default(),
        }
    }
}

impl Application {
    /// Whether it cannot keep a secret.
    #[must_use]
    pub fn is_public(&self) -> bool {
        self.token_endpoint_auth_method == TokenEndpointAuthMethod::None
    }

    /// Whether its requests must carry a code challenge. The secret of a native application proves nothing, since every
    /// copy of the app has it (RFC 8252, section 8.5).
    #[must_use]
    pub fn needs_pkce(&self) -> bool {
        self.is_public() || self.kind == Kind::Native || self.pkce != Pkce::Optional
    }

    /// Whether a secret of it proves anything: each copy of an app, and each page, has the same one.
    #[must_use]
    pub fn keeps_secrets(&self) -> bool {
        match self.kind {
            Kind::Web | Kind::Worker => !self.is_public(),
            Kind::Native | Kind::SinglePage => false,
        }
    }

    /// Whether it may use this way to get tokens.
    #[must_use]
    pub fn may(&self, grant_type: GrantType) -> bool {
        self.grant_types.contains(&grant_type)
    }

    /// The rules for what may take the place of an application: what it is and what its app is called stays.
    pub fn validate_in_place_of(&self, old: &Self) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.require(self.kind == old.kind, "kind", Rule::Immutable);
        let none = Mobile::default();
        let (new, old) = (self.mobile.as_ref(), old.mobile.as_ref());
        let names = old.unwrap_or(&none).names().into_iter().zip(new.unwrap_or(&none).names());
        for ((old, target), (new, _)) in names {
            check.require(old.is_none() || old == new, target, Rule::Immutable);
        }
        check.finish()
    }

    /// The rules for what an administrator may store.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.text(&self.name, "name", 256);
        check.optional_prose(self.description.as_deref(), "description", 1_024);
        check.require(self.redirect_uris.len() <= 100, "redirect_uris", LIST_OF_100);
        for uri in &self.redirect_uris {
            check.require(uri.len() <= 2_048, "redirect_uris", Rule::TooLong { max: 2_048 });
            check.require(is_redirect_uri(uri), "redirect_uris", REDIRECT_FORM);
            if uri.contains('*') {
                let allowed = self.oidc.wildcard_redirect_uris;
                check.require(allowed, "redirect_uris", WITHOUT_STAR);
                check.require(!allowed || wildcard::is_pattern(uri), "redirect_uris", PATTERN_FORM);
            }
        }
        let of_users = [GrantType::AuthorizationCode, GrantType::Implicit];
        let for_users = of_users.into_iter().any(|grant_type| self.may(grant_type));
        let form = "without authorization_code and implicit for a worker application";
        let form = Rule::Form { form };
        check.require(!(for_users && self.kind == Kind::Worker), "grant_types", form);
        let answers = !for_users || !self.oidc.response_types.is_empty();
        check.require(answers, "oidc.response_types", Rule::Required);
        let form = Rule::Form { form: "without client_credentials for a public client" };
        let credentials = self.grant_types.contains(&GrantType::ClientCredentials);
        check.require(!(credentials && self.is_public()), "grant_types", form);
        let form = Rule::Form { form: "none for a single page application" };
        let keeps_none = self.kind != Kind::SinglePage || self.is_public();
        check.require(keeps_none, "token_endpoint_auth_method", form);
        check.require(self.mobile.is_none() || self.kind == Kind::Native, "mobile", NATIVE_ONLY);
        let form = Rule::Form { form: "given for private_key_jwt" };
        let proves_by_key =
            self.token_endpoint_auth_method == TokenEndpointAuthMethod::PrivateKeyJwt;
        check.require(!proves_by_key || self.oidc.keys.is_some(), "oidc.keys", form);
        self.oidc.validate(&mut check);
        if let Some(mobile) = &self.mobile {
            mobile.validate(&mut check);
        }
        check.finish()
    }
}

impl Mobile {
    /// The names of the app at the makers of phones. Once set they stay, since phones are paired under them.
    fn names(&self) -> [(&Option<String>, &'static str); 4] {
        [
            (&self.package_name, "mobile.package_name"),
            (&self.bundle_id, "mobile.bundle_id"),
            (&self.huawei_app_id, "mobile.huawei_app_id"),
            (&self.huawei_package_name, "mobile.huawei_package_name"),
        ]
    }

    fn validate(&self, check: &mut Check) {
        let pair = self.huawei_app_id.is_some() == self.huawei_package_name.is_some();
        let form = "given with mobile.huaweiPackageName, or neither of them";
        check.require(pair, "mobile.huawei_app_id", Rule::Form { form });
        for (id, target) in self.names() {
            if let Some(id) = id {
                check.text(id, target, 255);
            }
        }
        check.range(self.passcode_step_seconds.into(), "mobile.passcode_step_seconds", 30, 60);
        check.range(self.passcode_grace_steps.into(), "mobile.passcode_grace_steps", 1, 10);
        if let Some(prefix) = &self.uri_prefix {
            check.text(prefix, "mobile.uri_prefix", 255);
            let clean =
                prefix.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#\"<>".contains(&byte));
            let is_link = !prefix.contains("://")
                || Url::parse(prefix).is_ok_and(|url| url.scheme() != "http" || is_loopback(&url));
            // A sign-on page links to it.
            let scheme = prefix.split(':').next().unwrap_or_default().to_ascii_lowercase();
            let is_safe = !RUNNABLE_SCHEMES.contains(&scheme.as_str());
            check.require(clean && is_link && is_safe, "mobile.uri_prefix", PREFIX_FORM);
        }
        self.unpairing.validate(check);
    }
}

/// Schemes of addresses that a browser runs or shows as its own, and no app is opened by.
const RUNNABLE_SCHEMES: [&str; 6] = ["javascript", "data", "vbscript", "blob", "file", "about"];

const LIST_OF_100: Rule = Rule::Form { form: "a list of at most 100" };
const WITHOUT_STAR: Rule =
    Rule::Form { form: "without * while oidc.wildcard_redirect_uris is off" };
const PATTERN_FORM: Rule = Rule::Form {
    form: "an https address in canonical form, or http on loopback, with * at most once in a label of the host before its last two, in a segment of the path or in a member of the query",
};
const PREFIX_FORM: Rule = Rule::Form { form: "an https address or an app scheme, without query" };
const NATIVE_ONLY: Rule = Rule::Form { form: "absent, except on native applications" };
const REDIRECT_FORM: Rule = Rule::Form {
    form: "an absolute ASCII URI without fragment: https, http on loopback, or an app scheme with a dot",
};

/// https anywhere, http on loopback only, or a private-use scheme, which needs a dot (RFC 8252, section 7.1).
fn is_redirect_uri(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    let visible = text.bytes().all(|b| b.is_ascii_graphic());
    let known = match url.scheme() {
        "https" => url.has_host(),
        "http" => is_loopback(&url) || url.host_str() == Some("localhost"),
        scheme => scheme.contains('.'),
    };
    known
        && visible
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
}

/// `127.0.0.1` or `[::1]`. `localhost` is left out, because its address is the system's choice (RFC 8252, section 8.3).
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address == std::net::Ipv4Addr::LOCALHOST,
        Some(url::Host::Ipv6(address)) => address == std::net::Ipv6Addr::LOCALHOST,
        Some(url::Host::Domain(_)) | None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{application, assert_told};

    fn mobile(application: &mut Application) -> &mut Mobile {
        application.mobile.as_mut().unwrap()
    }

    #[test]
    fn each_broken_rule_is_told() {
        assert_told(
            application,
            Application::validate,
            &[
                (|a| a.name = String::new(), "name must be given"),
                (|a| a.name = "x".repeat(256), ""),
                (|a| a.name = "x".repeat(257), "name must have at most 256 characters"),
                (
                    |a| a.name = " x".to_owned(),
                    "name must be printable text without surrounding space",
                ),
                (|a| a.redirect_uris = vec!["org.bank.app:/cb".to_owned(); 100], ""),
                (
                    |a| a.redirect_uris = vec!["org.bank.app:/cb".to_owned(); 101],
                    "redirect_uris must be a list of at most 100",
                ),
                (
                    |a| a.redirect_uris = vec![format!("org.bank.app:/{}", "x".repeat(2_035))],
                    "redirect_uris must have at most 2048 characters",
                ),
                (
                    |a| a.redirect_uris = vec!["http://bank.example/cb".to_owned()],
                    "redirect_uris must be an absolute ASCII URI without fragment: https, http on loopback, or an app scheme with a dot",
                ),
                (
                    |a| a.redirect_uris = vec!["https://*.bank.example/cb".to_owned()],
                    "redirect_uris must be without * while oidc.wildcard_redirect_uris is off",
                ),
                (
                    |a| {
                        a.oidc.wildcard_redirect_uris = true;
                        a.redirect_uris = vec!["https://*.bank.example/cb".to_owned()];
                    },
                    "",
                ),
                (
                    |a| {
                        a.oidc.wildcard_redirect_uris = true;
                        a.redirect_uris = vec!["https://bank.*/cb".to_owned()];
                    },
                    "redirect_uris must be an https address in canonical form, or http on loopback, with * at most once in a label of the host before its last two, in a segment of the path or in a member of the query",
                ),
                (
                    |a| {
                        a.kind = Kind::Worker;
                        a.mobile = None;
                    },
                    "grant_types must be without authorization_code and implicit for a worker application",
                ),
                (
                    |a| a.grant_types.push(GrantType::ClientCredentials),
                    "grant_types must be without client_credentials for a public client",
                ),
                (
                    |a| {
                        a.kind = Kind::SinglePage;
                        a.mobile = None;
                        a.token_endpoint_auth_method = TokenEndpointAuthMethod::ClientSecretPost;
                    },
                    "token_endpoint_auth_method must be none for a single page application",
                ),
                (|a| a.kind = Kind::Web, "mobile must be absent, except on native applications"),
            ],
        );
    }

    #[test]
    fn each_broken_rule_of_the_mobile_section_is_told() {
        assert_told(
            application,
            Application::validate,
            &[
                (
                    |a| mobile(a).package_name = Some(String::new()),
                    "mobile.package_name must be given",
                ),
                (
                    |a| mobile(a).bundle_id = Some("x".repeat(256)),
                    "mobile.bundle_id must have at most 255 characters",
                ),
                (
                    |a| mobile(a).passcode_step_seconds = 29,
                    "mobile.passcode_step_seconds must be from 30 to 60",
                ),
                (
                    |a| mobile(a).passcode_step_seconds = 61,
                    "mobile.passcode_step_seconds must be from 30 to 60",
                ),
                (
                    |a| mobile(a).passcode_grace_steps = 0,
                    "mobile.passcode_grace_steps must be from 1 to 10",
                ),
                (
                    |a| mobile(a).passcode_grace_steps = 11,
                    "mobile.passcode_grace_steps must be from 1 to 10",
                ),
            ],
        );
    }

    #[test]
    fn redirect_uris_that_can_be_taken_over_are_refused() {
        let good = [
            "https://bank.example/cb",
            "https://bank.example/cb?a=b",
            "http://127.0.0.1/cb",
            "http://[::1]:8080/cb",
            "http://localhost:8080/cb",
            "org.bank.app:/cb",
            "org.bank.app://cb",
        ];
        let bad = [
            "",
            "/cb",
            "bank.example/cb",
            "http://bank.example/cb",
            "https://bank.example/cb#x",
            "https://u:p@bank.example/cb",
            "javascript:alert(1)",
            "data:text/html,x",
            "bankapp://cb",
            "http://127.0.0.2/cb",
            "https://bank.example/r\u{fc}ck",
            "https://bank.example/a b",
        ];
        for uri in good {
            assert!(is_redirect_uri(uri), "{uri}");
        }
        for uri in bad {
            assert!(!is_redirect_uri(uri), "{uri}");
        }
    }
}
