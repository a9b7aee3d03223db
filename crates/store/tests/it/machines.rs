//! Machines: rows that change only if nobody has changed them since they were read.

use countersign_domain::{environment::Environment, id::Id};
use countersign_protocol::time::Timestamp;
use countersign_store::{
    StoreError, Tx,
    machine::{self, Machine, Table},
    machine_table,
};
use serde::{Deserialize, Serialize};

use crate::engines::{Database, NOW, body};

on_both_engines!(
    a_machine_is_what_was_stored,
    a_machine_is_not_seen_from_another_environment,
    a_machine_changes_only_from_what_was_read,
    a_machine_is_added_once,
    expired_machines_are_removed_oldest_first,
);

pub const ENVIRONMENT: Id<Environment> = Id::from_bytes([1; 16]);

/// A machine with two states.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Light {
    pub id: Id<Light>,
    pub is_on: bool,
    pub expires_at: Timestamp,
}

impl Light {
    /// A light that is off and that nobody needs `seconds` after [`NOW`].
    pub fn off(id: u8, seconds: i64) -> Self {
        Self { id: Id::from_bytes([id; 16]), is_on: false, expires_at: NOW.plus_seconds(seconds) }
    }

    pub fn on(&self) -> Self {
        Self { is_on: true, ..self.clone() }
    }
}

impl Machine for Light {
    const TABLE: Table = machine_table!("lights");

    fn id(&self) -> Id<Self> {
        self.id
    }

    fn environment(&self) -> Id<Environment> {
        ENVIRONMENT
    }

    fn state(&self) -> &'static str {
        if self.is_on { "on" } else { "off" }
    }

    fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}

pub async fn insert(database: &Database, light: Light) -> Result<(), StoreError> {
    let insert = body(move |tx| {
        let light = light.clone();
        Box::pin(async move { machine::insert(tx, &light).await })
    });
    database.store.write(insert).await
}

async fn load(database: &Database, environment: Id<Environment>, id: Id<Light>) -> Option<Light> {
    let load = body(move |tx| Box::pin(machine::load(tx, environment, id)));
    let light = database.store.read(load).await.unwrap();
    light.map(countersign_store::Versioned::into_value)
}

async fn a_machine_is_what_was_stored(database: &mut Database) {
    let light = Light::off(7, 60);
    insert(database, light.clone()).await.unwrap();
    assert_eq!(load(database, ENVIRONMENT, light.id).await, Some(light));
    assert_eq!(database.number("SELECT COUNT(*) FROM lights WHERE state = 'off'").await, 1);
}

async fn a_machine_is_not_seen_from_another_environment(database: &mut Database) {
    let light = Light::off(7, 60);
    insert(database, light.clone()).await.unwrap();
    assert_eq!(load(database, Id::from_bytes([2; 16]), light.id).await, None);
}

async fn a_machine_changes_only_from_what_was_read(database: &mut Database) {
    insert(database, Light::off(7, 60)).await.unwrap();
    let result = database.store.write(body(|tx| Box::pin(swaps_twice(tx)))).await;
    assert!(matches!(result, Err(StoreError::Conflict)), "{result:?}");
    assert_eq!(database.number("SELECT COUNT(*) FROM lights WHERE state = 'on'").await, 0);
}

async fn swaps_twice(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    let light = machine::load::<Light>(tx, ENVIRONMENT, Id::from_bytes([7; 16])).await?.unwrap();
    machine::swap(tx, &light, &light.on()).await?;
    machine::swap(tx, &light, &light.on()).await
}

async fn a_machine_is_added_once(database: &mut Database) {
    insert(database, Light::off(7, 60)).await.unwrap();
    match insert(database, Light::off(7, 60)).await {
        Err(StoreError::Conflict) => {}
        result => panic!("{result:?}"),
    }
}

async fn expired_machines_are_removed_oldest_first(database: &mut Database) {
    for (id, seconds) in [(1, 0), (2, 60), (3, 0), (4, 0)] {
        insert(database, Light::off(id, seconds)).await.unwrap();
    }
    for (limit, removed, left) in [(1, 1, 3), (1, 0, 3), (9, 2, 1)] {
        let expire = body(move |tx| Box::pin(machine::delete_expired::<Light>(tx, NOW, limit)));
        assert_eq!(database.store.write(expire).await.unwrap(), removed);
        assert_eq!(database.number("SELECT COUNT(*) FROM lights").await, left);
    }
}
