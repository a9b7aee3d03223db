//! Users.

use countersign_domain::{environment::Environment, id::Id, population::Population, user::User};

pub use crate::configured::{insert, load, swap};
use crate::{
    StoreError, Tx, Value, Versioned,
    configured::{Configured, Range, Table},
    configured_table, document,
};

pub(crate) const STATEMENTS: &[&str] = &{
    let [insert, load, swap, delete, list, count] = User::TABLE.statements();
    [
        insert,
        load,
        swap,
        delete,
        list,
        count,
        FIND_BY_USERNAME,
        LIST_BY_EMAIL,
        LIST_OF_POPULATION,
        LIST_BY_USERNAME,
        DELETE_AUTHENTICATORS,
        DELETE_PASSWORD,
    ]
};

const FIND_BY_USERNAME: &str =
    "SELECT data, version FROM users WHERE environment_id = $1 AND username_key = $2";
const LIST_BY_EMAIL: &str = "SELECT data, version FROM users \
     WHERE environment_id = $1 AND email_key = $2 AND id > $3 ORDER BY id LIMIT $4";
const LIST_OF_POPULATION: &str = "SELECT data, version FROM users \
     WHERE population_id = $1 AND id > $2 ORDER BY id LIMIT $3";
const LIST_BY_USERNAME: &str = "SELECT data, version FROM users \
     WHERE environment_id = $1 AND username_key > $2 AND username_key < $3 \
     ORDER BY username_key LIMIT $4";
const DELETE_AUTHENTICATORS: &str = "DELETE FROM authenticators WHERE user_id = $1";
const DELETE_PASSWORD: &str = "DELETE FROM passwords WHERE user_id = $1";

/// The user name is unique in the environment.
impl Configured for User {
    const TABLE: Table =
        configured_table!("users", population_id = "$4", username_key = "$5", email_key = "$6");

    fn id(&self) -> Id<Self> {
        self.id
    }

    fn environment(&self) -> Id<Environment> {
        self.environment
    }

    type Owner = Environment;

    fn owner(&self) -> Id<Environment> {
        self.environment
    }

    fn columns(&self) -> Vec<Value<'_>> {
        let username = User::username_key(&self.username).into_bytes();
        let email = User::email_key(&self.email).into_bytes();
        vec![self.population.into(), username.into(), email.into()]
    }
}

/// The user of this name, without regard to case.
pub async fn find_by_username(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    username: &str,
) -> Result<Option<Versioned<User>>, StoreError> {
    if !User::is_username(username) {
        return Ok(None);
    }
    let key = User::username_key(username).into_bytes();
    document::find(tx, FIND_BY_USERNAME, &[environment.into(), key.into()]).await
}

/// The users with this mail address, without regard to case.
pub async fn list_by_email(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    email: &str,
    range: Range<User>,
) -> Result<Vec<Versioned<User>>, StoreError> {
    let key = User::email_key(email).into_bytes();
    let after = range.after.unwrap_or(Id::from_bytes([0; 16]));
    let row = [environment.into(), key.into(), after.into(), i64::from(range.limit).into()];
    document::list(tx, LIST_BY_EMAIL, &row).await
}

/// The users of a population.
pub async fn list_of_population(
    tx: &mut Tx<'_>,
    population: Id<Population>,
    range: Range<User>,
) -> Result<Vec<Versioned<User>>, StoreError> {
    let after = range.after.unwrap_or(Id::from_bytes([0; 16]));
    let row = [population.into(), after.into(), i64::from(range.limit).into()];
    document::list(tx, LIST_OF_POPULATION, &row).await
}

/// The users whose names begin like this, without regard to case, in the order of the names.
pub async fn list_by_username(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    prefix: &str,
    range: Range<User>,
) -> Result<Vec<Versioned<User>>, StoreError> {
    let prefix = User::username_key(prefix).into_bytes();
    let after = match range.after {
        None => None,
        Some(id) => load(tx, environment, id)
            .await?
            .map(|user: Versioned<User>| User::username_key(&user.username).into_bytes()),
    };
    // Nothing lies between a prefix without its last byte and the prefix, and UTF-8 has no byte 255.
    let first = after.unwrap_or_else(|| before(&prefix));
    let end = [prefix.as_slice(), &[0xff]].concat();
    let row = [environment.into(), first.into(), end.into(), i64::from(range.limit).into()];
    document::list(tx, LIST_BY_USERNAME, &row).await
}

/// A key that comes right before a prefix: no text is between them.
fn before(prefix: &[u8]) -> Vec<u8> {
    match prefix.split_last() {
        None => Vec::new(),
        Some((last, rest)) => [rest, &[last.saturating_sub(1), 0xff]].concat(),
    }
}

/// Deletes what nobody else can have of a user, before the user.
pub async fn strip(tx: &mut Tx<'_>, id: Id<User>) -> Result<(), StoreError> {
    tx.execute(DELETE_AUTHENTICATORS, &[id.into()]).await?;
    tx.execute(DELETE_PASSWORD, &[id.into()]).await.map(drop)
}
