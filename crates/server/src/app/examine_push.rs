//! What an operator wants to know of the ways to phones: whether credentials can be used, and which pushes were in trouble.

use countersign_domain::{
    application::Application, environment::Environment, id::Id, push_credentials::PushCredentials,
    push_health::PushHealth,
};
use countersign_protocol::mobile_payload::PushService;
use countersign_store::{
    StoreError, Tx, Versioned, Work, application, environment, push_credentials, push_health,
};
use serde::{Deserialize, Serialize};

use super::{App, Fault, push_credentials::open};

/// The most that is looked at of each kind.
const MOST: u32 = 1_000;

/// What was found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PushDiagnosis {
    /// Credentials of applications.
    pub credentials: Vec<CredentialsFound>,
    /// How pushes fare, of applications of which something was noted.
    pub health: Vec<HealthFound>,
    /// Whether there are more than were looked at.
    pub more: bool,
}

/// The credentials of an application at a service.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CredentialsFound {
    /// The application, with its environment.
    pub application: String,
    /// The service.
    pub service: PushService,
    /// Why they cannot be used; none: as far as this machine can tell, they can.
    pub flaw: Option<String>,
}

/// How pushes to an application fare.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HealthFound {
    /// The application, with its environment.
    pub application: String,
    /// What was noted.
    pub health: PushHealth,
}

impl App {
    /// Opens and checks the push credentials of all applications, and reads how pushes fare. No service is called.
    pub async fn examine_push(&self) -> Result<PushDiagnosis, Fault> {
        let Read { credentials, health, more } = self.store.read(Examine).await?;
        let found = |(named, kept): (Named, Versioned<PushCredentials>)| CredentialsFound {
            flaw: self.flaw(&kept, named.topic.as_deref()),
            application: named.name,
            service: kept.service,
        };
        Ok(PushDiagnosis {
            credentials: credentials.into_iter().map(found).collect(),
            health: health
                .into_iter()
                .map(|(named, health)| HealthFound { application: named.name, health })
                .collect(),
            more,
        })
    }

    fn flaw(&self, credentials: &PushCredentials, topic: Option<&str>) -> Option<String> {
        let Ok(opened) = open(&self.vault, credentials) else {
            return Some("they do not open under the key-encryption key".to_owned());
        };
        let checked = opened.with_topic(topic.unwrap_or_default()).validate();
        checked.err().map(|error| error.to_string())
    }
}

/// An application, as people call it and as Apple does.
struct Named {
    name: String,
    topic: Option<String>,
}

struct Read {
    credentials: Vec<(Named, Versioned<PushCredentials>)>,
    health: Vec<(Named, PushHealth)>,
    more: bool,
}

struct Examine;

impl Work for Examine {
    type Output = Read;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Read, StoreError> {
        let kept = push_credentials::list(tx, MOST).await?;
        let noted = push_health::list(tx, MOST).await?;
        let more = [kept.len(), noted.len()].contains(&(MOST as usize));
        let mut credentials = Vec::with_capacity(kept.len());
        for kept in kept {
            let named = named(tx, kept.environment, kept.application).await?;
            credentials.push((named, kept));
        }
        let mut health = Vec::with_capacity(noted.len());
        for noted in noted {
            let named = named(tx, noted.environment, noted.application).await?;
            health.push((named, noted.into_value()));
        }
        Ok(Read { credentials, health, more })
    }
}

async fn named(
    tx: &mut Tx<'_>,
    tenant: Id<Environment>,
    id: Id<Application>,
) -> Result<Named, StoreError> {
    let environment = environment::load(tx, tenant).await?;
    let environment = environment.map_or_else(|| tenant.to_string(), |found| found.name.clone());
    let found = application::load(tx, tenant, id).await?;
    let name = found.as_ref().map_or_else(|| id.to_string(), |found| found.name.clone());
    let mobile = found.as_ref().and_then(|found| found.mobile.as_ref());
    let topic = mobile.and_then(|mobile| mobile.bundle_id.clone());
    Ok(Named { name: format!("{environment}, {name}"), topic })
}
