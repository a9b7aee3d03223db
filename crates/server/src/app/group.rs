//! Groups, and who is in them.

use countersign_domain::{
    audit::{Action, Event, Resource},
    environment::Environment,
    group::Group,
    id::Id,
    invalid::{Invalid, Rule},
    population::Population,
    user::User,
};
use countersign_protocol::time::Timestamp;
use countersign_store::{Tx, Versioned, Work, configured::Range, group, population, user};

use super::{
    AdministerError, App, Call,
    configure::{Administered, Events, Listed},
};

impl Administered for Group {
    const EVENTS: Events = Events {
        created: Action::GroupCreated,
        updated: Action::GroupUpdated,
        deleted: Action::GroupDeleted,
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

    async fn settle(&self, old: Option<&Self>, tx: &mut Tx<'_>) -> Result<(), AdministerError> {
        if old.is_some_and(|old| old.population != self.population) {
            return Err(Invalid::new("population", Rule::Immutable).into());
        }
        if let Some(id) = self.population {
            let found = population::load::<Population>(tx, self.environment, id).await?;
            found.ok_or(Invalid::new("population.id", Rule::Unknown))?;
        }
        Ok(())
    }

    async fn release(&self, tx: &mut Tx<'_>) -> Result<(), AdministerError> {
        Ok(group::empty(tx, self.id).await?)
    }
}

impl App {
    /// Lets a user be in a group. Who is in it stays.
    pub async fn join_group(
        &self,
        environment: Id<Environment>,
        user: Id<User>,
        group: Id<Group>,
    ) -> Result<Group, AdministerError> {
        self.store.write(Join { call: self.call(environment, ""), user, group }).await
    }

    /// Lets a user be in a group no longer.
    pub async fn leave_group(
        &self,
        environment: Id<Environment>,
        user: Id<User>,
        group: Id<Group>,
    ) -> Result<(), AdministerError> {
        self.store.write(Leave { call: self.call(environment, ""), user, group }).await
    }

    /// The groups of a user.
    pub async fn groups_of(
        &self,
        environment: Id<Environment>,
        user: Id<User>,
        range: Range<Group>,
    ) -> Result<Listed<Group>, AdministerError> {
        self.store.read(OfUser { environment, user, range }).await
    }
}

async fn find_user(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    id: Id<User>,
) -> Result<Versioned<User>, AdministerError> {
    user::load(tx, environment, id).await?.ok_or(AdministerError::NotFound)
}

struct Join {
    call: Call,
    user: Id<User>,
    group: Id<Group>,
}

impl Work for Join {
    type Output = Group;
    type Error = AdministerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Group, AdministerError> {
        let environment = self.call.environment;
        let user = find_user(tx, environment, self.user).await?;
        let found = group::load(tx, environment, self.group).await?;
        let found: Versioned<Group> = found.ok_or(Invalid::new("id", Rule::Unknown))?;
        if found.population.is_some_and(|population| population != user.population) {
            let form = "the id of a group that is open to the population of the user";
            return Err(Invalid::new("id", Rule::Form { form }).into());
        }
        if group::join(tx, user.id, found.id).await? {
            let told = Event::succeeded(Action::GroupMemberAdded).about(&*user).to(&*found);
            self.call.audit(tx, told).await?;
        }
        Ok(found.into_value())
    }
}

struct Leave {
    call: Call,
    user: Id<User>,
    group: Id<Group>,
}

impl Work for Leave {
    type Output = ();
    type Error = AdministerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), AdministerError> {
        let environment = self.call.environment;
        let user = find_user(tx, environment, self.user).await?;
        let found = group::load(tx, environment, self.group).await?;
        let found: Versioned<Group> = found.ok_or(AdministerError::NotFound)?;
        if !group::leave(tx, user.id, found.id).await? {
            return Err(AdministerError::NotFound);
        }
        let told = Event::succeeded(Action::GroupMemberRemoved).about(&*user).to(&*found);
        Ok(self.call.audit(tx, told).await?)
    }
}

struct OfUser {
    environment: Id<Environment>,
    user: Id<User>,
    range: Range<Group>,
}

impl Work for OfUser {
    type Output = Listed<Group>;
    type Error = AdministerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Listed<Group>, AdministerError> {
        let user = find_user(tx, self.environment, self.user).await?;
        let range = Range { limit: self.range.limit.saturating_add(1), ..self.range };
        let found = group::of_user(tx, user.id, range).await?;
        let items: Vec<Group> = found.into_iter().map(Versioned::into_value).collect();
        let total = items.len().min(self.range.limit.into());
        Ok(Listed::cut(items, self.range.limit, i64::try_from(total).unwrap_or(i64::MAX)))
    }
}
