//! Which sign-on policies an application uses: the rules among the things around.

use countersign_domain::{
    application::Application,
    audit::{Action, Resource},
    environment::Environment,
    id::Id,
    invalid::{Invalid, Rule},
    sign_on_policy::{SignOnPolicy, SignOnPolicyAssignment},
};
use countersign_protocol::time::Timestamp;
use countersign_store::{Tx, application, sign_on_policy};

use super::{
    AdministerError, App,
    configure::{Administered, Events},
};

impl App {
    /// Lets an application use a sign-on policy. The one with the lowest priority is used.
    pub async fn assign_sign_on_policy(
        &self,
        environment: Id<Environment>,
        application: Id<Application>,
        sign_on_policy: Id<SignOnPolicy>,
        priority: u16,
    ) -> Result<SignOnPolicyAssignment, AdministerError> {
        let id = self.new_id();
        let assignment =
            SignOnPolicyAssignment { id, environment, application, sign_on_policy, priority };
        self.create(assignment).await
    }
}

impl Administered for SignOnPolicyAssignment {
    const EVENTS: Events = Events {
        created: Action::SignOnPolicyAssignmentCreated,
        updated: Action::SignOnPolicyAssignmentUpdated,
        deleted: Action::SignOnPolicyAssignmentDeleted,
    };

    fn resource(&self) -> Resource {
        self.into()
    }

    fn validate(&self) -> Result<(), Invalid> {
        Self::validate(self)
    }

    fn touch(&mut self, _: Timestamp) {}

    async fn settle(&self, _: Option<&Self>, tx: &mut Tx<'_>) -> Result<(), AdministerError> {
        let application = application::load(tx, self.environment, self.application).await?;
        application.ok_or_else(|| Invalid::new("application.id", Rule::Unknown))?;
        let policy = sign_on_policy::load(tx, self.environment, self.sign_on_policy).await?;
        policy.ok_or_else(|| Invalid::new("sign_on_policy.id", Rule::Unknown))?;
        Ok(())
    }
}
