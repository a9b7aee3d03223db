//! The gateways in use, kept so that connections and tokens are used again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use countersign_protocol::entropy::Entropy;
use countersign_protocol::time::{Clock, Timestamp};

use crate::apns::{self, Apns};
use crate::credentials::{Credentials, CredentialsError};
use crate::fcm::{Fcm, ServiceAccount};
use crate::gateway::Gateway;
use crate::hms::{self, Hms};
use crate::settings::{Settings, SettingsError};
use crate::trust::Trust;
use crate::web_push::{Vapid, WebPush};

/// The gateways in use.
pub struct Gateways {
    settings: Settings,
    trust: Arc<Trust>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    kept: Mutex<HashMap<String, Kept>>,
}

struct Kept {
    version: i64,
    gateway: Arc<dyn Gateway>,
    used_at: Timestamp,
}

/// Why there is no gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GatewayError {
    /// The credentials break a rule.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The settings break a rule.
    #[error(transparent)]
    Settings(#[from] SettingsError),
}

impl Gateways {
    /// None yet.
    pub fn new(
        settings: Settings,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, SettingsError> {
        settings.validate()?;
        let trust = Arc::new(Trust::new(settings.clone())?);
        Ok(Self { settings, trust, clock, entropy, kept: Mutex::default() })
    }

    /// The gateway for credentials that were opened before, in this version or a newer one.
    pub fn find(&self, id: &str, version: i64) -> Option<Arc<dyn Gateway>> {
        let now = self.clock.now();
        self.with_kept(now, |kept| find(kept, id, version, now))
    }

    /// The gateway for credentials. Those of an older version are forgotten, with their connections.
    pub fn open(
        &self,
        id: &str,
        version: i64,
        credentials: &Credentials,
    ) -> Result<Arc<dyn Gateway>, GatewayError> {
        if let Some(gateway) = self.find(id, version) {
            return Ok(gateway);
        }
        let made = self.make(credentials)?;
        let now = self.clock.now();
        Ok(self.with_kept(now, |kept| {
            // Another caller may have been faster: then its tokens are the ones to use.
            if let Some(gateway) = find(kept, id, version, now) {
                return gateway;
            }
            if kept.len() >= self.settings.most_gateways && !kept.contains_key(id) {
                forget_idlest(kept);
            }
            let gateway = Arc::clone(&made);
            kept.insert(id.to_owned(), Kept { version, gateway, used_at: now });
            made
        }))
    }

    fn make(&self, credentials: &Credentials) -> Result<Arc<dyn Gateway>, GatewayError> {
        let (settings, trust, clock) = (&self.settings, &self.trust, Arc::clone(&self.clock));
        Ok(match credentials {
            Credentials::Apns { key_id, team_id, private_key, topic } => {
                let account = apns::Account::new(key_id, team_id, private_key, topic)?;
                Arc::new(Apns::new(account, settings, trust, clock)?)
            }
            Credentials::Fcm { service_account } => {
                let account = ServiceAccount::read(service_account)?;
                Arc::new(Fcm::new(account, settings, trust, clock))
            }
            Credentials::Hms { client_id, client_secret } => {
                let app = hms::App::new(client_id, client_secret)?;
                Arc::new(Hms::new(app, settings, trust, clock))
            }
            Credentials::WebPush { private_key, subject } => {
                let vapid = Vapid::new(private_key, subject)?;
                let entropy = Arc::clone(&self.entropy);
                Arc::new(WebPush::new(vapid, settings, trust, clock, entropy))
            }
        })
    }

    /// Forgets what is idle first. A gateway that is forgotten finishes what it has begun.
    fn with_kept<T>(
        &self,
        now: Timestamp,
        change: impl FnOnce(&mut HashMap<String, Kept>) -> T,
    ) -> T {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, kept| now.seconds_since(kept.used_at) < self.settings.idle_seconds);
        change(&mut kept)
    }
}

fn find(
    kept: &mut HashMap<String, Kept>,
    id: &str,
    version: i64,
    now: Timestamp,
) -> Option<Arc<dyn Gateway>> {
    // A caller may have read the credentials before they were changed. Going back to them would throw the new tokens away.
    let found = kept.get_mut(id).filter(|kept| kept.version >= version)?;
    found.used_at = now;
    Some(Arc::clone(&found.gateway))
}

fn forget_idlest(kept: &mut HashMap<String, Kept>) {
    let idlest = kept.iter().min_by_key(|(_, kept)| kept.used_at).map(|(id, _)| id.clone());
    if let Some(id) = idlest {
        kept.remove(&id);
    }
}
