//! Makes users and sets their passwords.

use std::sync::Arc;

use countersign_domain::{
    audit::{Action, Event},
    environment::Environment,
    id::Id,
    invalid::{Invalid, Rule},
    lockout::Lockout,
    password::{self, Password},
    population::Population,
    user::{Name, Profile, User},
};
use countersign_protocol::secret::Secret;
use countersign_store::{Tx, Work, lockout, mfa_settings, password as passwords, population, user};

use super::{AdministerError, App, Call, Fault, Realm, session};

/// What a user is made of.
#[derive(Clone, Debug, Default)]
pub struct NewUser {
    /// Unique without regard to case.
    pub username: String,
    /// Mail address.
    pub email: String,
    /// What the person is called.
    pub name: Name,
    /// The population; none: the default one.
    pub population: Option<Id<Population>>,
    /// The password; none: the user cannot sign in by password.
    pub password: Option<Secret<String>>,
    /// Whether devices count; none: what the MFA settings say.
    pub mfa_enabled: Option<bool>,
    /// What else is known of the person.
    pub profile: Profile,
    /// Whether the person cannot sign in yet.
    pub disabled: bool,
    /// Whether the password serves only to choose another one.
    pub must_change_password: bool,
}

impl App {
    /// Makes a user.
    pub async fn create_user(
        &self,
        environment: Id<Environment>,
        new: NewUser,
    ) -> Result<User, AdministerError> {
        let password = self.password_of(&new).await?;
        let call = self.call(environment, "");
        self.store.write(CreateUser { id: call.new_id(), call, new, password }).await
    }

    /// The password that a user begins with.
    pub(super) async fn password_of(
        &self,
        new: &NewUser,
    ) -> Result<Option<Password>, AdministerError> {
        let Some(clear) = &new.password else { return Ok(None) };
        let must_change = new.must_change_password;
        Ok(Some(Password { must_change, ..self.new_password(clear).await? }))
    }

    /// Sets the password of a user, and ends a lock of it. Who signed in by the old one may be somebody else, so all sessions of
    /// the user end.
    pub async fn set_password(
        &self,
        environment: Id<Environment>,
        user: Id<User>,
        password: &Secret<String>,
    ) -> Result<(), AdministerError> {
        self.set_password_for(environment, user, password, false).await
    }

    /// Sets the password of a user like [`App::set_password`]. It may serve only to choose another one.
    pub async fn set_password_for(
        &self,
        environment: Id<Environment>,
        user: Id<User>,
        password: &Secret<String>,
        must_change: bool,
    ) -> Result<(), AdministerError> {
        let realm = self.realm(environment).await?.ok_or(AdministerError::NotFound)?;
        let password = Password { must_change, ..self.new_password(password).await? };
        let call = self.call(environment, "");
        let set = SetPassword { call: call.clone(), realm, user, password };
        if self.store.write(set).await? {
            self.end_sessions(&call, user).await?;
        }
        Ok(())
    }

    pub(super) async fn new_password(
        &self,
        clear: &Secret<String>,
    ) -> Result<Password, AdministerError> {
        password::validate(clear.expose())?;
        let hash = self.passwords.hash(clear.clone(), self.entropy.as_ref()).await;
        let hash = hash.map_err(Fault::from)?;
        Ok(Password { hash, changed_at: self.now(), must_change: false })
    }
}

struct CreateUser {
    id: Id<User>,
    call: Call,
    new: NewUser,
    password: Option<Password>,
}

impl Work for CreateUser {
    type Output = User;
    type Error = AdministerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<User, AdministerError> {
        let environment = self.call.environment;
        let population = match self.new.population {
            Some(id) => population::load(tx, environment, id)
                .await?
                .ok_or(Invalid::new("population.id", Rule::Unknown))?,
            None => {
                population::load_default(tx, environment).await?.ok_or(AdministerError::NotFound)?
            }
        };
        let settings = mfa_settings::load(tx, environment).await?;
        let defaults = (population.id, settings.new_users_mfa_enabled);
        let user = user_of(&self.call, self.id, &self.new, defaults);
        user.validate()?;
        user::insert(tx, &user).await?;
        if let Some(password) = &self.password {
            passwords::put(tx, user.id, password).await?;
        }
        self.call
            .audit(tx, Event::succeeded(Action::UserCreated).about(&user).to(&*population))
            .await?;
        Ok(user)
    }
}

/// The user that is made, in this population, whose devices count unless it is said.
pub(super) fn user_of(
    call: &Call,
    id: Id<User>,
    new: &NewUser,
    (population, mfa_enabled): (Id<Population>, bool),
) -> User {
    User {
        id,
        environment: call.environment,
        population,
        username: new.username.clone(),
        email: new.email.clone(),
        name: new.name.clone(),
        enabled: !new.disabled,
        mfa_enabled: new.mfa_enabled.unwrap_or(mfa_enabled),
        mfa_lockout: Lockout::cleared(),
        profile: new.profile.clone(),
        locked_at: None,
        created_at: call.now,
        updated_at: call.now,
    }
}

struct SetPassword {
    call: Call,
    realm: Arc<Realm>,
    user: Id<User>,
    password: Password,
}

/// The output says whether there are more sessions to end.
impl Work for SetPassword {
    type Output = bool;
    type Error = AdministerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, AdministerError> {
        let user = user::load(tx, self.realm.environment, self.user).await?;
        let user = user.ok_or(AdministerError::NotFound)?;
        lockout::forget(tx, &self.realm.attempts(&user.username, None)).await?;
        passwords::put(tx, user.id, &self.password).await?;
        self.call.audit(tx, Event::succeeded(Action::PasswordSet).about(&*user)).await?;
        Ok(session::end_some_of(tx, &self.call, user.id).await?)
    }
}
