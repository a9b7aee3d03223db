//! Protected resources: their rules among the things around them, and which of their scopes an application gets.

use countersign_domain::{
    application::{Application, ResourceGrant},
    audit::{Action, Resource},
    authorization::Asked,
    environment::Environment,
    id::Id,
    invalid::{Invalid, Rule},
    protected_resource::{ProtectedResource, ResourceAccess, ScopeRefusal, are_of},
};
use countersign_protocol::time::Timestamp;
use countersign_store::{
    StoreError, Tx, Versioned, application, configured::Range, protected_resource as resources,
};

use super::{
    AdministerError,
    configure::{Administered, Events},
};

impl Administered for ProtectedResource {
    const EVENTS: Events = Events {
        created: Action::ResourceCreated,
        updated: Action::ResourceUpdated,
        deleted: Action::ResourceDeleted,
    };

    fn resource(&self) -> Resource {
        self.into()
    }

    fn validate(&self) -> Result<(), Invalid> {
        Self::validate(self)
    }

    fn touch(&mut self, now: Timestamp) {
        self.updated_at = now;
    }

    /// A scope that is deleted is taken from the applications that were granted it.
    async fn settle(&self, old: Option<&Self>, tx: &mut Tx<'_>) -> Result<(), AdministerError> {
        if let Some(old) = old {
            self.validate_in_place_of(old)?;
            let names = |of: &Self| -> Vec<_> {
                of.scopes.iter().map(|scope| (scope.id, scope.name.clone())).collect()
            };
            if names(old) == names(self) {
                return Ok(());
            }
            let is_kept = |scope| self.scopes.iter().any(|kept| kept.id == scope);
            if !old.scopes.iter().all(|scope| is_kept(scope.id)) {
                take_from_all(tx, self.environment, |grant| {
                    if grant.resource == self.id {
                        grant.scopes.retain(|scope| is_kept(*scope));
                    }
                })
                .await?;
            }
        }
        if resources::reserve_scopes(tx, self).await? {
            Ok(())
        } else {
            Err(Invalid::new("scopes.name", Rule::Unique).into())
        }
    }

    /// The grants of it go with it.
    async fn release(&self, tx: &mut Tx<'_>) -> Result<(), AdministerError> {
        if !self.is_custom() {
            return Err(AdministerError::InUse { by: "the environment, with which it comes" });
        }
        take_from_all(tx, self.environment, |grant| {
            if grant.resource == self.id {
                grant.scopes.clear();
            }
        })
        .await?;
        Ok(resources::free_scopes(tx, self.id).await?)
    }
}

/// Applications that are looked at in one read.
const PAGE: u16 = 500;

/// Changes the grants of all applications of an environment. One without scopes is no grant.
async fn take_from_all(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    take: impl Fn(&mut ResourceGrant) + Send,
) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let range = Range { after, limit: PAGE };
        let page = application::list::<Application>(tx, environment, range).await?;
        for old in &page {
            let mut new = (**old).clone();
            new.oidc.grants.iter_mut().for_each(&take);
            new.oidc.grants.retain(|grant| !grant.scopes.is_empty());
            if new != **old {
                application::swap(tx, old, &new).await?;
            }
        }
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.id);
    }
}

/// What an application is granted must be there, in its own environment.
pub(super) async fn settle_grants(
    tx: &mut Tx<'_>,
    application: &Application,
    old: Option<&Application>,
) -> Result<(), AdministerError> {
    let before = old.map_or(&[][..], |old| &old.oidc.grants);
    for grant in application.oidc.grants.iter().filter(|grant| !before.contains(grant)) {
        let found = load(tx, application.environment, grant.resource).await?;
        let found = found.ok_or_else(|| Invalid::new("oidc.grants.resource.id", Rule::Unknown))?;
        if !are_of(&found, grant) {
            let form = "ids of scopes of the resource";
            return Err(Invalid::new("oidc.grants.scopes", Rule::Form { form }).into());
        }
    }
    Ok(())
}

async fn load(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    id: Id<ProtectedResource>,
) -> Result<Option<ProtectedResource>, StoreError> {
    let found = resources::load::<ProtectedResource>(tx, environment, id).await?;
    Ok(found.map(Versioned::into_value))
}

/// What an application may have of what it asks for at protected resources. Costs nothing where it asks for nothing there.
pub(super) async fn access(
    tx: &mut Tx<'_>,
    application: &Application,
    scope: Option<&str>,
) -> Result<Result<Option<ResourceAccess>, ScopeRefusal>, StoreError> {
    let asked = Asked::parse(scope.unwrap_or_default()).others;
    if asked.is_empty() {
        return Ok(Ok(None));
    }
    let (mut found, mut named) = (Vec::new(), 0);
    for grant in &application.oidc.grants {
        if named == asked.len() {
            break;
        }
        let Some(resource) = load(tx, application.environment, grant.resource).await? else {
            continue;
        };
        let access = resource.access_of(application, asked.iter().copied());
        named += access.as_ref().map_or(0, |access| access.scopes.len());
        found.extend(access);
    }
    Ok(ResourceAccess::only(found, asked.len()))
}

/// A resource with those of its scopes that an application still has.
pub(super) struct Held {
    /// The resource.
    pub resource: ProtectedResource,
    /// Names of scopes, at least one.
    pub scopes: Vec<String>,
}

impl Held {
    /// Life of access tokens for it.
    pub fn token_seconds(&self) -> u32 {
        self.resource.token_seconds()
    }

    /// Some of its scopes; nothing if it has one of them no longer.
    pub fn narrowed(self, scopes: Vec<String>) -> Option<Self> {
        let has = scopes.iter().all(|scope| self.scopes.contains(scope));
        has.then_some(Self { scopes, ..self })
    }
}

/// What is left of what an application was given at a resource: administrators may have taken some of it since.
pub(super) async fn held(
    tx: &mut Tx<'_>,
    application: &Application,
    access: Option<&ResourceAccess>,
) -> Result<Option<Held>, StoreError> {
    let Some(access) = access else { return Ok(None) };
    let found = load(tx, application.environment, access.resource).await?;
    let Some(resource) = found else { return Ok(None) };
    let names = access.scopes.iter().map(String::as_str);
    let left = resource.access_of(application, names);
    Ok(left.map(|left| Held { resource, scopes: left.scopes }))
}

/// Whether a token for a resource still says what is so: the resource is there, and the application has these scopes of it.
pub(super) async fn is_current(
    tx: &mut Tx<'_>,
    application: &Application,
    (audience, scope): (&str, &str),
) -> Result<bool, StoreError> {
    let found = resources::find_by_audience(tx, application.environment, audience).await?;
    let asked = Asked::parse(scope).others;
    let access = found.and_then(|found| found.access_of(application, asked.iter().copied()));
    Ok(access.is_some_and(|access| access.scopes.len() == asked.len()))
}
