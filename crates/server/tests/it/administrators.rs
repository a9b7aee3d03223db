//! The administrators of the platform: the first start, one that broke off, further ones and those who forgot.

use countersign_domain::{
    environment::{ADMINISTRATORS, Environment},
    id::Id,
    password::Password,
    role::{Holder, Role},
    user::User,
};
use countersign_server::app::{AdministerError, FIRST_ADMINISTRATOR};
use countersign_store::{
    StoreError, Tx, Versioned, Work, environment, password, role_assignment, user,
};

use crate::world::World;

/// A user of the administrators, with the password.
pub struct Find(pub String);

impl Work for Find {
    type Output = Option<(Id<Environment>, User, Option<Password>)>;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Self::Output, StoreError> {
        let Some(environment) = environment::find_by_name(tx, ADMINISTRATORS).await? else {
            return Ok(None);
        };
        let user = user::find_by_username(tx, environment.id, &self.0).await?;
        let Some(user) = user else { return Ok(None) };
        let password = password::load(tx, user.id).await?.map(Versioned::into_value);
        Ok(Some((environment.id, user.into_value(), password)))
    }
}

async fn find(w: &World, name: &'static str) -> Option<(Id<Environment>, User, Option<Password>)> {
    w.server.store().read(Find(name.to_owned())).await.unwrap()
}

struct RolesOf(Id<User>);

impl Work for RolesOf {
    type Output = Vec<Role>;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<Role>, StoreError> {
        let given = role_assignment::of(tx, Holder::User(self.0)).await?;
        Ok(given.iter().map(|given| given.role).collect())
    }
}

async fn roles(w: &World, user: Id<User>) -> Vec<Role> {
    w.server.store().read(RolesOf(user)).await.unwrap()
}

async fn actions(w: &World, environment: Id<Environment>) -> Vec<String> {
    let records = w.server.list_audit(environment, None, 100).await.unwrap();
    let action = |action| serde_json::to_value(action).unwrap().as_str().unwrap().to_owned();
    let actions = records.iter().map(|record| action(record.event.action));
    // What else an environment is made of is not of interest here.
    actions.filter(|action| action.starts_with("USER") || action.starts_with("PASSWORD")).collect()
}

async fn the_first_start_makes_one_administrator_however_often_it_is_begun(w: &mut World) {
    assert!(find(w, FIRST_ADMINISTRATOR).await.is_none());
    for _ in 0..3 {
        w.server.ensure_administrators().await.unwrap();
        let (_, user, password) = find(w, FIRST_ADMINISTRATOR).await.unwrap();
        assert_eq!(roles(w, user.id).await, [Role::OrganizationAdmin]);
        assert_eq!(password, None);
    }
    let (environment, ..) = find(w, FIRST_ADMINISTRATOR).await.unwrap();
    assert_eq!(actions(w, environment).await, ["USER.CREATED"]);
}

async fn a_first_password_counts_only_after_it_was_shown(w: &mut World) {
    w.server.ensure_administrators().await.unwrap();
    w.advance(1);
    let lost = w.server.first_password().await.unwrap().unwrap();
    let shown = w.server.first_password().await.unwrap().unwrap();
    assert_ne!(lost.shown().password, shown.shown().password);
    assert!(w.server.confirm_first_password(shown).await.unwrap());
    assert!(!w.server.confirm_first_password(lost).await.unwrap());
    assert!(w.server.first_password().await.unwrap().is_none());
    let (environment, _, password) = find(w, FIRST_ADMINISTRATOR).await.unwrap();
    assert!(password.unwrap().must_change);
    assert_eq!(actions(w, environment).await, ["USER.CREATED", "PASSWORD.SET"]);
}

async fn nodes_that_start_at_once_make_one_administrator(w: &mut World) {
    let (one, other) =
        tokio::join!(w.server.ensure_administrators(), w.server.ensure_administrators());
    one.unwrap();
    other.unwrap();
    let (environment, ..) = find(w, FIRST_ADMINISTRATOR).await.unwrap();
    assert_eq!(actions(w, environment).await, ["USER.CREATED"]);
}

async fn a_further_administrator_has_a_name_of_its_own(w: &mut World) {
    w.server.ensure_administrators().await.unwrap();
    let made = w.server.create_administrator("Grace").await.unwrap();
    assert_eq!(made.username, "Grace");
    let (environment, user, password) = find(w, "grace").await.unwrap();
    assert_eq!(roles(w, user.id).await, [Role::OrganizationAdmin]);
    assert!(password.unwrap().must_change);
    for taken in ["grace", "", FIRST_ADMINISTRATOR] {
        let refused = w.server.create_administrator(taken).await.unwrap_err();
        assert!(matches!(refused, AdministerError::Invalid(_)), "{refused}");
    }
    assert_eq!(actions(w, environment).await, ["USER.CREATED", "USER.CREATED"]);
}

async fn an_administrator_who_forgot_the_password_gets_another(w: &mut World) {
    w.server.ensure_administrators().await.unwrap();
    let made = w.server.create_administrator("grace").await.unwrap();
    let (_, _, before) = find(w, "grace").await.unwrap();
    w.advance(1);
    let reset = w.server.reset_administrator("GRACE").await.unwrap();
    assert_eq!(reset.username, "grace");
    assert_ne!(reset.password, made.password);
    let (environment, user, after) = find(w, "grace").await.unwrap();
    assert!(user.enabled);
    assert_ne!(before, after);
    assert!(after.unwrap().must_change);
    assert_eq!(actions(w, environment).await.last().unwrap(), "PASSWORD.SET");
    let refused = w.server.reset_administrator("nobody").await.unwrap_err();
    assert!(matches!(refused, AdministerError::NotFound));
}

on_both_engines!(
    the_first_start_makes_one_administrator_however_often_it_is_begun,
    a_first_password_counts_only_after_it_was_shown,
    nodes_that_start_at_once_make_one_administrator,
    a_further_administrator_has_a_name_of_its_own,
    an_administrator_who_forgot_the_password_gets_another,
);
