//! Populations.

use countersign_domain::{environment::Environment, id::Id, population::Population};

use crate::{StoreError, Tx, Versioned, document};

pub(crate) const STATEMENTS: &[&str] = &[INSERT, LOAD, LOAD_DEFAULT];

const INSERT: &str = "INSERT INTO populations (id, environment_id, name, is_default, version, data) \
     VALUES ($1, $2, $3, $4, 1, $5)";
const LOAD: &str = "SELECT data, version FROM populations WHERE id = $1 AND environment_id = $2";
const LOAD_DEFAULT: &str = "SELECT data, version FROM populations \
     WHERE environment_id = $1 AND is_default ORDER BY id LIMIT 1";

/// Adds a population. Its name must be free in the environment.
pub async fn insert(tx: &mut Tx<'_>, population: &Population) -> Result<(), StoreError> {
    let Population { id, environment, name, default, .. } = population;
    let data = document::encode(population)?;
    let params =
        [(*id).into(), (*environment).into(), name.as_str().into(), (*default).into(), data.into()];
    tx.execute(INSERT, &params).await.map(drop)
}

/// The population of this id in this environment.
pub async fn load(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    id: Id<Population>,
) -> Result<Option<Versioned<Population>>, StoreError> {
    document::find(tx, LOAD, &[id.into(), environment.into()]).await
}

/// The population that receives users made without one.
pub async fn load_default(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
) -> Result<Option<Versioned<Population>>, StoreError> {
    document::find(tx, LOAD_DEFAULT, &[environment.into()]).await
}
