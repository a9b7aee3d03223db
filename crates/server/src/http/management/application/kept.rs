//! What an application keeps for others, and what is not acted on here (docs/compatibility.md).

use countersign_domain::{
    access_control,
    invalid::{Check, Invalid, Rule},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    app::AdministerError,
    http::management::{hal::Reference, resource::id_in},
};

/// What is kept for others, and not acted on.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(rename = "ApplicationKept")]
pub(super) struct Kept {
    /// Whether a portal of applications leaves it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    hidden_from_app_portal: Option<bool>,
    /// Its home page.
    #[serde(skip_serializing_if = "Option::is_none")]
    home_page_url: Option<String>,
    /// Where others begin a sign-on (OIDC Core, section 4).
    #[serde(skip_serializing_if = "Option::is_none")]
    initiate_login_uri: Option<String>,
    /// Where a sign-on leads that others begin.
    #[serde(skip_serializing_if = "Option::is_none")]
    target_link_uri: Option<String>,
    /// A sign-on page of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    login_page_url: Option<String>,
    /// Its picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    icon: Option<Icon>,
    /// Who may sign in to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    access_control: Option<AccessControl>,
    /// Whose scripts may call what reads cookies: nobody's, whatever it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    cors_settings: Option<CorsSettings>,
    /// A part of the address at which people type codes of devices.
    #[serde(skip_serializing_if = "Option::is_none")]
    device_path_id: Option<String>,
    /// The form of refresh tokens. They are opaque.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token_type: Option<RefreshTokenType>,
    /// Sign-on by Kerberos.
    #[serde(skip_serializing_if = "Option::is_none")]
    kerberos: Option<Kerberos>,
    /// Words for administrators.
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Vec<String>>,
    /// Which keys sign. All applications of an environment share them.
    #[serde(skip_serializing_if = "Option::is_none")]
    signing: Option<Signing>,
    /// Whether tokens tell the certificate of their key.
    #[serde(skip_serializing_if = "Option::is_none")]
    include_x5t: Option<bool>,
    /// Whether pages may watch the session.
    #[serde(skip_serializing_if = "Option::is_none")]
    op_session_check_enabled: Option<bool>,
    /// Whether an ID token is enough to sign off.
    #[serde(skip_serializing_if = "Option::is_none")]
    idp_signoff: Option<bool>,
    /// Whether a worker has the roles of whoever makes it. It has none until they are given.
    #[serde(skip_serializing_if = "Option::is_none")]
    assign_actor_roles: Option<bool>,
    /// Whether a request may name scopes of several resources.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_scopes_for_multiple_resources_enabled: Option<bool>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Icon {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    href: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct AccessControl {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<AccessRole>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<AccessGroup>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct AccessRole {
    #[serde(rename = "type")]
    kind: AccessRoleWord,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum AccessRoleWord {
    AdminUsersOnly,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct AccessGroup {
    #[serde(rename = "type")]
    kind: AccessGroupWord,
    groups: Vec<Reference>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum AccessGroupWord {
    AnyGroup,
    AllGroups,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct CorsSettings {
    behavior: CorsWord,
    #[serde(skip_serializing_if = "Option::is_none")]
    origins: Option<Vec<String>>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum CorsWord {
    AllowNoOrigins,
    AllowSpecificOrigins,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum RefreshTokenType {
    JsonWebToken,
    OpaqueToken,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Kerberos {
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Reference>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Signing {
    #[serde(skip_serializing_if = "Option::is_none")]
    key_rotation_policy: Option<Reference>,
}

const LIST_OF_20: Rule = Rule::Form { form: "a list of at most 20" };
const ADDRESS: Rule = Rule::Form { form: "an absolute address" };

impl Kept {
    /// Which users the application takes.
    pub fn access_control(&self) -> Result<Option<access_control::AccessControl>, AdministerError> {
        let Some(told) = &self.access_control else { return Ok(None) };
        let groups = match &told.group {
            None => None,
            Some(AccessGroup { kind, groups }) => {
                let of =
                    groups.iter().map(|group| id_in(&group.id, "access_control.group.groups.id"));
                let of = of.collect::<Result<Vec<_>, _>>()?;
                Some(access_control::Groups { all: matches!(kind, AccessGroupWord::AllGroups), of })
            }
        };
        let administrators_only = told.role.is_some();
        let control = access_control::AccessControl { administrators_only, groups };
        Ok(Some(control).filter(|control| *control != access_control::AccessControl::default()))
    }

    /// What can be said of it without knowing what it is for.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut check = Check::default();
        for (text, target) in [
            (&self.home_page_url, "home_page_url"),
            (&self.initiate_login_uri, "initiate_login_uri"),
            (&self.target_link_uri, "target_link_uri"),
            (&self.login_page_url, "login_page_url"),
        ] {
            let Some(text) = text else { continue };
            check.text(text, target, 2_048);
            check.require(Url::parse(text).is_ok(), target, ADDRESS);
        }
        if let Some(id) = &self.device_path_id {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
            let is_path = (1..=50).contains(&id.len()) && id.bytes().all(plain);
            let form = "1 to 50 letters, digits, _ and -";
            check.require(is_path, "device_path_id", Rule::Form { form });
        }
        let origins = self.cors_settings.as_ref().and_then(|cors| cors.origins.as_ref());
        check.require(
            origins.is_none_or(|all| all.len() <= 20),
            "cors_settings.origins",
            LIST_OF_20,
        );
        let tags = self.tags.as_ref();
        check.require(tags.is_none_or(|all| all.len() <= 20), "tags", LIST_OF_20);
        check.finish()
    }
}
