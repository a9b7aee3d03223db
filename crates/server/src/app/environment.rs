//! Environments as administrators see and change them.

use countersign_domain::{
    audit::{Action, Event},
    environment::{ADMINISTRATORS, Environment},
    filter::Filter,
    id::Id,
    role::{Area, Authority, Permission},
};
use countersign_store::{Tx, Versioned, Work, configured::Range, environment};
use serde_json::Value;

use super::{
    AdministerError, App, Call,
    configure::{Listed, MAX_COUNT},
};

impl App {
    /// The environments that somebody may look at.
    pub async fn visible_environments(
        &self,
        by: Authority,
        range: Range<Environment>,
        filter: Option<Filter>,
        seen_as: fn(&Environment) -> Value,
    ) -> Result<Listed<Environment>, AdministerError> {
        self.store.read(List { by, range, filter, seen_as }).await
    }

    /// An environment that is there.
    pub async fn read_environment(
        &self,
        id: Id<Environment>,
    ) -> Result<Environment, AdministerError> {
        self.store.read(Read { id }).await
    }

    /// Replaces an environment by what `edit` makes of it.
    pub async fn replace_environment(
        &self,
        id: Id<Environment>,
        edit: impl Fn(Environment) -> Result<Environment, AdministerError> + Send + Sync + 'static,
    ) -> Result<Environment, AdministerError> {
        let (call, told) = (self.call(id, ""), Action::EnvironmentUpdated);
        self.store.write(Replace { call, told, edit }).await
    }

    /// Deletes an environment: from now on it cannot be used, and its name is free. What is in it stays in the store.
    ///
    /// Other nodes know after [`countersign_domain::signing_key::NODE_SECONDS`] at most.
    pub async fn delete_environment(&self, id: Id<Environment>) -> Result<(), AdministerError> {
        let call = self.call(id, "");
        let now = call.now;
        let edit = move |environment: Environment| {
            if environment.name == ADMINISTRATORS {
                return Err(AdministerError::InUse { by: "the administrators of the platform" });
            }
            Ok(Environment { deleted_at: Some(now), ..environment })
        };
        let told = Action::EnvironmentDeleted;
        self.store.write(Replace { call, told, edit }).await?;
        self.renew_realm(id).await;
        Ok(())
    }
}

struct List {
    by: Authority,
    range: Range<Environment>,
    filter: Option<Filter>,
    seen_as: fn(&Environment) -> Value,
}

/// Environments that are read at a time.
const PART: u16 = 500;

impl Work for List {
    type Output = Listed<Environment>;
    type Error = AdministerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Self::Output, AdministerError> {
        let limit = usize::from(self.range.limit);
        let read = Permission::read(Area::Environment);
        let (mut after, mut total) = (None, 0);
        let (mut items, mut is_cut) = (Vec::new(), false);
        while total < i64::from(MAX_COUNT) {
            let part = environment::page(tx, Range { after, limit: PART }).await?;
            after = part.last().map(|last| last.id);
            let is_last = part.len() < usize::from(PART);
            for environment in part.into_iter().map(Versioned::into_value) {
                let is_seen = environment.is_there()
                    && self.by.allows(read, Some(environment.id))
                    && self
                        .filter
                        .as_ref()
                        .is_none_or(|f| f.matches(&(self.seen_as)(&environment)));
                if !is_seen {
                    continue;
                }
                total += 1;
                if Some(environment.id) <= self.range.after {
                    continue;
                }
                is_cut = items.len() == limit;
                if !is_cut {
                    items.push(environment);
                }
            }
            if is_last {
                break;
            }
        }
        let next = items.last().filter(|_| is_cut).map(|last: &Environment| last.id);
        Ok(Listed { items, next, total })
    }
}

struct Read {
    id: Id<Environment>,
}

impl Work for Read {
    type Output = Environment;
    type Error = AdministerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Environment, AdministerError> {
        Ok(load(tx, self.id).await?.into_value())
    }
}

async fn load(
    tx: &mut Tx<'_>,
    id: Id<Environment>,
) -> Result<Versioned<Environment>, AdministerError> {
    let found = environment::load(tx, id).await?.filter(|found| found.is_there());
    found.ok_or(AdministerError::NotFound)
}

struct Replace<F> {
    call: Call,
    told: Action,
    edit: F,
}

impl<F> Work for Replace<F>
where
    F: Fn(Environment) -> Result<Environment, AdministerError> + Send + Sync + 'static,
{
    type Output = Environment;
    type Error = AdministerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Environment, AdministerError> {
        let old = load(tx, self.call.environment).await?;
        let new = (self.edit)((*old).clone())?;
        let new = Environment { updated_at: self.call.now, ..new };
        new.validate()?;
        environment::swap(tx, &old, &new).await?;
        self.call.audit(tx, Event::succeeded(self.told).to(&new)).await?;
        Ok(new)
    }
}
