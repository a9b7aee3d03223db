//! Protected resources on the wire: the APIs that access tokens are for. Two come with each environment.

mod attribute;
mod scope;

use countersign_domain::{
    invalid::{Invalid, Rule},
    protected_resource::{Kind, ProtectedResource},
    role::Area,
};
use countersign_protocol::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    hal::{Address, Links, link},
    resource::{New, Resource, kept},
};
use crate::app::AdministerError;

/// An API that access tokens are for.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Resource")]
pub(super) struct Body {
    /// Whose it is. Only `CUSTOM` ones are made and changed.
    #[serde(rename = "type", default)]
    kind: Type,
    /// Unique in the environment, 1 to 256 characters.
    name: String,
    /// For administrators, at most 1,024 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// What `aud` of its access tokens says, unique in the environment. By default the name.
    #[serde(skip_serializing_if = "Option::is_none")]
    audience: Option<String>,
    /// Life of its access tokens, in seconds, 300 to 2,592,000. No token lives longer than a day.
    #[serde(default = "an_hour")]
    access_token_validity_seconds: u32,
    #[serde(flatten)]
    kept: Kept,
}

/// Whose a resource is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schemars(rename = "ResourceType")]
enum Type {
    /// The OpenID provider.
    OpenidConnect,
    /// The platform itself.
    #[serde(rename = "PINGONE_API", alias = "PING_ONE_API")]
    Platform,
    /// An API of the organization.
    #[default]
    Custom,
}

const fn an_hour() -> u32 {
    3_600
}

/// What is kept for others, and not acted on.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
struct Kept {
    /// How the resource would prove itself at introspection.
    #[serde(skip_serializing_if = "Option::is_none")]
    introspect_endpoint_auth_method: Option<String>,
    /// Whether permissions of applications are in its access tokens. There are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    application_permissions_settings: Option<Value>,
    /// The keys that it would prove itself by.
    #[serde(skip_serializing_if = "Option::is_none")]
    jwks: Option<Value>,
    /// Where these keys are.
    #[serde(skip_serializing_if = "Option::is_none")]
    jwks_url: Option<String>,
}

impl Type {
    const fn of(kind: Kind) -> Self {
        match kind {
            Kind::OpenIdConnect => Self::OpenidConnect,
            Kind::Platform => Self::Platform,
            Kind::Custom => Self::Custom,
        }
    }
}

impl Resource for ProtectedResource {
    const NAME: &'static str = "resource";
    const COLLECTION: &'static str = "resources";
    const AREA: Area = Area::Applications;
    type Body = Body;

    fn blank(new: &New<Self>) -> Self {
        let blank = Self::built_in(new.id, new.environment, Kind::Custom, new.now);
        Self { name: String::new(), ..blank }
    }

    fn put(&mut self, body: Body) -> Result<(), AdministerError> {
        if body.kind != Type::of(self.kind) {
            let form = "CUSTOM, or what it is where it comes with an environment";
            return Err(Invalid::new("kind", Rule::Form { form }).into());
        }
        // What one that comes with the environment is answered with is not told by anybody.
        let told = body.audience.filter(|audience| self.is_custom() || audience != self.audience());
        (self.name, self.description, self.audience) = (body.name, body.description, told);
        self.access_token_seconds = body.access_token_validity_seconds;
        Ok(())
    }

    fn body(&self) -> Body {
        Body {
            kind: Type::of(self.kind),
            name: self.name.clone(),
            description: self.description.clone(),
            audience: Some(self.audience().to_owned()),
            access_token_validity_seconds: self.access_token_seconds,
            kept: kept(self),
        }
    }

    fn times(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        (Some(self.created_at), Some(self.updated_at))
    }

    fn told(&self) -> Option<&str> {
        self.told.as_deref()
    }

    fn tell(&mut self, told: String) {
        self.told = Some(told);
    }

    /// Everything is answered: clients find a resource by its type, and compute nothing themselves.
    fn defaults(_: &Self) -> Value {
        Value::Null
    }

    fn links(&self, address: &Address) -> Links {
        let of = |what: &str| format!("{}/{what}", address.of(self.id));
        Links::from([link("scopes", of("scopes")), link("attributes", of("attributes"))])
    }
}
