//! What administrators set up, whatever it is: listed, read, made, replaced and deleted, by the rules that each kind has.

use countersign_domain::{
    audit::{self, Action, Event},
    environment::Environment,
    id::Id,
    invalid::{Invalid, Rule},
};
use countersign_protocol::time::Timestamp;
use countersign_store::{
    Tx, Versioned, Work,
    configured::{self, Configured, Defaulted, Range},
};

use super::{AdministerError, App, Call};

/// Something that administrators set up.
pub trait Administered: Configured + Clone + 'static {
    /// What the audit log says when it was made, changed and deleted.
    const EVENTS: Events;

    /// What the audit log calls it.
    fn resource(&self) -> audit::Resource;

    /// The line of the audit log about something that was done to it.
    fn event(&self, action: Action) -> Event {
        Event::succeeded(action).to(self.resource())
    }

    /// The rules that it must keep by itself.
    fn validate(&self) -> Result<(), Invalid>;

    /// Notes when it last changed.
    fn touch(&mut self, now: Timestamp);

    /// Makes it fit with what is around it, before it is stored; `old` is what it replaces. What it refers to must exist.
    fn settle(
        &self,
        old: Option<&Self>,
        tx: &mut Tx<'_>,
    ) -> impl Future<Output = Result<(), AdministerError>> + Send {
        let _ = (old, tx);
        async { Ok(()) }
    }

    /// Deletes what is part of it, before it is deleted. What others refer to stays.
    fn release(&self, tx: &mut Tx<'_>) -> impl Future<Output = Result<(), AdministerError>> + Send {
        let _ = tx;
        async { Ok(()) }
    }

    /// Leaves word of what is to be done now that it is deleted.
    fn released(
        &self,
        call: &Call,
        tx: &mut Tx<'_>,
    ) -> impl Future<Output = Result<(), AdministerError>> + Send {
        let _ = (call, tx);
        async { Ok(()) }
    }
}

/// The actions of the audit log for one kind of thing.
#[derive(Clone, Copy, Debug)]
pub struct Events {
    /// It was made.
    pub created: Action,
    /// It was changed.
    pub updated: Action,
    /// It was deleted.
    pub deleted: Action,
}

/// One of its kind is the default of its environment.
pub(super) trait HasDefault: Administered + Defaulted {
    /// Whether it is the default.
    fn is_default(&self) -> bool;

    /// Makes it the default, or not.
    fn set_default(&mut self, is_default: bool);
}

/// A part of a list.
#[derive(Debug)]
pub struct Listed<T> {
    /// What is in it.
    pub items: Vec<T>,
    /// The last of them, if there are more behind it.
    pub next: Option<Id<T>>,
    /// How many there are in all, as far as [`MAX_COUNT`].
    pub total: i64,
}

impl<T: Administered> Listed<T> {
    /// The first so many of what was found, where one more was looked for.
    pub fn cut(mut items: Vec<T>, limit: u16, total: i64) -> Self {
        let limit = usize::from(limit);
        let is_cut = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| is_cut).map(Configured::id);
        Self { items, next, total }
    }
}

/// As far as lists are counted: a list of a million costs no more than this.
pub const MAX_COUNT: u32 = 10_000;

impl App {
    /// A part of what is listed under an owner, which lives in this environment.
    pub async fn list<T: Administered>(
        &self,
        environment: Id<Environment>,
        owner: Id<T::Owner>,
        range: Range<T>,
    ) -> Result<Listed<T>, AdministerError> {
        self.store.read(List { environment, owner, range }).await
    }

    /// The one of this id in an environment.
    pub async fn get<T: Administered>(
        &self,
        environment: Id<Environment>,
        id: Id<T>,
    ) -> Result<T, AdministerError> {
        self.store.read(Get { environment, id }).await
    }

    /// Makes one.
    pub async fn create<T: Administered>(&self, new: T) -> Result<T, AdministerError> {
        new.validate()?;
        let call = self.call(new.environment(), "");
        self.store.write(Create { call, new: new.clone() }).await?;
        Ok(new)
    }

    /// Replaces one by what `edit` makes of it. Nobody else can change it in between.
    pub async fn replace<T: Administered>(
        &self,
        environment: Id<Environment>,
        id: Id<T>,
        edit: impl Fn(T) -> Result<T, AdministerError> + Send + Sync + 'static,
    ) -> Result<T, AdministerError> {
        let call = self.call(environment, "");
        self.store.write(Replace { call, id, edit }).await
    }

    /// Deletes one that nothing refers to.
    pub async fn delete<T: Administered>(
        &self,
        environment: Id<Environment>,
        id: Id<T>,
    ) -> Result<(), AdministerError> {
        let call = self.call(environment, "");
        self.store.write(Delete { call, id }).await
    }
}

struct List<T: Administered> {
    environment: Id<Environment>,
    owner: Id<T::Owner>,
    range: Range<T>,
}

impl<T: Administered> Work for List<T> {
    type Output = Listed<T>;
    type Error = AdministerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Self::Output, AdministerError> {
        let range = Range { limit: self.range.limit.saturating_add(1), ..self.range };
        let found = configured::list::<T>(tx, self.owner, range).await?;
        // What is listed under an owner lives where the owner does.
        if found.iter().any(|one| one.environment() != self.environment) {
            return Err(AdministerError::NotFound);
        }
        let total = configured::count::<T>(tx, self.owner, MAX_COUNT).await?;
        let items = found.into_iter().map(Versioned::into_value).collect();
        Ok(Listed::cut(items, self.range.limit, total))
    }
}

struct Get<T> {
    environment: Id<Environment>,
    id: Id<T>,
}

impl<T: Administered> Work for Get<T> {
    type Output = T;
    type Error = AdministerError;
    const IS_BRIEF: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<T, AdministerError> {
        let found = configured::load(tx, self.environment, self.id).await?;
        found.map(Versioned::into_value).ok_or(AdministerError::NotFound)
    }
}

struct Create<T> {
    call: Call,
    new: T,
}

impl<T: Administered> Work for Create<T> {
    type Output = ();
    type Error = AdministerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), AdministerError> {
        super::administer::require_environment(tx, self.call.environment).await?;
        self.new.settle(None, tx).await?;
        configured::insert(tx, &self.new).await?;
        Ok(self.call.audit(tx, self.new.event(T::EVENTS.created)).await?)
    }
}

struct Replace<T, F> {
    call: Call,
    id: Id<T>,
    edit: F,
}

impl<T, F> Work for Replace<T, F>
where
    T: Administered,
    F: Fn(T) -> Result<T, AdministerError> + Send + Sync + 'static,
{
    type Output = T;
    type Error = AdministerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<T, AdministerError> {
        let old = configured::load(tx, self.call.environment, self.id).await?;
        let old = old.ok_or(AdministerError::NotFound)?;
        let mut new = (self.edit)((*old).clone())?;
        new.touch(self.call.now);
        new.validate()?;
        new.settle(Some(&old), tx).await?;
        configured::swap(tx, &old, &new).await?;
        self.call.audit(tx, new.event(T::EVENTS.updated)).await?;
        Ok(new)
    }
}

struct Delete<T> {
    call: Call,
    id: Id<T>,
}

impl<T: Administered> Work for Delete<T> {
    type Output = ();
    type Error = AdministerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), AdministerError> {
        let old = configured::load(tx, self.call.environment, self.id).await?;
        let old: Versioned<T> = old.ok_or(AdministerError::NotFound)?;
        old.release(tx).await?;
        configured::delete(tx, &old).await?;
        old.released(&self.call, tx).await?;
        Ok(self.call.audit(tx, old.event(T::EVENTS.deleted)).await?)
    }
}

/// Lets one be the default in place of the one before. An environment is never without: the default ceases to be it only by
/// another.
pub(super) async fn settle_default<T: HasDefault>(
    new: &T,
    old: Option<&T>,
    tx: &mut Tx<'_>,
) -> Result<(), AdministerError> {
    match (old.is_some_and(T::is_default), new.is_default()) {
        (true, false) => {
            let rule = Rule::Form { form: "true until another one is the default" };
            Err(Invalid::new("default", rule).into())
        }
        (false, true) => {
            let Some(before) = configured::load_default::<T>(tx, new.environment()).await? else {
                return Ok(());
            };
            let mut without = (*before).clone();
            without.set_default(false);
            Ok(configured::swap(tx, &before, &without).await?)
        }
        (true, true) | (false, false) => Ok(()),
    }
}

/// The default of an environment is deleted only with it.
pub(super) fn keep_default<T: HasDefault>(old: &T) -> Result<(), AdministerError> {
    if old.is_default() {
        Err(AdministerError::InUse { by: "the environment, as its default" })
    } else {
        Ok(())
    }
}
