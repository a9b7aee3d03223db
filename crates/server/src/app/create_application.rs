//! Makes applications, with a secret where they keep one.

use countersign_domain::{
    application::{Application, GrantType, Kind, Mobile, Oidc, Pkce, TokenEndpointAuthMethod},
    audit::{Action, Event},
    environment::Environment,
    id::Id,
};
use countersign_protocol::{encoding, entropy::random, jose::Algorithm, secret::Secret};
use countersign_store::{Tx, Work, application};

use super::{AdministerError, App, Call, administer::require_environment};
use crate::keys::{KeyError, Place, Vault};

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

const SECRET: &str = "applications.secret";

impl App {
    /// Makes an application.
    pub async fn create_application(
        &self,
        environment: Id<Environment>,
        new: NewApplication,
    ) -> Result<CreatedApplication, AdministerError> {
        let call = self.call(environment, "");
        let (id, now) = (call.new_id(), call.now);
        let new_secret = || Secret::new(encoding::encode(random::<32>(self.entropy.as_ref())));
        let secret = new.token_endpoint_auth_method.has_secret().then(new_secret);
        let seal = |secret: &Secret<String>| {
            let place = Place { column: SECRET, row: id.as_bytes() };
            self.vault.seal(place, secret.expose().as_bytes(), self.entropy.as_ref())
        };
        let application = Application {
            id,
            environment,
            name: new.name,
            kind: new.kind,
            enabled: true,
            token_endpoint_auth_method: new.token_endpoint_auth_method,
            secret: secret.as_ref().map(seal).transpose()?,
            grant_types: new.grant_types,
            redirect_uris: new.redirect_uris,
            pkce: Pkce::Optional,
            id_token_algorithm: new.id_token_algorithm,
            oidc: new.oidc,
            mobile: new.mobile,
            created_at: now,
            updated_at: now,
        };
        application.validate()?;
        let work = CreateApplication { call, application: application.clone() };
        self.store.write(work).await?;
        Ok(CreatedApplication { application, secret })
    }
}

/// The secret of an application, if it has one.
pub(super) fn open_secret(
    vault: &Vault,
    application: &Application,
) -> Result<Option<Secret<Vec<u8>>>, KeyError> {
    let place = Place { column: SECRET, row: application.id.as_bytes() };
    application.secret.as_ref().map(|sealed| vault.open(place, sealed)).transpose()
}

struct CreateApplication {
    call: Call,
    application: Application,
}

impl Work for CreateApplication {
    type Output = ();
    type Error = AdministerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), AdministerError> {
        require_environment(tx, self.application.environment).await?;
        application::insert(tx, &self.application).await?;
        let created = Event::succeeded(Action::ApplicationCreated).to(&self.application);
        Ok(self.call.audit(tx, created).await?)
    }
}
