//! The sessions of a user as administrators see and end them.

use countersign_domain::{environment::Environment, id::Id, session::Session, user::User};
use countersign_store::{Tx, Versioned, Work, configured::Range, session as sessions, user};

use super::{AdministerError, App, Call, Listed, MAX_COUNT, session};

impl App {
    /// The sessions of a user that are not over, the oldest first.
    pub async fn sessions_of(
        &self,
        environment: Id<Environment>,
        user: Id<User>,
        range: Range<Session>,
    ) -> Result<Listed<Session>, AdministerError> {
        self.store.read(List { call: self.call(environment, ""), user, range }).await
    }

    /// A session of a user that is not over.
    pub async fn session_of(
        &self,
        environment: Id<Environment>,
        user: Id<User>,
        id: Id<Session>,
    ) -> Result<Session, AdministerError> {
        self.store.read(Read { call: self.call(environment, ""), user, id }).await
    }

    /// Ends a session of a user: nobody is signed in at that browser any more, and its applications learn of it.
    pub async fn end_session_of(
        &self,
        environment: Id<Environment>,
        user: Id<User>,
        id: Id<Session>,
    ) -> Result<(), AdministerError> {
        self.store.write(End { call: self.call(environment, ""), user, id }).await
    }

    /// Ends all sessions of a user.
    pub async fn end_sessions_of(
        &self,
        environment: Id<Environment>,
        user: Id<User>,
    ) -> Result<(), AdministerError> {
        let user: User = self.get(environment, user).await?;
        Ok(self.end_sessions(&self.call(environment, ""), user.id).await?)
    }
}

async fn load(
    tx: &mut Tx<'_>,
    call: &Call,
    (user, id): (Id<User>, Id<Session>),
) -> Result<Versioned<Session>, AdministerError> {
    let found = sessions::load(tx, call.environment, id, call.now).await?;
    let is_own =
        |found: &Versioned<Session>| found.user() == user && found.identity(call.now).is_some();
    found.filter(is_own).ok_or(AdministerError::NotFound)
}

struct List {
    call: Call,
    user: Id<User>,
    range: Range<Session>,
}

impl Work for List {
    type Output = Listed<Session>;
    type Error = AdministerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Listed<Session>, AdministerError> {
        let Self { call, user, range } = self;
        let of = (call.environment, *user);
        user::load(tx, call.environment, *user).await?.ok_or(AdministerError::NotFound)?;
        let limit = range.limit.saturating_add(1);
        let found = sessions::list_of_user(tx, of, call.now, Range { limit, ..*range }).await?;
        let total = sessions::count_of_user(tx, of, call.now, MAX_COUNT).await?;
        let is_cut = found.len() > usize::from(range.limit);
        let items: Vec<Session> = found.into_iter().map(Versioned::into_value).collect();
        let items: Vec<Session> = items.into_iter().take(range.limit.into()).collect();
        let next = items.last().filter(|_| is_cut).map(|last| last.id);
        Ok(Listed { items, next, total })
    }
}

struct Read {
    call: Call,
    user: Id<User>,
    id: Id<Session>,
}

impl Work for Read {
    type Output = Session;
    type Error = AdministerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Session, AdministerError> {
        Ok(load(tx, &self.call, (self.user, self.id)).await?.into_value())
    }
}

struct End {
    call: Call,
    user: Id<User>,
    id: Id<Session>,
}

impl Work for End {
    type Output = ();
    type Error = AdministerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), AdministerError> {
        let old = load(tx, &self.call, (self.user, self.id)).await?;
        Ok(session::end(tx, &self.call, &old).await?)
    }
}
