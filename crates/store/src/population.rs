//! Populations.

use countersign_domain::{environment::Environment, id::Id, population::Population};

pub use crate::named::{insert, load, load_default};
use crate::{
    named::{Named, Table},
    named_table,
};

pub(crate) const STATEMENTS: &[&str] = &Population::TABLE.statements();

impl Named for Population {
    const TABLE: Table = named_table!("populations");

    fn id(&self) -> Id<Self> {
        self.id
    }

    fn environment(&self) -> Id<Environment> {
        self.environment
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn is_default(&self) -> bool {
        self.default
    }
}
