//! MFA policies.

use countersign_domain::{environment::Environment, id::Id, mfa_policy::MfaPolicy};

pub use crate::configured::{insert, load, load_default};
use crate::{
    Value,
    configured::{Configured, Defaulted, Table},
    configured_table, default_of,
};

pub(crate) const STATEMENTS: &[&str] = &{
    let [insert, load, swap, delete, list, count] = MfaPolicy::TABLE.statements();
    [insert, load, swap, delete, list, count, MfaPolicy::LOAD_DEFAULT]
};

impl Configured for MfaPolicy {
    const TABLE: Table = configured_table!("mfa_policies", name = "$4", is_default = "$5");

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
        vec![self.name.as_str().into(), self.default.into()]
    }
}

impl Defaulted for MfaPolicy {
    const LOAD_DEFAULT: &'static str = default_of!("mfa_policies");
}
