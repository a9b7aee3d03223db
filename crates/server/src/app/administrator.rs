//! The administrators of the platform: the first one, further ones, and a way back in for those who forgot.
//!
//! They are users of the environment [`ADMINISTRATORS`]. Their passwords are made here, shown once to the person at the
//! terminal, and serve only to choose another one.

use std::sync::Arc;

use countersign_domain::{
    audit::{Action, Event},
    console,
    environment::{ADMINISTRATORS, Environment},
    id::Id,
    lockout::Lockout,
    password::{self, Password},
    population::Population,
    role::{Holder, Role, RoleAssignment, Scope},
    user::{Name, Profile, User},
};
use countersign_protocol::{entropy::random, secret::Secret};
use countersign_store::{
    StoreError, Tx, Work, application, environment, lockout, password as passwords, population,
    role_assignment, user,
};

use super::{
    AdministerError, App, Call, Fault, Realm,
    create_environment::{CreateEnvironment, page_of_ours},
    session,
};

/// The name of the first administrator.
pub const FIRST_ADMINISTRATOR: &str = "admin";

/// A password that was just made, and whose it is.
#[derive(Debug)]
pub struct OneTimePassword {
    /// The user name.
    pub username: String,
    /// Shown once; only its hash is kept.
    pub password: Secret<String>,
}

impl App {
    /// Makes the environment of the administrators and the first of them, if there is none. Both or nothing; the first
    /// administrator has no password yet.
    ///
    /// # Errors
    /// `Fault::Internal` with a `KeyError` if the key-encryption key is not the one of this database.
    pub async fn ensure_administrators(&self) -> Result<(), AdministerError> {
        let known = self.store.read(FindAdministrators).await?;
        let environment = match known {
            Some(id) => id,
            None => self.create_administrators().await?,
        };
        // Opens its keys. A wrong key-encryption key must be found now and not by the first user.
        self.realm(environment).await?.map(drop).ok_or(AdministerError::NotFound)
    }

    async fn create_administrators(&self) -> Result<Id<Environment>, AdministerError> {
        let create = self.prepare_environment(self.blank_environment(ADMINISTRATORS)).await?;
        let call = self.call(create.environment.id, "");
        let first = new_administrator(&call, FIRST_ADMINISTRATOR, create.population());
        let id = create.environment.id;
        match self.store.write(CreateAdministrators { call, create, first }).await {
            Ok(()) => Ok(id),
            // Another node was faster.
            Err(error) => self.store.read(FindAdministrators).await?.ok_or(error),
        }
    }

    /// A password for the first administrator, if it has none. It does not count before
    /// [`App::confirm_first_password`]: whoever is to show it may fail to, and the next start then makes another one.
    pub async fn first_password(&self) -> Result<Option<FirstPassword>, AdministerError> {
        let environment = self.administrators().await?;
        let username = FIRST_ADMINISTRATOR.to_owned();
        let find = FindWithoutPassword { environment, username };
        let Some(id) = self.store.read(find).await? else { return Ok(None) };
        let (clear, password) = self.new_one_time_password().await?;
        let username = FIRST_ADMINISTRATOR.to_owned();
        let shown = OneTimePassword { username, password: clear };
        let call = self.call(environment, "");
        Ok(Some(FirstPassword { shown, set: SetFirst { call, user: id, password } }))
    }

    /// Lets the password count. False if another node was faster, and it does not.
    pub async fn confirm_first_password(
        &self,
        first: FirstPassword,
    ) -> Result<bool, AdministerError> {
        self.store.write(first.set).await
    }

    /// Makes a further administrator.
    ///
    /// # Errors
    /// `Invalid` if the name is taken or cannot be one.
    pub async fn create_administrator(
        &self,
        username: &str,
    ) -> Result<OneTimePassword, AdministerError> {
        let call = self.call(self.administrators().await?, "");
        let (clear, password) = self.new_one_time_password().await?;
        let username = username.to_owned();
        let username = self.store.write(CreateAdministrator { call, username, password }).await?;
        Ok(OneTimePassword { username, password: clear })
    }

    /// Gives an administrator a new password and the role, enables the user, and ends all locks.
    ///
    /// # Errors
    /// `NotFound` if there is no user of this name among the administrators.
    pub async fn reset_administrator(
        &self,
        username: &str,
    ) -> Result<OneTimePassword, AdministerError> {
        let environment = self.administrators().await?;
        let realm = self.realm(environment).await?.ok_or(AdministerError::NotFound)?;
        let call = self.call(environment, "");
        let (clear, password) = self.new_one_time_password().await?;
        let username = username.to_owned();
        let reset = ResetAdministrator { call, realm, username, password };
        let username = self.store.write(reset).await?;
        Ok(OneTimePassword { username, password: clear })
    }

    pub(super) async fn administrators(&self) -> Result<Id<Environment>, AdministerError> {
        self.store.read(FindAdministrators).await?.ok_or(AdministerError::NotFound)
    }

    /// The realm of the administrators; none before the program has started for the first time.
    pub async fn administrators_realm(&self) -> Result<Option<Arc<Realm>>, Fault> {
        match self.store.read(FindAdministrators).await? {
            Some(id) => self.realm(id).await,
            None => Ok(None),
        }
    }

    async fn new_one_time_password(&self) -> Result<(Secret<String>, Password), AdministerError> {
        let clear = password::one_time(&random(self.entropy.as_ref()));
        let password = self.new_password(&clear).await?;
        Ok((clear, Password { must_change: true, ..password }))
    }
}

/// A password that does not count before it was confirmed.
pub struct FirstPassword {
    shown: OneTimePassword,
    set: SetFirst,
}

impl FirstPassword {
    /// What to show.
    #[must_use]
    pub const fn shown(&self) -> &OneTimePassword {
        &self.shown
    }
}

/// A mail address is required of users, and nothing is ever sent to this one.
fn new_administrator(call: &Call, username: &str, population: Id<Population>) -> User {
    User {
        id: call.new_id(),
        environment: call.environment,
        population,
        username: username.to_owned(),
        email: "administrator@localhost".to_owned(),
        name: Name::default(),
        enabled: true,
        mfa_enabled: true,
        mfa_lockout: Lockout::cleared(),
        profile: Profile::default(),
        locked_at: None,
        created_at: call.now,
        updated_at: call.now,
    }
}

struct FindAdministrators;

impl Work for FindAdministrators {
    type Output = Option<Id<Environment>>;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Self::Output, StoreError> {
        Ok(environment::find_by_name(tx, ADMINISTRATORS).await?.map(|found| found.id))
    }
}

struct CreateAdministrators {
    call: Call,
    create: CreateEnvironment,
    first: User,
}

impl Work for CreateAdministrators {
    type Output = ();
    type Error = AdministerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), AdministerError> {
        self.create.run(tx).await?;
        let console = console::application(self.call.environment);
        let console = page_of_ours(&self.call, console, console::NAME);
        application::insert(tx, &console).await?;
        let created = Event::succeeded(Action::ApplicationCreated).to(&console);
        self.call.audit(tx, created).await?;
        user::insert(tx, &self.first).await?;
        self.call.audit(tx, told(Action::UserCreated, self.first.id)).await?;
        give_role(tx, &self.call, &self.first).await
    }
}

struct FindWithoutPassword {
    environment: Id<Environment>,
    username: String,
}

impl Work for FindWithoutPassword {
    type Output = Option<Id<User>>;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Self::Output, StoreError> {
        let user = user::find_by_username(tx, self.environment, &self.username).await?;
        let Some(user) = user else { return Ok(None) };
        Ok(passwords::load(tx, user.id).await?.is_none().then_some(user.id))
    }
}

struct SetFirst {
    call: Call,
    user: Id<User>,
    password: Password,
}

impl Work for SetFirst {
    type Output = bool;
    type Error = AdministerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, AdministerError> {
        if !passwords::insert(tx, self.user, &self.password).await? {
            return Ok(false);
        }
        self.call.audit(tx, told(Action::PasswordSet, self.user)).await?;
        Ok(true)
    }
}

struct CreateAdministrator {
    call: Call,
    username: String,
    password: Password,
}

impl Work for CreateAdministrator {
    type Output = String;
    type Error = AdministerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<String, AdministerError> {
        let population = population::load_default::<Population>(tx, self.call.environment).await?;
        let population = population.ok_or(AdministerError::NotFound)?.id;
        let user = new_administrator(&self.call, &self.username, population);
        user.validate()?;
        user::insert(tx, &user).await?;
        passwords::put(tx, user.id, &self.password).await?;
        self.call.audit(tx, told(Action::UserCreated, user.id)).await?;
        give_role(tx, &self.call, &user).await?;
        Ok(user.username)
    }
}

struct ResetAdministrator {
    call: Call,
    realm: Arc<Realm>,
    username: String,
    password: Password,
}

impl Work for ResetAdministrator {
    type Output = String;
    type Error = AdministerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<String, AdministerError> {
        let old = user::find_by_username(tx, self.call.environment, &self.username).await?;
        let old = old.ok_or(AdministerError::NotFound)?;
        let user = User {
            enabled: true,
            mfa_lockout: Lockout::cleared(),
            updated_at: self.call.now,
            ..(*old).clone()
        };
        user::swap(tx, &old, &user).await?;
        lockout::forget(tx, &self.realm.attempts(&user.username, None)).await?;
        passwords::put(tx, user.id, &self.password).await?;
        self.call.audit(tx, told(Action::PasswordSet, user.id)).await?;
        give_role(tx, &self.call, &user).await?;
        // Who signed in by the old one may be somebody else. An administrator has few sessions.
        session::end_some_of(tx, &self.call, user.id).await?;
        Ok(user.username)
    }
}

/// Lets a user administer everything, if the user does not yet.
async fn give_role(tx: &mut Tx<'_>, call: &Call, user: &User) -> Result<(), AdministerError> {
    let (role, scope) = (Role::OrganizationAdmin, Scope::Organization);
    let holder = Holder::User(user.id);
    let given = role_assignment::of(tx, holder).await?;
    if given.iter().any(|given| (given.role, given.scope) == (role, scope)) {
        return Ok(());
    }
    let (id, environment, created_at) = (call.new_id(), user.environment, call.now);
    let given = RoleAssignment { id, environment, holder, role, scope, created_at };
    role_assignment::insert(tx, &given).await?;
    Ok(call.audit(tx, told(Action::RoleAssignmentCreated, user.id).to(&given)).await?)
}

/// What an operator did at the terminal.
fn told(action: Action, user: Id<User>) -> Event {
    Event { reason: Some("by_operator".to_owned()), ..Event::succeeded(action).about(user) }
}
