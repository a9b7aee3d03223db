//! MFA settings: read, set, and made the defaults again.

use countersign_domain::{
    audit::{Action, Event},
    environment::Environment,
    id::Id,
    mfa_settings::MfaSettings,
};
use countersign_store::{Tx, Work, environment, mfa_settings};

use super::{AdministerError, App, Call};

impl App {
    /// The MFA settings of an environment.
    pub async fn mfa_settings(
        &self,
        environment: Id<Environment>,
    ) -> Result<MfaSettings, AdministerError> {
        self.store.read(Get(environment)).await
    }

    /// Sets the MFA settings of an environment.
    pub async fn put_mfa_settings(
        &self,
        environment: Id<Environment>,
        settings: MfaSettings,
    ) -> Result<MfaSettings, AdministerError> {
        settings.validate()?;
        let call = self.call(environment, "");
        let settings = MfaSettings { updated_at: Some(call.now), ..settings };
        self.store.write(Put { call, settings: Some(settings.clone()) }).await?;
        Ok(settings)
    }

    /// Makes the MFA settings of an environment the defaults again.
    pub async fn reset_mfa_settings(
        &self,
        environment: Id<Environment>,
    ) -> Result<(), AdministerError> {
        let call = self.call(environment, "");
        self.store.write(Put { call, settings: None }).await
    }
}

struct Get(Id<Environment>);

impl Work for Get {
    type Output = MfaSettings;
    type Error = AdministerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<MfaSettings, AdministerError> {
        Ok(mfa_settings::load(tx, self.0).await?)
    }
}

struct Put {
    call: Call,
    settings: Option<MfaSettings>,
}

impl Work for Put {
    type Output = ();
    type Error = AdministerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), AdministerError> {
        let id = self.call.environment;
        let environment = environment::load(tx, id).await?.ok_or(AdministerError::NotFound)?;
        match &self.settings {
            Some(settings) => mfa_settings::put(tx, id, settings).await?,
            None => mfa_settings::reset(tx, id).await?,
        }
        let told = Event::succeeded(Action::MfaSettingsUpdated).to(&*environment);
        Ok(self.call.audit(tx, told).await?)
    }
}
