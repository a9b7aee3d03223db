//! Sign-on policies on the wire (platform API, section 6.1), and which of them an application uses (3.7).

pub(super) mod action;

use countersign_domain::{
    role::Area,
    sign_on_policy::{SignOnPolicy, SignOnPolicyAssignment},
};
use countersign_protocol::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    hal::{Address, Links, Reference, link},
    resource::{New, Resource, id_in},
};
use crate::app::AdministerError;

/// The steps of a sign-on, which are its actions.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SignOnPolicy")]
pub(super) struct Body {
    /// Unique in the environment, and the `acr` of tokens: letters, digits, `_`, `.`, space and `-`, or an absolute URI.
    name: String,
    /// For administrators, at most 1,024 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// Whether applications without an assignment use it. One of each environment is it.
    #[serde(default)]
    default: bool,
}

impl Resource for SignOnPolicy {
    const NAME: &'static str = "sign-on policy";
    const COLLECTION: &'static str = "signOnPolicies";
    const AREA: Area = Area::Policies;
    type Body = Body;

    fn blank(new: &New<Self>) -> Self {
        Self::new((new.id, new.environment), String::new(), new.now)
    }

    fn put(&mut self, body: Body) -> Result<(), AdministerError> {
        (self.name, self.description, self.default) = (body.name, body.description, body.default);
        Ok(())
    }

    fn body(&self) -> Body {
        let description = self.description.clone();
        Body { name: self.name.clone(), description, default: self.default }
    }

    fn times(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        (Some(self.created_at), Some(self.updated_at))
    }

    fn links(&self, address: &Address) -> Links {
        Links::from([link("actions", format!("{}/actions", address.of(self.id)))])
    }
}

/// A sign-on policy that an application uses.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "SignOnPolicyAssignment")]
pub(super) struct Assignment {
    /// The policy.
    sign_on_policy: Reference,
    /// Its place: the lowest is used, unless a request asks for another. 1 to 1,000.
    priority: u16,
    /// The application.
    #[serde(skip_deserializing)]
    #[schemars(required)]
    application: Option<Reference>,
}

impl Resource for SignOnPolicyAssignment {
    const NAME: &'static str = "sign-on policy of an application";
    const COLLECTION: &'static str = "signOnPolicyAssignments";
    const AREA: Area = Area::Applications;
    const OWNER: &'static str = "application";
    type Body = Assignment;

    fn blank(new: &New<Self>) -> Self {
        Self {
            id: new.id,
            environment: new.environment,
            application: new.owner,
            // Nobody's, until one is put.
            sign_on_policy: new.id.cast(),
            priority: 1,
        }
    }

    fn put(&mut self, body: Assignment) -> Result<(), AdministerError> {
        self.sign_on_policy = id_in(&body.sign_on_policy.id, "sign_on_policy.id")?;
        self.priority = body.priority;
        Ok(())
    }

    fn body(&self) -> Assignment {
        Assignment {
            sign_on_policy: self.sign_on_policy.into(),
            priority: self.priority,
            application: Some(self.application.into()),
        }
    }

    fn times(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        (None, None)
    }
}
