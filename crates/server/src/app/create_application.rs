//! Makes applications, with a secret where they keep one.

use countersign_domain::{
    application::{Application, GrantType, Kind, Mobile, Oidc, Pkce, TokenEndpointAuthMethod},
    environment::Environment,
    id::Id,
};
use countersign_protocol::{jose::Algorithm, secret::Secret};

use super::{AdministerError, App, application_secret::draw};

/// What an application is made of.
#[derive(Clone, Debug)]
pub struct NewApplication {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// How it proves itself.
    pub token_endpoint_auth_method: TokenEndpointAuthMethod,
    /// Which grants it may use.
    pub grant_types: Vec<GrantType>,
    /// Where its users may be sent back to.
    pub redirect_uris: Vec<String>,
    /// The algorithm of its ID tokens.
    pub id_token_algorithm: Algorithm,
    /// What else it may ask for, and how.
    pub oidc: Oidc,
    /// The mobile section.
    pub mobile: Option<Mobile>,
}

/// A new application, and its secret, which is shown now.
#[derive(Debug)]
pub struct CreatedApplication {
    /// The application.
    pub application: Application,
    /// Its secret, if it has one.
    pub secret: Option<Secret<String>>,
}

impl App {
    /// Makes an application.
    pub async fn create_application(
        &self,
        environment: Id<Environment>,
        new: NewApplication,
    ) -> Result<CreatedApplication, AdministerError> {
        let (id, now) = (self.new_id(), self.now());
        let draw = || draw(&self.vault, id, self.entropy.as_ref());
        let drawn = new.token_endpoint_auth_method.has_secret().then(draw).transpose()?;
        let (secret, sealed) = drawn.unzip();
        let application = Application {
            id,
            environment,
            name: new.name,
            kind: new.kind,
            enabled: true,
            token_endpoint_auth_method: new.token_endpoint_auth_method,
            secret: sealed,
            grant_types: new.grant_types,
            redirect_uris: new.redirect_uris,
            pkce: Pkce::Optional,
            id_token_algorithm: new.id_token_algorithm,
            oidc: new.oidc,
            mobile: new.mobile,
            previous_secret: None,
            description: None,
            told: None,
            created_at: now,
            updated_at: now,
        };
        let application = self.create(application).await?;
        Ok(CreatedApplication { application, secret })
    }
}
