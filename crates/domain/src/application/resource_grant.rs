//! Grants of resources: which scopes of which protected resource an application may ask for (platform API, section 3.5).

use countersign_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    id::Id,
    invalid::{Check, Rule},
    protected_resource::{ProtectedResource, ResourceScope},
};

/// What an application may ask for at one resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceGrant {
    /// Its id.
    pub id: Id<ResourceGrant>,
    /// The resource. An application has one grant for each.
    pub resource: Id<ProtectedResource>,
    /// Scopes of the resource, at least one.
    pub scopes: Vec<Id<ResourceScope>>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// The rules for the grants of an application.
pub(super) fn validate(grants: &[ResourceGrant], check: &mut Check) {
    check.require(grants.len() <= 100, "oidc.grants", Rule::Form { form: "a list of at most 100" });
    for (place, grant) in grants.iter().enumerate() {
        check.require(!grant.scopes.is_empty(), "oidc.grants.scopes", Rule::Required);
        let few = Rule::Form { form: "a list of at most 250" };
        check.require(grant.scopes.len() <= 250, "oidc.grants.scopes", few);
        let mut before = grants.iter().take(place);
        let known = before.any(|known| known.resource == grant.resource);
        check.require(!known, "oidc.grants.resource.id", Rule::Unique);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        application::Application,
        fixture::{NOW, application, assert_told, id},
    };

    fn grant(resource: u8) -> ResourceGrant {
        ResourceGrant {
            id: id(1),
            resource: id(resource),
            scopes: vec![id(1)],
            created_at: NOW,
            updated_at: NOW,
        }
    }

    #[test]
    fn each_broken_rule_is_told() {
        assert_told(
            application,
            Application::validate,
            &[
                (|a| a.oidc.grants = vec![grant(1), grant(2)], ""),
                (|a| a.oidc.grants = vec![grant(1), grant(1)], "oidc.grants.resource.id is taken"),
                (
                    |a| a.oidc.grants = vec![ResourceGrant { scopes: vec![], ..grant(1) }],
                    "oidc.grants.scopes must be given",
                ),
                (
                    |a| a.oidc.grants = (0..=100).map(grant).collect(),
                    "oidc.grants must be a list of at most 100",
                ),
            ],
        );
    }
}
