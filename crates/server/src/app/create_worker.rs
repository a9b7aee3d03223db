//! Makes the worker applications by which the management API is used first: before there is one, nobody can make another.

use countersign_domain::{
    application::{Application, GrantType, Kind, Oidc, TokenEndpointAuthMethod},
    id::Id,
    role::{Holder, Role, RoleAssignment, Scope},
};
use countersign_protocol::{jose::Algorithm, secret::Secret};

use super::{AdministerError, App, NewApplication};

/// A worker application with a role, and how it gets its tokens.
#[derive(Debug)]
pub struct CreatedWorker {
    /// The application. It lives in the environment of the administrators.
    pub application: Application,
    /// Its secret, which is shown now.
    pub secret: Secret<String>,
}

impl App {
    /// Makes a worker application among the administrators that has this role.
    ///
    /// # Errors
    /// `Invalid` if the name is taken or cannot be one.
    pub async fn create_worker(
        &self,
        name: &str,
        role: Role,
        scope: Scope,
    ) -> Result<CreatedWorker, AdministerError> {
        let new = NewApplication {
            name: name.to_owned(),
            kind: Kind::Worker,
            token_endpoint_auth_method: TokenEndpointAuthMethod::ClientSecretBasic,
            grant_types: vec![GrantType::ClientCredentials],
            redirect_uris: Vec::new(),
            id_token_algorithm: Algorithm::Es256,
            oidc: Oidc::default(),
            mobile: None,
        };
        let made = self.create_application(self.administrators().await?, new).await?;
        let application = made.application;
        let (id, created_at): (Id<RoleAssignment>, _) = (self.new_id(), self.now());
        let (environment, holder) = (application.environment, Holder::Application(application.id));
        self.create(RoleAssignment { id, environment, holder, role, scope, created_at }).await?;
        // A worker that authenticates by a secret has one.
        let secret = made.secret.ok_or(AdministerError::NotFound)?;
        Ok(CreatedWorker { application, secret })
    }
}
