//! Of many who want the same single thing at once, one gets it.

use countersign_domain::id::Id;
use countersign_store::{StoreError, Tx, Work, machine};
use tokio::task::JoinSet;

use crate::{
    engines::Database,
    machines::{ENVIRONMENT, Light, insert},
};

/// How many want the same thing at once.
const CALLERS: usize = 200;

/// How many things there are.
const ROUNDS: u8 = 100;

/// Something that counts once. The output says whether this caller made it count; [`StoreError::Conflict`] is a no.
trait SingleUse: Work<Output = bool, Error = StoreError> + Sized {
    /// Makes the thing of a round.
    async fn make(database: &Database, round: u8);

    /// Wants it.
    fn claim(round: u8) -> Self;
}

/// One line for each thing that counts once: the name of the test and the body that wants the thing.
macro_rules! races {
    ($($name:ident: $body:ty),* $(,)?) => {
        on_both_engines!($($name),*);
        $(async fn $name(database: &mut Database) { one_wins::<$body>(database).await; })*
    };
}

races!(
    a_machine_leaves_its_state_once: SwitchOn,
    a_guarded_insert_happens_once: Spend,
);

async fn one_wins<T: SingleUse>(database: &Database) {
    for round in 0..ROUNDS {
        T::make(database, round).await;
        let mut callers = JoinSet::new();
        for _ in 0..CALLERS {
            let store = database.store.clone();
            callers.spawn(async move { store.write(T::claim(round)).await });
        }
        let results = callers.join_all().await;
        let unexpected =
            results.iter().find(|result| !matches!(result, Ok(_) | Err(StoreError::Conflict)));
        assert!(unexpected.is_none(), "round {round}: {unexpected:?}");
        let winners = results.iter().filter(|result| matches!(result, Ok(true))).count();
        assert_eq!(winners, 1, "round {round}");
    }
}

struct SwitchOn(u8);

impl SingleUse for SwitchOn {
    async fn make(database: &Database, round: u8) {
        insert(database, Light::off(round, 60)).await.unwrap();
    }

    fn claim(round: u8) -> Self {
        Self(round)
    }
}

impl Work for SwitchOn {
    type Output = bool;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        let id = Id::from_bytes([self.0; 16]);
        let light = machine::load::<Light>(tx, ENVIRONMENT, id).await?.unwrap();
        if light.is_on {
            return Ok(false);
        }
        machine::swap(tx, &light, &light.on()).await?;
        Ok(true)
    }
}

struct Spend(u8);

impl SingleUse for Spend {
    async fn make(_: &Database, _: u8) {}

    fn claim(round: u8) -> Self {
        Self(round)
    }
}

impl Work for Spend {
    type Output = bool;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        let sql = "INSERT INTO things (id) VALUES ($1) ON CONFLICT (id) DO NOTHING";
        Ok(tx.execute(sql, &[i64::from(self.0).into()]).await? == 1)
    }
}
