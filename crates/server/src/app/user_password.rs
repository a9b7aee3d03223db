//! The password of a user as administrators and back ends see it: its state, and attempts that count as any other.

use std::sync::Arc;

use countersign_domain::{
    audit::{Action, Event},
    environment::Environment,
    id::Id,
    password::{self, Attempt, Password, PasswordHash},
    user::User,
};
use countersign_protocol::{secret::Secret, time::Timestamp};
use countersign_store::{Tx, Versioned, Work, lockout, password as passwords, user};

use super::{AdministerError, App, Call, Fault, Realm, fault::faults};
use crate::limits::Limited;

/// What can be told of a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordState {
    /// The word for it.
    pub status: &'static str,
    /// When it was last set.
    pub changed_at: Option<Timestamp>,
}

/// Why a password did not count.
#[derive(Debug, thiserror::Error)]
pub enum TryPasswordError {
    /// There is no such user.
    #[error("there is nothing with this id")]
    NotFound,
    /// It is wrong, or there is none.
    #[error("the password is wrong")]
    Wrong,
    /// Too many were wrong.
    #[error("too many passwords were wrong; it is locked for {seconds} seconds")]
    LockedOut {
        /// How long it stays so.
        seconds: i64,
    },
    /// Too many attempts for this user.
    #[error(transparent)]
    Limited(Limited),
    /// It could not be decided.
    #[error(transparent)]
    Fault(Fault),
}

faults!(TryPasswordError);

impl App {
    /// What can be told of the password of a user.
    pub async fn read_password_state(
        &self,
        environment: Id<Environment>,
        user: Id<User>,
    ) -> Result<PasswordState, AdministerError> {
        let realm = self.realm(environment).await?.ok_or(AdministerError::NotFound)?;
        self.store.read(ReadState { realm, user, now: self.now() }).await
    }

    /// Tries a password. A wrong one counts towards the lock, as on a sign-on page.
    pub async fn try_password(
        &self,
        environment: Id<Environment>,
        user: Id<User>,
        given: &Secret<String>,
    ) -> Result<(), TryPasswordError> {
        let realm = self.realm(environment).await?.ok_or(TryPasswordError::NotFound)?;
        let call = self.call(environment, "");
        let find = Find { realm: Arc::clone(&realm), user, now: call.now };
        let (username, stored, is_locked) = self.store.read(find).await?;
        let subject = realm.attempts(&username, None);
        self.limits.user(&subject.hash, call.now).map_err(TryPasswordError::Limited)?;
        let matches = !is_locked
            && self.passwords.verify(given.clone(), stored.clone()).await.map_err(Fault::from)?;
        let compared = stored.filter(|_| matches);
        match self.store.write(Try { call: call.clone(), realm, user, compared }).await? {
            Attempt::Accepted => Ok(()),
            Attempt::Refused => Err(TryPasswordError::Wrong),
            Attempt::LockedOut { until } => {
                Err(TryPasswordError::LockedOut { seconds: until.seconds_since(call.now) })
            }
        }
    }

    /// Sets a password unless it is the one that there is: who says again what holds ends nobody's session.
    pub async fn keep_password(
        &self,
        environment: Id<Environment>,
        user: Id<User>,
        given: &Secret<String>,
        must_change: bool,
    ) -> Result<(), AdministerError> {
        let stored = self.store.read(Stored { environment, user }).await?;
        let is_same = stored.is_some()
            && self.passwords.verify(given.clone(), stored).await.map_err(Fault::from)?;
        if is_same {
            return Ok(());
        }
        self.set_password_for(environment, user, given, must_change).await
    }

    /// Ends the lock that wrong passwords have brought.
    pub async fn unlock_password(
        &self,
        environment: Id<Environment>,
        user: Id<User>,
    ) -> Result<(), AdministerError> {
        let realm = self.realm(environment).await?.ok_or(AdministerError::NotFound)?;
        self.store.write(Unlock { call: self.call(environment, ""), realm, user }).await
    }

    /// Lets a password serve only to choose another one.
    pub async fn force_password_change(
        &self,
        environment: Id<Environment>,
        user: Id<User>,
    ) -> Result<(), AdministerError> {
        self.store.write(ForceChange { call: self.call(environment, ""), user }).await
    }
}

struct ReadState {
    realm: Arc<Realm>,
    user: Id<User>,
    now: Timestamp,
}

impl Work for ReadState {
    type Output = PasswordState;
    type Error = AdministerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<PasswordState, AdministerError> {
        let user = load(tx, self.realm.environment, self.user).await?;
        let Some(password) = passwords::load(tx, user.id).await? else {
            return Ok(PasswordState { status: "NO_PASSWORD", changed_at: None });
        };
        let count = lockout::load(tx, &self.realm.attempts(&user.username, None), self.now).await?;
        let is_locked = count.is_some_and(|count| count.locked_until(self.now).is_some());
        let status = match (is_locked, password.must_change) {
            (true, _) => "PASSWORD_LOCKED_OUT",
            (false, true) => "MUST_CHANGE_PASSWORD",
            (false, false) => "OK",
        };
        Ok(PasswordState { status, changed_at: Some(password.changed_at) })
    }
}

async fn load(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    id: Id<User>,
) -> Result<Versioned<User>, AdministerError> {
    user::load(tx, environment, id).await?.ok_or(AdministerError::NotFound)
}

struct Stored {
    environment: Id<Environment>,
    user: Id<User>,
}

impl Work for Stored {
    type Output = Option<PasswordHash>;
    type Error = AdministerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Self::Output, AdministerError> {
        let user = load(tx, self.environment, self.user).await?;
        Ok(passwords::load(tx, user.id).await?.map(|password| password.hash.clone()))
    }
}

struct Find {
    realm: Arc<Realm>,
    user: Id<User>,
    now: Timestamp,
}

impl Work for Find {
    type Output = (String, Option<PasswordHash>, bool);
    type Error = TryPasswordError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Self::Output, TryPasswordError> {
        let user = user::load(tx, self.realm.environment, self.user).await?;
        let user: Versioned<User> = user.ok_or(TryPasswordError::NotFound)?;
        let stored = passwords::load(tx, user.id).await?.map(|password| password.hash.clone());
        let count = lockout::load(tx, &self.realm.attempts(&user.username, None), self.now).await?;
        let is_locked = count.is_some_and(|count| count.locked_until(self.now).is_some());
        Ok((user.username.clone(), stored, is_locked))
    }
}

struct Try {
    call: Call,
    realm: Arc<Realm>,
    user: Id<User>,
    /// The hash that the password was found to have.
    compared: Option<PasswordHash>,
}

impl Work for Try {
    type Output = Attempt;
    type Error = TryPasswordError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Attempt, TryPasswordError> {
        let now = self.call.now;
        let user = user::load(tx, self.realm.environment, self.user).await?;
        let user: Versioned<User> = user.ok_or(TryPasswordError::NotFound)?;
        let stored = passwords::load(tx, user.id).await?.map(|password| password.hash.clone());
        let subject = self.realm.attempts(&user.username, None);
        let counted = lockout::load(tx, &subject, now).await?;
        // A password that was changed meanwhile is not the one that was compared.
        let is_right = self.compared.is_some() && self.compared == stored;
        let before = counted.as_deref().copied().unwrap_or_default();
        let (count, attempt) = password::attempt(before, is_right, now);
        lockout::put(tx, &subject, counted.as_ref(), &count, now).await?;
        let event = match attempt {
            Attempt::Accepted => Event::succeeded(Action::PasswordCheckSucceeded),
            Attempt::Refused => Event::failed(Action::PasswordCheckFailed, "wrong_password"),
            Attempt::LockedOut { .. } => Event::failed(Action::PasswordCheckFailed, "locked_out"),
        };
        self.call.audit(tx, event.about(&*user)).await?;
        Ok(attempt)
    }
}

struct Unlock {
    call: Call,
    realm: Arc<Realm>,
    user: Id<User>,
}

impl Work for Unlock {
    type Output = ();
    type Error = AdministerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), AdministerError> {
        let user = load(tx, self.realm.environment, self.user).await?;
        lockout::forget(tx, &self.realm.attempts(&user.username, None)).await?;
        let told = Event::succeeded(Action::PasswordUnlocked).about(&*user);
        Ok(self.call.audit(tx, told).await?)
    }
}

struct ForceChange {
    call: Call,
    user: Id<User>,
}

impl Work for ForceChange {
    type Output = ();
    type Error = AdministerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), AdministerError> {
        let user = load(tx, self.call.environment, self.user).await?;
        let old = passwords::load(tx, user.id).await?.ok_or(AdministerError::NotFound)?;
        let new = Password { must_change: true, ..(*old).clone() };
        passwords::swap(tx, user.id, &old, &new).await?;
        let told = Event::succeeded(Action::PasswordForceChange).about(&*user);
        Ok(self.call.audit(tx, told).await?)
    }
}
