//! Makes many users at a time: a portion in one transaction, so that a million of them takes minutes.

use std::collections::BTreeSet;

use countersign_domain::{
    audit::{Action, Event},
    environment::Environment,
    id::Id,
    invalid::{Invalid, Rule},
    password::Password,
    population::Population,
    user::User,
};
use countersign_store::{
    StoreError, Tx, Work, mfa_settings, password as passwords, population, user,
};

use super::{AdministerError, App, Call, NewUser, create_user::user_of};

/// What became of one user of a portion.
pub type Imported = Result<Id<User>, AdministerError>;

/// A user that is to be made, with the password hashed.
#[derive(Clone)]
struct Prepared {
    id: Id<User>,
    new: NewUser,
    password: Option<Password>,
}

impl App {
    /// Makes the users of a portion. Each that breaks no rule is made, whatever the others do; the answers are in their order.
    pub async fn import_users(
        &self,
        environment: Id<Environment>,
        portion: Vec<NewUser>,
    ) -> Result<Vec<Imported>, AdministerError> {
        let call = self.call(environment, "");
        let mut prepared = Vec::with_capacity(portion.len());
        for new in portion {
            let id = call.new_id();
            prepared.push(match self.password_of(&new).await {
                Ok(password) => Ok(Prepared { id, new, password }),
                Err(AdministerError::Invalid(invalid)) => Err(invalid),
                Err(other) => return Err(other),
            });
        }
        let import = Import { call: call.clone(), portion: prepared.clone() };
        match self.store.write(import).await {
            // Somebody else has made one of them meanwhile: one after the other tells which.
            Err(AdministerError::Invalid(_)) => {}
            done => return done,
        }
        let mut answers = Vec::with_capacity(prepared.len());
        for one in prepared {
            let import = Import { call: call.clone(), portion: vec![one] };
            match self.store.write(import).await {
                Ok(mut answer) => answers.append(&mut answer),
                Err(AdministerError::Invalid(invalid)) => answers.push(Err(invalid.into())),
                Err(other) => return Err(other),
            }
        }
        Ok(answers)
    }
}

struct Import {
    call: Call,
    portion: Vec<Result<Prepared, Invalid>>,
}

impl Work for Import {
    type Output = Vec<Imported>;
    type Error = AdministerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<Imported>, AdministerError> {
        let environment = self.call.environment;
        let default = population::load_default::<Population>(tx, environment).await?;
        let default = default.ok_or(AdministerError::NotFound)?.id;
        let mfa_enabled = mfa_settings::load(tx, environment).await?.new_users_mfa_enabled;
        let (mut known, mut names) = (BTreeSet::from([default]), BTreeSet::new());
        let mut answers = Vec::with_capacity(self.portion.len());
        for prepared in &self.portion {
            let Prepared { id, new, password } = match prepared {
                Ok(prepared) => prepared,
                Err(invalid) => {
                    answers.push(Err(invalid.clone().into()));
                    continue;
                }
            };
            let population = new.population.unwrap_or(default);
            let user = user_of(&self.call, *id, new, (population, mfa_enabled));
            if let Some(invalid) = self.refuse(tx, &user, (&mut known, &mut names)).await? {
                answers.push(Err(invalid.into()));
                continue;
            }
            user::insert(tx, &user).await?;
            if let Some(password) = password {
                passwords::put(tx, user.id, password).await?;
            }
            self.call.audit(tx, Event::succeeded(Action::UserCreated).about(&user)).await?;
            answers.push(Ok(user.id));
        }
        Ok(answers)
    }
}

impl Import {
    /// Which rule a user breaks, by itself or beside others.
    async fn refuse(
        &self,
        tx: &mut Tx<'_>,
        user: &User,
        (known, names): (&mut BTreeSet<Id<Population>>, &mut BTreeSet<String>),
    ) -> Result<Option<Invalid>, StoreError> {
        if let Err(invalid) = user.validate() {
            return Ok(Some(invalid));
        }
        if !known.contains(&user.population) {
            let found = population::load::<Population>(tx, user.environment, user.population);
            if found.await?.is_none() {
                return Ok(Some(Invalid::new("population.id", Rule::Unknown)));
            }
            known.insert(user.population);
        }
        let is_new = names.insert(User::username_key(&user.username));
        let taken = user::find_by_username(tx, user.environment, &user.username).await?;
        let is_free = is_new && taken.is_none();
        Ok((!is_free).then(|| Invalid::new("username", Rule::Unique)))
    }
}
