//! MFA policies.

use countersign_domain::{environment::Environment, id::Id, mfa_policy::MfaPolicy};

pub use crate::named::{insert, load, load_default, swap};
use crate::{
    named::{Named, Table},
    named_table,
};

pub(crate) const STATEMENTS: &[&str] = &MfaPolicy::TABLE.statements();

impl Named for MfaPolicy {
    const TABLE: Table = named_table!("mfa_policies");

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
