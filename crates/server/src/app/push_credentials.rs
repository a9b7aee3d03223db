//! What an administrator gives an application to reach its phones, and what is told of how that fares.

use countersign_domain::{
    application::{Application, Mobile},
    audit::{Action, Event, Resource},
    environment::Environment,
    id::Id,
    invalid::Invalid,
    push_credentials::PushCredentials,
    push_health::PushHealth,
    sealed::Sealed,
};
use countersign_protocol::{mobile_payload::PushService, secret::Secret, time::Timestamp};
use countersign_push::{Credentials, CredentialsError};
use countersign_store::{
    StoreError, Tx, Versioned, Work, application, push_credentials, push_health,
};
use serde::{Deserialize, Serialize};

use super::{
    AdministerError, App, Call, Fault,
    authenticate_client::LoadApplication,
    configure::{Administered, Events},
};
use crate::keys::{KeyError, Place, Vault};

/// Why push credentials were not stored.
#[derive(Debug, thiserror::Error)]
pub enum PushCredentialsError {
    /// They break a rule of their service.
    #[error(transparent)]
    Invalid(#[from] CredentialsError),
    /// APNs knows an app by its bundle id.
    #[error("mobile.bundle_id must be set before credentials of APNs")]
    BundleIdRequired,
    /// Only phones are reached by push.
    #[error("the application is not a native one")]
    NotNative,
    /// There is no such native application, or it has no credentials of this service.
    #[error("the application is not a native one, or has no credentials of this service")]
    NotFound,
    /// It could not be decided.
    #[error(transparent)]
    Fault(Fault),
}

impl From<Fault> for PushCredentialsError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<StoreError> for PushCredentialsError {
    fn from(error: StoreError) -> Self {
        Self::Fault(error.into())
    }
}

impl From<KeyError> for PushCredentialsError {
    fn from(error: KeyError) -> Self {
        Self::Fault(error.into())
    }
}

/// Credentials as an administrator gives them, and as they are sealed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum NewPushCredentials {
    /// A signing key of Apple.
    Apns {
        /// Id of the key, ten characters.
        key_id: String,
        /// Id of the team, ten characters.
        team_id: String,
        /// The `.p8` file.
        #[serde(serialize_with = "countersign_protocol::secret::reveal")]
        private_key: Secret<String>,
    },
    /// A service account of Google.
    Fcm {
        /// The JSON file.
        #[serde(serialize_with = "countersign_protocol::secret::reveal")]
        service_account: Secret<String>,
    },
    /// An app of Huawei.
    Hms {
        /// Id of the app.
        client_id: String,
        /// Its secret.
        #[serde(serialize_with = "countersign_protocol::secret::reveal")]
        client_secret: Secret<String>,
    },
    /// A key for Web Push and `UnifiedPush` (VAPID, RFC 8292).
    WebPush {
        /// The P-256 scalar, base64url.
        #[serde(serialize_with = "countersign_protocol::secret::reveal")]
        private_key: Secret<String>,
        /// A `mailto:` or `https:` address of who runs the platform.
        subject: String,
    },
}

impl NewPushCredentials {
    /// The service that they are for.
    #[must_use]
    pub const fn service(&self) -> PushService {
        match self {
            Self::Apns { .. } => PushService::Apns,
            Self::Fcm { .. } => PushService::Fcm,
            Self::Hms { .. } => PushService::Hms,
            Self::WebPush { .. } => PushService::WebPush,
        }
    }

    /// As a gateway takes them. `topic` is the bundle id of the application.
    pub(super) fn with_topic(self, topic: &str) -> Credentials {
        match self {
            Self::Apns { key_id, team_id, private_key } => {
                Credentials::Apns { key_id, team_id, private_key, topic: topic.to_owned() }
            }
            Self::Fcm { service_account } => Credentials::Fcm { service_account },
            Self::Hms { client_id, client_secret } => Credentials::Hms { client_id, client_secret },
            Self::WebPush { private_key, subject } => Credentials::WebPush { private_key, subject },
        }
    }
}

const SECRET: &str = "push_credentials.secret";

const fn place(id: &Id<PushCredentials>) -> Place<'_> {
    Place { column: SECRET, row: id.as_bytes() }
}

/// Opens credentials.
pub(super) fn open(
    vault: &Vault,
    credentials: &PushCredentials,
) -> Result<NewPushCredentials, Fault> {
    let json = vault.open(place(&credentials.id), &credentials.secret)?;
    let opened = serde_json::from_slice(json.expose());
    opened.map_err(|_| Fault::broken("push credentials have another form"))
}

impl Administered for PushCredentials {
    const EVENTS: Events = Events {
        created: Action::PushCredentialsCreated,
        updated: Action::PushCredentialsUpdated,
        deleted: Action::PushCredentialsDeleted,
    };

    fn resource(&self) -> Resource {
        self.into()
    }

    fn event(&self, action: Action) -> Event {
        Event::succeeded(action).to(self.resource()).through(self.application)
    }

    fn validate(&self) -> Result<(), Invalid> {
        Ok(())
    }

    fn touch(&mut self, now: Timestamp) {
        self.updated_at = now;
    }

    async fn settle(&self, _old: Option<&Self>, tx: &mut Tx<'_>) -> Result<(), AdministerError> {
        let application = application::load(tx, self.environment, self.application).await?;
        application.map(drop).ok_or(AdministerError::NotFound)
    }
}

impl App {
    /// Checks credentials for an application, and seals them under an id. Nothing is stored.
    pub async fn seal_push_credentials(
        &self,
        (environment, application): (Id<Environment>, Id<Application>),
        id: Id<PushCredentials>,
        new: NewPushCredentials,
    ) -> Result<PushCredentials, PushCredentialsError> {
        let found = self.store.read(LoadApplication { environment, id: application }).await?;
        let found = found.ok_or(PushCredentialsError::NotFound)?;
        let mobile = found.mobile.as_ref().ok_or(PushCredentialsError::NotNative)?;
        let service = new.service();
        new.clone().with_topic(topic(service, mobile)?).validate()?;
        let secret = self.seal(&id, &new)?;
        let (created_at, updated_at) = (self.now(), self.now());
        Ok(PushCredentials {
            id,
            environment,
            application,
            service,
            secret,
            created_at,
            updated_at,
        })
    }

    fn seal(
        &self,
        id: &Id<PushCredentials>,
        new: &NewPushCredentials,
    ) -> Result<Sealed, PushCredentialsError> {
        let json = serde_json::to_vec(new).map_err(|_| Fault::broken("no JSON"))?;
        Ok(self.vault.seal(place(id), &json, self.entropy.as_ref())?)
    }

    /// Gives an application credentials of a push service, in place of those that it may have.
    pub async fn put_push_credentials(
        &self,
        environment: Id<Environment>,
        application: Id<Application>,
        new: NewPushCredentials,
    ) -> Result<PushCredentials, PushCredentialsError> {
        let call = self.call(environment, "");
        let (id, service) = (call.new_id(), new.service());
        let put = Put { call, application, new, id, service };
        let known = self.store.read(Find { application, service }).await?;
        let id = known.map_or(id, |known| known.id);
        let sealed = self.seal(&id, &put.new)?;
        self.store.write(Seal { put: Put { id, ..put }, sealed }).await
    }

    /// Takes the credentials of a push service from an application.
    pub async fn delete_push_credentials(
        &self,
        environment: Id<Environment>,
        application: Id<Application>,
        service: PushService,
    ) -> Result<(), PushCredentialsError> {
        let call = self.call(environment, "");
        self.store.write(Delete { call, application, service }).await
    }

    /// The credentials of an application.
    pub async fn list_push_credentials(
        &self,
        environment: Id<Environment>,
        application: Id<Application>,
    ) -> Result<Vec<PushCredentials>, Fault> {
        let all = self.store.read(List { application }).await?;
        let own = all.into_iter().map(Versioned::into_value);
        Ok(own.filter(|credentials| credentials.environment == environment).collect())
    }

    /// How pushes to an application fare.
    pub async fn push_health(
        &self,
        environment: Id<Environment>,
        application: Id<Application>,
    ) -> Result<PushHealth, Fault> {
        let known = self.store.read(ReadHealth { application }).await?;
        let known = known.filter(|health| health.environment == environment);
        Ok(known.unwrap_or_else(|| PushHealth::new(environment, application)))
    }

    /// Lets automatic unpairing of an application go on that a storm has stopped, and forgets its warnings.
    pub async fn resume_unpairing(
        &self,
        environment: Id<Environment>,
        application: Id<Application>,
    ) -> Result<PushHealth, Fault> {
        let call = self.call(environment, "");
        self.store.write(Resume { call, application }).await
    }
}

/// What APNs calls the app.
fn topic(service: PushService, mobile: &Mobile) -> Result<&str, PushCredentialsError> {
    match (service, &mobile.bundle_id) {
        (PushService::Apns, None) => Err(PushCredentialsError::BundleIdRequired),
        (_, topic) => Ok(topic.as_deref().unwrap_or_default()),
    }
}

struct Find {
    application: Id<Application>,
    service: PushService,
}

impl Work for Find {
    type Output = Option<PushCredentials>;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Self::Output, StoreError> {
        let found = push_credentials::find(tx, self.application, self.service).await?;
        Ok(found.map(Versioned::into_value))
    }
}

struct Put {
    call: Call,
    application: Id<Application>,
    new: NewPushCredentials,
    id: Id<PushCredentials>,
    service: PushService,
}

struct Seal {
    put: Put,
    sealed: Sealed,
}

impl Work for Seal {
    type Output = PushCredentials;
    type Error = PushCredentialsError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<PushCredentials, PushCredentialsError> {
        let Put { call, application, new, id, service } = &self.put;
        let found = application::load(tx, call.environment, *application).await?;
        let found = found.ok_or(PushCredentialsError::NotFound)?;
        let mobile = found.mobile.as_ref().ok_or(PushCredentialsError::NotNative)?;
        new.clone().with_topic(topic(*service, mobile)?).validate()?;
        let old = push_credentials::find(tx, *application, *service).await?;
        let credentials = PushCredentials {
            id: *id,
            environment: call.environment,
            application: *application,
            service: *service,
            secret: self.sealed.clone(),
            created_at: old.as_ref().map_or(call.now, |old| old.created_at),
            updated_at: call.now,
        };
        let action = match &old {
            // Somebody was faster, and what is sealed here would not open there.
            Some(old) if old.id != *id => return Err(StoreError::Conflict.into()),
            Some(old) => {
                push_credentials::swap(tx, old, &credentials).await?;
                Action::PushCredentialsUpdated
            }
            None => {
                push_credentials::insert(tx, &credentials).await?;
                Action::PushCredentialsCreated
            }
        };
        call.audit(tx, Event::succeeded(action).through(&*found)).await?;
        Ok(credentials)
    }
}

struct Delete {
    call: Call,
    application: Id<Application>,
    service: PushService,
}

impl Work for Delete {
    type Output = ();
    type Error = PushCredentialsError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), PushCredentialsError> {
        let old = push_credentials::find(tx, self.application, self.service).await?;
        let old = old.filter(|old| old.environment == self.call.environment);
        let old = old.ok_or(PushCredentialsError::NotFound)?;
        push_credentials::delete(tx, &old).await?;
        let event = Event::succeeded(Action::PushCredentialsDeleted).through(self.application);
        Ok(self.call.audit(tx, event).await?)
    }
}

struct List {
    application: Id<Application>,
}

impl Work for List {
    type Output = Vec<Versioned<PushCredentials>>;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Self::Output, StoreError> {
        push_credentials::list_of_application(tx, self.application).await
    }
}

struct ReadHealth {
    application: Id<Application>,
}

impl Work for ReadHealth {
    type Output = Option<PushHealth>;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Self::Output, StoreError> {
        Ok(push_health::load(tx, self.application).await?.map(Versioned::into_value))
    }
}

struct Resume {
    call: Call,
    application: Id<Application>,
}

impl Work for Resume {
    type Output = PushHealth;
    type Error = Fault;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<PushHealth, Fault> {
        let Self { call, application } = self;
        let old = push_health::load(tx, *application).await?;
        let fresh = PushHealth::new(call.environment, *application);
        let before = old.as_deref().cloned().unwrap_or(fresh);
        let resumed = before.resumed(call.now).acknowledged();
        push_health::put(tx, old.as_ref(), &resumed).await?;
        let event = Event::of(Action::PushHealthUpdated, Some("unpairing_resumed"));
        call.audit(tx, event.through(*application)).await?;
        Ok(resumed)
    }
}
