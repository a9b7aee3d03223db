//! The secrets of applications: one is drawn when it is needed, read by administrators, and replaced by another while the one
//! before it still counts for a time.

use std::sync::Arc;

use countersign_domain::{
    application::{Application, PreviousSecret},
    audit::{Action, Event},
    environment::Environment,
    id::Id,
    invalid::{Invalid, Rule},
    role::Authority,
    sealed::Sealed,
};
use countersign_protocol::{
    encoding,
    entropy::{Entropy, random},
    secret::Secret,
    time::Timestamp,
};
use countersign_store::{Tx, Work, application};

use super::{AdministerError, App, Call};
use crate::keys::{KeyError, Place, Vault};

const SECRET: &str = "applications.secret";
const PREVIOUS: &str = "applications.previous_secret";

/// The secrets of an application that count, each of which proves it.
#[derive(Debug, Default)]
pub(super) struct Secrets {
    /// The present one.
    pub current: Option<Secret<Vec<u8>>>,
    /// The one before it, while it counts.
    pub previous: Option<Secret<Vec<u8>>>,
}

impl Secrets {
    /// Opens them.
    pub(super) fn open(
        vault: &Vault,
        application: &Application,
        now: Timestamp,
    ) -> Result<Self, KeyError> {
        let open = |column, sealed: &Sealed| {
            vault.open(Place { column, row: application.id.as_bytes() }, sealed)
        };
        let current = application.secret.as_ref().map(|sealed| open(SECRET, sealed)).transpose()?;
        let previous = application.previous_secret.as_ref().filter(|former| former.counts(now));
        let previous = previous.map(|former| open(PREVIOUS, &former.secret)).transpose()?;
        Ok(Self { current, previous })
    }

    /// Whether one of them is this.
    pub(super) fn include(&self, given: &Secret<String>) -> bool {
        let given = Secret::new(given.expose().as_bytes().to_vec());
        [&self.current, &self.previous].into_iter().flatten().any(|own| *own == given)
    }
}

/// Draws the secret of an application.
pub(super) fn draw(
    vault: &Vault,
    application: Id<Application>,
    entropy: &dyn Entropy,
) -> Result<(Secret<String>, Sealed), KeyError> {
    let secret = Secret::new(encoding::encode(random::<32>(entropy)));
    let place = Place { column: SECRET, row: application.as_bytes() };
    let sealed = vault.seal(place, secret.expose().as_bytes(), entropy)?;
    Ok((secret, sealed))
}

/// The secrets of an application, for administrators.
#[derive(Debug)]
pub struct ApplicationSecret {
    /// The present one.
    pub secret: Secret<String>,
    /// The one before it, and until when it counts.
    pub previous: Option<(Secret<String>, Timestamp)>,
}

impl App {
    /// A secret that an application takes if its way to prove itself needs one and it has none.
    pub fn spare_secret(&self, application: Id<Application>) -> Result<Sealed, AdministerError> {
        Ok(draw(&self.vault, application, self.entropy.as_ref())?.1)
    }

    /// The secrets of an application, for somebody who may do all that it may.
    pub async fn read_secret(
        &self,
        by: &Authority,
        environment: Id<Environment>,
        application: Id<Application>,
    ) -> Result<ApplicationSecret, AdministerError> {
        self.may_speak_for(by, application).await?;
        let call = self.call(environment, "");
        let application = self.store.write(Read { call, application }).await?;
        self.shown(&application)
    }

    /// Gives an application a new secret. The one that it had counts until then, if a time is given.
    pub async fn rotate_secret(
        self: &Arc<Self>,
        by: &Authority,
        (environment, application): (Id<Environment>, Id<Application>),
        previous_until: Option<Timestamp>,
    ) -> Result<ApplicationSecret, AdministerError> {
        self.may_speak_for(by, application).await?;
        let call = self.call(environment, "");
        if let Some(until) = previous_until {
            let seconds = until.seconds_since(call.now);
            if !(PreviousSecret::MIN_SECONDS..=PreviousSecret::MAX_SECONDS).contains(&seconds) {
                let form = "from 1 minute to 30 days from now";
                return Err(Invalid::new("previous.expires_at", Rule::Form { form }).into());
            }
        }
        let new = Some(self.spare_secret(application)?);
        let change = Change { app: Arc::clone(self), call, application, new, previous_until };
        self.shown(&self.store.write(change).await?)
    }

    /// Lets the secret before the present one count no longer.
    pub async fn forget_previous_secret(
        self: &Arc<Self>,
        by: &Authority,
        environment: Id<Environment>,
        application: Id<Application>,
    ) -> Result<(), AdministerError> {
        self.may_speak_for(by, application).await?;
        let (app, call) = (Arc::clone(self), self.call(environment, ""));
        let change = Change { app, call, application, new: None, previous_until: None };
        self.store.write(change).await.map(drop)
    }

    fn shown(&self, application: &Application) -> Result<ApplicationSecret, AdministerError> {
        let Secrets { current, previous } = Secrets::open(&self.vault, application, self.now())?;
        let text = |secret: Secret<Vec<u8>>| {
            Secret::new(String::from_utf8_lossy(secret.expose()).into_owned())
        };
        let secret = current.map(text).ok_or(AdministerError::NotFound)?;
        let until = application.previous_secret.as_ref().map(|former| former.expires_at);
        Ok(ApplicationSecret { secret, previous: previous.map(text).zip(until) })
    }
}

struct Read {
    call: Call,
    application: Id<Application>,
}

impl Work for Read {
    type Output = Application;
    type Error = AdministerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Application, AdministerError> {
        let found = application::load(tx, self.call.environment, self.application).await?;
        let found = found.filter(|found| found.secret.is_some());
        let found = found.ok_or(AdministerError::NotFound)?;
        self.call.audit(tx, Event::succeeded(Action::SecretRead).to(&*found)).await?;
        Ok(found.into_value())
    }
}

struct Change {
    app: Arc<App>,
    call: Call,
    application: Id<Application>,
    /// The new secret; none: it keeps the one that it has, and that alone.
    new: Option<Sealed>,
    previous_until: Option<Timestamp>,
}

impl Work for Change {
    type Output = Application;
    type Error = AdministerError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Application, AdministerError> {
        let old = application::load(tx, self.call.environment, self.application).await?;
        let old = old.ok_or(AdministerError::NotFound)?;
        if self.new.is_none() && old.previous_secret.is_none() {
            return Err(AdministerError::NotFound);
        }
        let previous_secret = match (&old.secret, self.previous_until) {
            (Some(secret), Some(expires_at)) => {
                Some(PreviousSecret { secret: self.moved(secret)?, expires_at })
            }
            (_, _) => None,
        };
        let secret = self.new.clone().or_else(|| old.secret.clone());
        let updated_at = self.call.now;
        let new = Application { secret, previous_secret, updated_at, ..(*old).clone() };
        application::swap(tx, &old, &new).await?;
        self.call.audit(tx, Event::succeeded(Action::SecretUpdated).to(&new)).await?;
        Ok(new)
    }
}

impl Change {
    /// A secret as it rests where the previous one does, since a ciphertext is bound to its place.
    fn moved(&self, secret: &Sealed) -> Result<Sealed, KeyError> {
        let (vault, row) = (&self.app.vault, self.application.as_bytes());
        let plain = vault.open(Place { column: SECRET, row }, secret)?;
        let place = Place { column: PREVIOUS, row };
        vault.seal(place, plain.expose(), self.app.entropy.as_ref())
    }
}
