//! Protected resources: the APIs that access tokens are for (RFC 6749, section 1.1), the scopes that they know, and what their
//! tokens say of a user. Two come with each environment; the others are made by administrators.

use std::borrow::Cow;

use countersign_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    application::{Application, ResourceGrant},
    authorization::Scope,
    claims::Claims,
    environment::Environment,
    expression::{self, Expression},
    grant::MAX_TOKEN_SECONDS,
    id::Id,
    invalid::{Check, Invalid, Rule},
    user::User,
};

/// An API, the audience of access tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtectedResource {
    /// Its id.
    pub id: Id<ProtectedResource>,
    /// The tenant.
    pub environment: Id<Environment>,
    /// Whose it is.
    pub kind: Kind,
    /// Unique in the environment, 1 to 256 characters.
    pub name: String,
    /// For administrators, at most 1,024 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What `aud` of its access tokens says; none: the name. Unique in the environment, 1 to 2,048 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// Life of its access tokens, in seconds, 300 to 2,592,000. See [`Self::token_seconds`].
    pub access_token_seconds: u32,
    /// What it lets applications ask for. At most 250. Those of the two that come with an environment are not stored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<ResourceScope>,
    /// What its access tokens say of a user. At most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<ResourceAttribute>,
    /// The last body that the platform API was told it by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Whose a resource is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The OpenID provider: userinfo. Its scopes are [`Scope`].
    OpenIdConnect,
    /// The platform itself, by which users manage their own data at the vendor. Its scopes can be granted and open nothing here.
    Platform,
    /// Somebody's API.
    Custom,
}

/// What an application can ask for at a resource (RFC 6749, section 3.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceScope {
    /// Its id.
    pub id: Id<ResourceScope>,
    /// Unique among the scopes of the environment, 1 to 256 characters.
    pub name: String,
    /// For administrators, at most 1,024 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A claim of the access tokens of a resource: a name, and an [`Expression`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceAttribute {
    /// Its id.
    pub id: Id<ResourceAttribute>,
    /// Name of the claim, unique in the resource.
    pub name: String,
    /// What it says, at most 2,048 characters.
    pub value: String,
}

/// Scopes of one resource that an application has or asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceAccess {
    /// Whose they are.
    pub resource: Id<ProtectedResource>,
    /// Their names. Never empty.
    pub scopes: Vec<String>,
}

/// Why an application does not get the scopes that it asks for. All of them are `invalid_scope` on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeRefusal {
    /// There is none of this name, or the application was not granted it.
    #[error("{}", self.description())]
    NotGranted,
    /// An access token has one audience, so that no resource can use it at another (RFC 9068, section 5).
    #[error("{}", self.description())]
    SeveralResources,
}

impl ScopeRefusal {
    /// For developers.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::NotGranted => "scope must name none but those that the application was granted",
            Self::SeveralResources => "may not request scopes for multiple resources",
        }
    }
}

/// The scopes of [`Kind::Platform`], by which the vendor's users manage their own data.
const PLATFORM_SCOPES: [&str; 20] = [
    "p1:read:user",
    "p1:update:user",
    "p1:verify:user",
    "p1:read:userPassword",
    "p1:reset:userPassword",
    "p1:validate:userPassword",
    "p1:create:device",
    "p1:read:device",
    "p1:update:device",
    "p1:delete:device",
    "p1:create:pairingKey",
    "p1:read:pairingKey",
    "p1:delete:pairingKey",
    "p1:read:session",
    "p1:delete:session",
    "p1:read:userConsent",
    "p1:read:oauthConsent",
    "p1:update:oauthConsent",
    "p1:read:userLinkedAccounts",
    "p1:delete:userLinkedAccounts",
];

/// Names that the platform itself fills in access tokens and in what it tells of them (platform API, section 7.7; RFC 7662).
const RESERVED_CLAIMS: [&str; 18] = [
    "acr",
    "active",
    "amr",
    "aud",
    "auth_time",
    "client_id",
    "cnf",
    "env",
    "exp",
    "iat",
    "iss",
    "jti",
    "nbf",
    "org",
    "scope",
    "sid",
    "sub",
    "token_type",
];

impl ProtectedResource {
    /// One that comes with an environment.
    #[must_use]
    pub fn built_in(
        id: Id<Self>,
        environment: Id<Environment>,
        kind: Kind,
        now: Timestamp,
    ) -> Self {
        let name = match kind {
            Kind::OpenIdConnect => "openid",
            Kind::Platform => "PingOne API",
            Kind::Custom => "",
        };
        Self {
            id,
            environment,
            kind,
            name: name.to_owned(),
            description: None,
            audience: None,
            access_token_seconds: 3_600,
            scopes: Vec::new(),
            attributes: Vec::new(),
            told: None,
            created_at: now,
            updated_at: now,
        }
    }

    /// What `aud` of its access tokens says.
    #[must_use]
    pub fn audience(&self) -> &str {
        self.audience.as_deref().unwrap_or(&self.name)
    }

    /// Whether it is made and changed by administrators.
    #[must_use]
    pub const fn is_custom(&self) -> bool {
        match self.kind {
            Kind::Custom => true,
            Kind::OpenIdConnect | Kind::Platform => false,
        }
    }

    /// How long its access tokens live: never longer than the key that signed them is published for.
    #[must_use]
    pub fn token_seconds(&self) -> u32 {
        self.access_token_seconds.min(u32::try_from(MAX_TOKEN_SECONDS).unwrap_or(u32::MAX))
    }

    /// All its scopes. Those of the two that come with an environment have the same ids everywhere.
    #[must_use]
    pub fn all_scopes(&self) -> Cow<'_, [ResourceScope]> {
        let built_in = |id, name: &str| ResourceScope {
            id,
            name: name.to_owned(),
            description: None,
            created_at: self.created_at,
            updated_at: self.created_at,
        };
        match self.kind {
            Kind::Custom => Cow::Borrowed(&self.scopes),
            Kind::OpenIdConnect => {
                Scope::ALL.iter().map(|scope| built_in(scope.id().cast(), scope.name())).collect()
            }
            Kind::Platform => {
                let id = |number: u8| {
                    Id::from_bytes([0, 0, 0, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 5, number])
                };
                (1..)
                    .zip(PLATFORM_SCOPES)
                    .map(|(number, name)| built_in(id(number), name))
                    .collect()
            }
        }
    }

    /// Those of its scopes with these names that an application was granted. Only those of [`Kind::Custom`] are asked for like
    /// this.
    #[must_use]
    pub fn access_of<'a>(
        &self,
        application: &Application,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Option<ResourceAccess> {
        let grant = application.oidc.grants.iter().find(|grant| grant.resource == self.id)?;
        let names: Vec<&str> = names.into_iter().collect();
        let granted = |scope: &&ResourceScope| {
            grant.scopes.contains(&scope.id) && names.contains(&scope.name.as_str())
        };
        let scopes = self.scopes.iter().filter(granted).map(|scope| scope.name.clone());
        let scopes: Vec<_> = scopes.collect();
        (!scopes.is_empty()).then_some(ResourceAccess { resource: self.id, scopes })
    }

    /// What an access token for it says, of a user if it is about one.
    #[must_use]
    pub fn claims(&self, user: Option<&User>) -> Claims {
        let said = |attribute: &ResourceAttribute| {
            let expression = Expression::parse(&attribute.value).ok()?;
            let value = match user {
                Some(user) => expression.evaluate(user),
                None => expression.fixed(),
            };
            Some((attribute.name.clone(), value?.into()))
        };
        self.attributes.iter().filter_map(said).collect()
    }

    /// The rules for what may take the place of one: what comes with the environment stays as it is.
    pub fn validate_in_place_of(&self, old: &Self) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.require(self.kind == old.kind, "kind", Rule::Immutable);
        let is_same = (&self.name, &self.description, &self.audience, self.access_token_seconds)
            == (&old.name, &old.description, &old.audience, old.access_token_seconds);
        check.require(self.is_custom() || is_same, "kind", CUSTOM_ONLY);
        check.finish()
    }

    /// The rules for what an administrator may store.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.text(&self.name, "name", 256);
        check.optional_prose(self.description.as_deref(), "description", 1_024);
        if let Some(audience) = &self.audience {
            check.text(audience, "audience", 2_048);
            check.require(!audience.contains('#'), "audience", WITHOUT_FRAGMENT);
        }
        let seconds = self.access_token_seconds.into();
        check.range(seconds, "access_token_seconds", 300, 2_592_000);
        let own = self.scopes.is_empty() && self.attributes.is_empty();
        check.require(self.is_custom() || own, "kind", CUSTOM_ONLY);
        check.require(
            self.scopes.len() <= 250,
            "scopes",
            Rule::Form { form: "a list of at most 250" },
        );
        for (place, scope) in self.scopes.iter().enumerate() {
            scope.validate(&mut check);
            let known = self.scopes.iter().take(place).any(|known| known.name == scope.name);
            check.require(!known, "scopes.name", Rule::Unique);
        }
        let few = self.attributes.len() <= 100;
        check.require(few, "attributes", Rule::Form { form: "a list of at most 100" });
        for (place, attribute) in self.attributes.iter().enumerate() {
            attribute.validate(&mut check);
            let mut before = self.attributes.iter().take(place);
            let known = before.any(|known| known.name == attribute.name);
            check.require(!known, "attributes.name", Rule::Unique);
        }
        check.finish()
    }
}

impl ResourceScope {
    /// RFC 6749, section 3.3, without the names that are somebody else's.
    fn validate(&self, check: &mut Check) {
        check.text(&self.name, "scopes.name", 256);
        let visible = |b: u8| b.is_ascii_graphic() && !b"\"\\".contains(&b);
        check.require(self.name.bytes().all(visible), "scopes.name", SCOPE_FORM);
        check.require(!is_reserved(&self.name), "scopes.name", NOT_RESERVED);
        check.optional_prose(self.description.as_deref(), "scopes.description", 1_024);
    }
}

/// Whether a scope of this name is the platform's own.
pub(crate) fn is_reserved(name: &str) -> bool {
    is_empty_scope(name) || Scope::ALL.iter().any(|scope| scope.name() == name)
}

/// Whether a scope of this name is known and opens nothing: an application has refresh tokens or has not, and users manage
/// their own data on the pages of the account.
pub(crate) fn is_empty_scope(name: &str) -> bool {
    name == "offline_access" || name.starts_with("p1:")
}

impl ResourceAttribute {
    fn validate(&self, check: &mut Check) {
        check.text(&self.name, "attributes.name", 256);
        check.text(&self.value, "attributes.value", 2_048);
        let is_own =
            !RESERVED_CLAIMS.contains(&self.name.as_str()) && !self.name.starts_with("p1.");
        let form = "none of the names that the platform fills itself";
        check.require(is_own, "attributes.name", Rule::Form { form });
        let is_expression = Expression::parse(&self.value).is_ok();
        let form = Rule::Form { form: expression::FORM };
        check.require(is_expression, "attributes.value", form);
    }
}

impl ResourceAccess {
    /// The scopes of the only resource among those that were found, of which the application asks for so many.
    pub fn only(found: Vec<Self>, asked: usize) -> Result<Option<Self>, ScopeRefusal> {
        let named: usize = found.iter().map(|access| access.scopes.len()).sum();
        let mut found = found.into_iter();
        match (found.next(), found.next()) {
            _ if named != asked => Err(ScopeRefusal::NotGranted),
            (_, Some(_)) => Err(ScopeRefusal::SeveralResources),
            (only, None) => Ok(only),
        }
    }
}

/// Whether all scopes of a grant are those of its resource.
#[must_use]
pub fn are_of(resource: &ProtectedResource, grant: &ResourceGrant) -> bool {
    let all = resource.all_scopes();
    grant.scopes.iter().all(|id| all.iter().any(|scope| scope.id == *id))
}

const CUSTOM_ONLY: Rule =
    Rule::Form { form: "CUSTOM: what comes with an environment cannot be changed" };
const WITHOUT_FRAGMENT: Rule = Rule::Form { form: "without a fragment" };
const SCOPE_FORM: Rule =
    Rule::Form { form: "visible ASCII characters without space, quotation mark and backslash" };
const NOT_RESERVED: Rule = Rule::Form {
    form: "none of openid, profile, email, address, phone and offline_access, and not begin with p1:",
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{NOW, application, assert_told, id, protected_resource, user};

    fn scope(n: u8, name: &str) -> ResourceScope {
        ResourceScope {
            id: id(n),
            name: name.to_owned(),
            description: None,
            created_at: NOW,
            updated_at: NOW,
        }
    }

    fn attribute(name: &str, value: &str) -> ResourceAttribute {
        ResourceAttribute { id: id(1), name: name.to_owned(), value: value.to_owned() }
    }

    #[test]
    fn each_broken_rule_is_told() {
        let reserved = "scopes.name must be none of openid, profile, email, address, phone and offline_access, and not begin with p1:";
        let form = "scopes.name must be visible ASCII characters without space, quotation mark and backslash";
        assert_told(
            protected_resource,
            ProtectedResource::validate,
            &[
                (|r| r.name = String::new(), "name must be given"),
                (
                    |r| r.audience = Some("x".repeat(2_049)),
                    "audience must have at most 2048 characters",
                ),
                (
                    |r| r.audience = Some("https://a#b".to_owned()),
                    "audience must be without a fragment",
                ),
                (|r| r.access_token_seconds = 300, ""),
                (|r| r.access_token_seconds = 2_592_000, ""),
                (
                    |r| r.access_token_seconds = 299,
                    "access_token_seconds must be from 300 to 2592000",
                ),
                (|r| r.scopes = vec![scope(1, "!~{}|")], ""),
                (|r| r.scopes = vec![scope(1, "pay"), scope(2, "pay")], "scopes.name is taken"),
                (|r| r.scopes = vec![scope(1, "a b")], form),
                (|r| r.scopes = vec![scope(1, "a\"b")], form),
                (|r| r.scopes = vec![scope(1, "zahlen\u{fc}")], form),
                (|r| r.scopes = vec![scope(1, "openid")], reserved),
                (|r| r.scopes = vec![scope(1, "offline_access")], reserved),
                (|r| r.scopes = vec![scope(1, "p1:read:user")], reserved),
                (
                    |r| r.scopes = (0..=250).map(|n| scope(1, &n.to_string())).collect(),
                    "scopes must be a list of at most 250",
                ),
                (
                    |r| r.attributes = vec![attribute("aud", "x")],
                    "attributes.name must be none of the names that the platform fills itself",
                ),
                (
                    |r| r.attributes = vec![attribute("tier", "x"), attribute("tier", "y")],
                    "attributes.name is taken",
                ),
                (
                    |r| r.kind = Kind::Platform,
                    "kind must be CUSTOM: what comes with an environment cannot be changed",
                ),
            ],
        );
    }

    #[test]
    fn what_comes_with_an_environment_has_scopes_of_its_own() {
        for (kind, first, many) in
            [(Kind::OpenIdConnect, "openid", 5), (Kind::Platform, "p1:read:user", 20)]
        {
            let built_in = ProtectedResource::built_in(id(1), id(1), kind, NOW);
            assert_eq!(built_in.validate(), Ok(()));
            let scopes = built_in.all_scopes();
            assert_eq!((scopes[0].name.as_str(), scopes.len()), (first, many));
            assert!(scopes.iter().all(|scope| is_reserved(&scope.name)));
            let renamed = ProtectedResource { name: "x".to_owned(), ..built_in.clone() };
            assert!(renamed.validate_in_place_of(&built_in).is_err());
        }
    }

    #[test]
    fn an_application_has_the_scopes_that_it_was_granted_and_no_others() {
        let resource = ProtectedResource {
            scopes: vec![scope(1, "pay"), scope(2, "read"), scope(3, "close")],
            ..protected_resource()
        };
        let mut bank = application();
        let of = |bank: &Application, names: &[&str]| {
            resource.access_of(bank, names.iter().copied()).map(|access| access.scopes)
        };
        assert_eq!(of(&bank, &["pay"]), None);
        let grant = ResourceGrant {
            id: id(1),
            resource: resource.id,
            scopes: vec![id(1), id(2), id(9)],
            created_at: NOW,
            updated_at: NOW,
        };
        bank.oidc.grants = vec![ResourceGrant { resource: id(9), ..grant.clone() }];
        assert_eq!(of(&bank, &["pay"]), None);
        bank.oidc.grants = vec![grant];
        assert_eq!(of(&bank, &["pay", "close"]), Some(vec!["pay".to_owned()]));
        assert_eq!(of(&bank, &["close", "Pay", ""]), None);
    }

    #[test]
    fn scopes_are_of_one_resource_and_none_is_left_out() {
        let of = |resource: u8, scopes: &[&str]| ResourceAccess {
            resource: id(resource),
            scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
        };
        let (pay, read) = (of(1, &["pay", "close"]), of(2, &["read"]));
        assert_eq!(ResourceAccess::only(vec![pay.clone()], 2), Ok(Some(pay.clone())));
        assert_eq!(ResourceAccess::only(vec![], 0), Ok(None));
        assert_eq!(ResourceAccess::only(vec![], 1), Err(ScopeRefusal::NotGranted));
        assert_eq!(ResourceAccess::only(vec![pay.clone()], 3), Err(ScopeRefusal::NotGranted));
        let several = ResourceAccess::only(vec![pay, read], 3);
        assert_eq!(several, Err(ScopeRefusal::SeveralResources));
    }

    #[test]
    fn a_token_without_a_user_says_what_is_the_same_for_all() {
        let attributes = vec![attribute("mail", "${user.email}"), attribute("tier", "gold")];
        let resource = ProtectedResource { attributes, ..protected_resource() };
        let (ann, none) = (resource.claims(Some(&user())), resource.claims(None));
        assert_eq!(ann["mail"], user().email);
        assert_eq!((none.get("mail"), none["tier"].as_str()), (None, Some("gold")));
    }

    #[test]
    fn a_token_does_not_outlive_the_key_that_signed_it() {
        let long = ProtectedResource { access_token_seconds: 2_592_000, ..protected_resource() };
        assert_eq!(i64::from(long.token_seconds()), MAX_TOKEN_SECONDS);
        assert_eq!(protected_resource().token_seconds(), protected_resource().access_token_seconds);
    }
}
