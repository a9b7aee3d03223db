//! Users as administrators change them.

use std::sync::Arc;

use countersign_domain::{
    audit::{Action, Event, Resource},
    environment::Environment,
    filter::{Filter, Operator},
    id::Id,
    invalid::{Invalid, Rule},
    lockout::Lockout,
    population::Population,
    role::Holder,
    user::User,
};
use countersign_protocol::time::Timestamp;
use countersign_store::{
    StoreError, Tx, Versioned, Work,
    configured::{self, Range},
    group, lockout, population, role_assignment, user,
};
use serde_json::Value;

use super::{
    AdministerError, App, Call, Realm,
    configure::{Administered, Events, Listed, MAX_COUNT},
    device::remove_all,
    session,
};

impl Administered for User {
    const EVENTS: Events = Events {
        created: Action::UserCreated,
        updated: Action::UserUpdated,
        deleted: Action::UserDeleted,
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
        if old.is_none_or(|old| old.population != self.population) {
            let unknown = Invalid::new("population.id", Rule::Unknown);
            population::load::<Population>(tx, self.environment, self.population)
                .await?
                .ok_or(unknown)?;
        }
        Ok(())
    }

    /// Roles, groups and the password go with the user. The devices have gone before, one by one.
    async fn release(&self, tx: &mut Tx<'_>) -> Result<(), AdministerError> {
        role_assignment::forget(tx, Holder::User(self.id)).await?;
        group::forget(tx, self.id).await?;
        Ok(user::strip(tx, self.id).await?)
    }
}

impl App {
    /// Lets somebody sign in, or no longer: then all sessions end.
    pub async fn enable_user(
        &self,
        environment: Id<Environment>,
        id: Id<User>,
        enabled: bool,
    ) -> Result<User, AdministerError> {
        let edit = move |user: User| Ok(User { enabled, ..user });
        let changed = self.replace(environment, id, edit).await?;
        self.end_sessions_unless_allowed(&changed).await?;
        Ok(changed)
    }

    /// Keeps somebody from signing in until [`App::unlock_user`].
    pub async fn lock_user(
        &self,
        environment: Id<Environment>,
        id: Id<User>,
    ) -> Result<User, AdministerError> {
        let call = self.call(environment, "");
        let now = call.now;
        let edit = move |user: User| {
            let locked_at = user.locked_at.or(Some(now));
            Ok(User { locked_at, ..user })
        };
        let changed = self.store.write(Change { call, id, told: Action::UserLocked, edit }).await?;
        self.end_sessions_unless_allowed(&changed).await?;
        Ok(changed)
    }

    /// Ends every lock of a user: an administrator's, that of wrong passcodes, and that of wrong passwords.
    pub async fn unlock_user(
        &self,
        environment: Id<Environment>,
        id: Id<User>,
    ) -> Result<User, AdministerError> {
        let realm = self.realm(environment).await?.ok_or(AdministerError::NotFound)?;
        self.store.write(Unlock { call: self.call(environment, ""), realm, id }).await
    }

    /// Deletes a user with devices, roles and password, and ends the sessions.
    pub async fn delete_user(
        &self,
        environment: Id<Environment>,
        id: Id<User>,
    ) -> Result<(), AdministerError> {
        let call = self.call(environment, "");
        let user: User = self.get(environment, id).await?;
        self.end_sessions(&call, user.id).await?;
        self.store.write(Delete { call, id }).await
    }

    async fn end_sessions_unless_allowed(&self, user: &User) -> Result<(), AdministerError> {
        if !user.may_sign_in() {
            self.end_sessions(&self.call(user.environment, ""), user.id).await?;
        }
        Ok(())
    }

    /// The users that a filter leaves. Names, mail addresses and populations are found by their index; of other filters, so many
    /// users are looked at, and the next part goes on behind them.
    pub async fn search_users(
        &self,
        environment: Id<Environment>,
        filter: Filter,
        range: Range<User>,
        seen_as: fn(&User) -> Value,
    ) -> Result<Listed<User>, AdministerError> {
        self.store.read(Search { environment, filter, range, seen_as }).await
    }
}

struct Change<F> {
    call: Call,
    id: Id<User>,
    told: Action,
    edit: F,
}

impl<F> Work for Change<F>
where
    F: Fn(User) -> Result<User, AdministerError> + Send + Sync + 'static,
{
    type Output = User;
    type Error = AdministerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<User, AdministerError> {
        let old = user::load(tx, self.call.environment, self.id).await?;
        let old: Versioned<User> = old.ok_or(AdministerError::NotFound)?;
        let mut new = (self.edit)((*old).clone())?;
        new.touch(self.call.now);
        user::swap(tx, &old, &new).await?;
        self.call.audit(tx, Event::succeeded(self.told).about(&new)).await?;
        Ok(new)
    }
}

struct Unlock {
    call: Call,
    realm: Arc<Realm>,
    id: Id<User>,
}

impl Work for Unlock {
    type Output = User;
    type Error = AdministerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<User, AdministerError> {
        let old = user::load(tx, self.call.environment, self.id).await?;
        let old: Versioned<User> = old.ok_or(AdministerError::NotFound)?;
        let (mfa_lockout, updated_at) = (Lockout::cleared(), self.call.now);
        let new = User { locked_at: None, mfa_lockout, updated_at, ..(*old).clone() };
        lockout::forget(tx, &self.realm.attempts(&new.username, None)).await?;
        user::swap(tx, &old, &new).await?;
        self.call.audit(tx, Event::succeeded(Action::UserUnlocked).about(&new)).await?;
        Ok(new)
    }
}

struct Delete {
    call: Call,
    id: Id<User>,
}

impl Work for Delete {
    type Output = ();
    type Error = AdministerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), AdministerError> {
        let old = user::load(tx, self.call.environment, self.id).await?;
        let old: Versioned<User> = old.ok_or(AdministerError::NotFound)?;
        // Those that have begun meanwhile.
        session::end_some_of(tx, &self.call, old.id).await?;
        // What waits for a device goes on without it: barred, so that nobody signs on as somebody who is about to be gone.
        user::swap(tx, &old, &User { locked_at: Some(self.call.now), ..(*old).clone() }).await?;
        remove_all(tx, &self.call, old.id).await?;
        let old = user::load(tx, self.call.environment, self.id).await?;
        let old: Versioned<User> = old.ok_or(AdministerError::NotFound)?;
        old.release(tx).await?;
        configured::delete(tx, &old).await?;
        Ok(self.call.audit(tx, Event::succeeded(Action::UserDeleted).about(&*old)).await?)
    }
}

struct Search {
    environment: Id<Environment>,
    filter: Filter,
    range: Range<User>,
    seen_as: fn(&User) -> Value,
}

/// Where the users of a search are looked for.
enum Source {
    Id(Id<User>),
    Username(String),
    UsernamePrefix(String),
    Email(String),
    Population(Id<Population>),
    Everywhere,
}

/// Users that are read at a time.
const PART: u16 = 500;

impl Source {
    /// The narrowest place in which everything is that a filter leaves.
    fn of(filter: &Filter) -> Self {
        match filter {
            Filter::And(one, other) => {
                let (one, other) = (Self::of(one), Self::of(other));
                if one.rank() <= other.rank() { one } else { other }
            }
            Filter::Compare { attribute, operator, value: Value::String(text) } => {
                let attribute = attribute.to_ascii_lowercase();
                match (attribute.as_str(), operator) {
                    ("id", Operator::Equal) => text.parse().map_or(Self::Everywhere, Self::Id),
                    ("username", Operator::Equal) => Self::Username(text.clone()),
                    ("username", Operator::StartsWith) => Self::UsernamePrefix(text.clone()),
                    ("email", Operator::Equal) => Self::Email(text.clone()),
                    ("population.id", Operator::Equal) => {
                        text.parse().map_or(Self::Everywhere, Self::Population)
                    }
                    _ => Self::Everywhere,
                }
            }
            Filter::Compare { .. } | Filter::Present { .. } | Filter::Or(..) | Filter::Not(_) => {
                Self::Everywhere
            }
        }
    }

    const fn rank(&self) -> u8 {
        match self {
            Self::Id(_) => 0,
            Self::Username(_) => 1,
            Self::Email(_) => 2,
            Self::UsernamePrefix(_) => 3,
            Self::Population(_) => 4,
            Self::Everywhere => 5,
        }
    }

    async fn read(
        &self,
        tx: &mut Tx<'_>,
        environment: Id<Environment>,
        range: Range<User>,
    ) -> Result<Vec<Versioned<User>>, StoreError> {
        match self {
            Self::Id(id) => {
                let found = user::load(tx, environment, *id).await?;
                Ok(found.into_iter().filter(|_| range.after.is_none()).collect())
            }
            Self::Username(name) => {
                let found = user::find_by_username(tx, environment, name).await?;
                Ok(found.into_iter().filter(|_| range.after.is_none()).collect())
            }
            Self::UsernamePrefix(prefix) => {
                user::list_by_username(tx, environment, prefix, range).await
            }
            Self::Email(email) => user::list_by_email(tx, environment, email, range).await,
            Self::Population(id) => {
                let found = user::list_of_population(tx, *id, range).await?;
                Ok(found.into_iter().filter(|user| user.environment == environment).collect())
            }
            Self::Everywhere => configured::list(tx, environment, range).await,
        }
    }
}

impl Work for Search {
    type Output = Listed<User>;
    type Error = AdministerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Listed<User>, AdministerError> {
        let source = Source::of(&self.filter);
        let limit = usize::from(self.range.limit);
        let mut items: Vec<User> = Vec::new();
        let mut after = self.range.after;
        let mut looked_at = 0;
        let next = loop {
            let part = source.read(tx, self.environment, Range { after, limit: PART }).await?;
            let is_last = part.len() < usize::from(PART);
            for user in part {
                // One more is there, so the part ends with the last that was taken.
                if items.len() == limit {
                    return Ok(listed(items, after));
                }
                after = Some(user.id);
                looked_at += 1;
                if self.filter.matches(&(self.seen_as)(&user)) {
                    items.push(user.into_value());
                }
            }
            if is_last {
                break None;
            }
            if looked_at >= MAX_COUNT {
                break after;
            }
        };
        Ok(listed(items, next))
    }
}

/// A search counts what it has found.
fn listed(items: Vec<User>, next: Option<Id<User>>) -> Listed<User> {
    let total = i64::try_from(items.len()).unwrap_or(i64::MAX);
    Listed { items, next, total }
}
