//! Role assignments: nobody gives more than they have.

use countersign_domain::{
    application::Kind,
    audit::{Action, Resource},
    environment::Environment,
    id::Id,
    invalid::{Invalid, Rule},
    role::{Authority, Holder, Role, RoleAssignment, Scope},
};
use countersign_protocol::time::Timestamp;
use countersign_store::{
    StoreError, Tx, Versioned, Work, application, environment, role_assignment, user,
};

use super::{
    AdministerError, App, Fault,
    configure::{Administered, Events},
};

impl Administered for RoleAssignment {
    const EVENTS: Events = Events {
        created: Action::RoleAssignmentCreated,
        // None is ever changed: it is taken and given anew.
        updated: Action::RoleAssignmentCreated,
        deleted: Action::RoleAssignmentDeleted,
    };

    fn resource(&self) -> Resource {
        self.into()
    }

    fn validate(&self) -> Result<(), Invalid> {
        Ok(())
    }

    fn touch(&mut self, _now: Timestamp) {}

    async fn settle(&self, _old: Option<&Self>, tx: &mut Tx<'_>) -> Result<(), AdministerError> {
        match self.holder {
            Holder::Application(id) => {
                let holder = application::load(tx, self.environment, id).await?;
                if holder.ok_or(AdministerError::NotFound)?.kind != Kind::Worker {
                    let rule = Rule::Form { form: "that of a worker to have roles" };
                    return Err(Invalid::new("application.type", rule).into());
                }
            }
            Holder::User(id) => {
                user::load(tx, self.environment, id).await?.ok_or(AdministerError::NotFound)?;
            }
        }
        if let Scope::Environment(id) = self.scope {
            let unknown = Invalid::new("scope.id", Rule::Unknown);
            environment::load(tx, id).await?.ok_or(unknown)?;
        }
        let most = role_assignment::MAX_ASSIGNMENTS;
        if i64::try_from(role_assignment::of(tx, self.holder).await?.len()).is_ok_and(|n| n >= most)
        {
            let rule = Rule::Form { form: "one of at most 100 of a holder" };
            return Err(Invalid::new("role", rule).into());
        }
        Ok(())
    }
}

impl App {
    /// The roles of a holder, which decide at each call.
    pub async fn roles_of(&self, holder: Holder) -> Result<Vec<RoleAssignment>, Fault> {
        Ok(self.store.read(RolesOf { holder }).await?)
    }

    /// Gives somebody a role that the one who gives it has too.
    pub async fn give_role(
        &self,
        by: &Authority,
        environment: Id<Environment>,
        (holder, role, scope): (Holder, Role, Scope),
    ) -> Result<RoleAssignment, AdministerError> {
        if !by.includes(role, scope) {
            return Err(AdministerError::Forbidden { what: "do all that the role allows" });
        }
        let (id, created_at) = (self.new_id(), self.now());
        self.create(RoleAssignment { id, environment, holder, role, scope, created_at }).await
    }

    /// Takes a role that the one who takes it has too.
    pub async fn take_role(
        &self,
        by: &Authority,
        given: &RoleAssignment,
    ) -> Result<(), AdministerError> {
        if !by.includes(given.role, given.scope) {
            return Err(AdministerError::Forbidden { what: "do all that the role allows" });
        }
        self.delete(given.environment, given.id).await
    }
}

struct RolesOf {
    holder: Holder,
}

impl Work for RolesOf {
    type Output = Vec<RoleAssignment>;
    type Error = StoreError;
    const IS_BRIEF: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Self::Output, StoreError> {
        let roles = role_assignment::of(tx, self.holder).await?;
        Ok(roles.into_iter().map(Versioned::into_value).collect())
    }
}
