//! APNs and FCM of tour and demo: emulated ones over real TLS, at their time, and the bank's credentials there.

use std::{sync::Arc, time::Duration};

use countersign_domain::{application::Application, environment::Environment, id::Id};
use countersign_emulator::push_service::{
    Host,
    apns::{ApnsServer, ApnsSettings},
    authority::Authority,
    credentials::{ApnsCredentials, FcmCredentials},
    fcm::{FcmServer, FcmSettings},
    installation::Installations,
    mailbox::Message,
};
use countersign_protocol::{
    entropy::SystemEntropy,
    mobile_payload::{PushEnvironment, PushService},
    secret::Secret,
    time::Clock,
};
use countersign_sdk::Countersign;
use countersign_server::{
    PushSettings,
    app::{App, NewPushCredentials},
};
use url::Url;

use crate::Broken;

/// The bank's project at FCM.
pub const PROJECT: &str = "bank-project";

/// How long a push may take to arrive. It takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// The push services, which end with the program.
pub struct PushServices {
    pub apns: ApnsServer,
    pub fcm: FcmServer,
    apns_credentials: ApnsCredentials,
    fcm_credentials: FcmCredentials,
    authority: Arc<Authority>,
    bundle_id: &'static str,
}

impl PushServices {
    /// Starts both, for the app with this bundle id.
    pub async fn start(clock: Arc<dyn Clock>, bundle_id: &'static str) -> Result<Self, Broken> {
        let authority = Arc::new(Authority::new()?);
        let (shared, entropy) = (Arc::clone(&authority), Arc::new(SystemEntropy));
        let host = Host { authority: shared, clock, entropy };
        let apns_credentials = ApnsCredentials::generate(&SystemEntropy)?;
        let fcm_credentials = FcmCredentials::generate(PROJECT, &SystemEntropy)?;
        let team = apns_credentials.team(&[bundle_id]);
        let apns = ApnsServer::start(ApnsSettings::new(vec![team]), host.clone()).await?;
        let account = fcm_credentials.account();
        let fcm = FcmServer::start(FcmSettings::new(vec![account]), host).await?;
        Ok(Self { apns, fcm, apns_credentials, fcm_credentials, authority, bundle_id })
    }

    /// What an operator writes under `[push]` to use them.
    pub fn settings(&self) -> Result<PushSettings, Broken> {
        let mut settings = PushSettings::default();
        settings.endpoints.apns_production = Url::parse(&self.apns.url())?;
        settings.endpoints.apns_sandbox = Url::parse(&self.apns.url())?;
        settings.endpoints.fcm = Url::parse(self.fcm.url())?;
        settings.endpoints.fcm_token = Some(Url::parse(&self.fcm.token_uri())?);
        settings.roots = self.authority.pem().into_bytes();
        Ok(settings)
    }

    /// Gives an application credentials of both, as its administrator does.
    pub async fn give(
        &self,
        app: &App,
        environment: Id<Environment>,
        application: Id<Application>,
    ) -> Result<(), Broken> {
        let apns = NewPushCredentials::Apns {
            key_id: self.apns_credentials.key_id.clone(),
            team_id: self.apns_credentials.team_id.clone(),
            private_key: Secret::new(self.apns_credentials.p8()),
        };
        let account = self.fcm_credentials.json(&self.fcm.token_uri()).to_string();
        let fcm = NewPushCredentials::Fcm { service_account: Secret::new(account) };
        for credentials in [apns, fcm] {
            app.put_push_credentials(environment, application, credentials).await?;
        }
        Ok(())
    }

    pub fn installations(&self, service: PushService) -> &Arc<Installations> {
        match service {
            PushService::Apns => self.apns.installations(),
            _ => self.fcm.installations(),
        }
    }

    /// Installs the bank's app somewhere, which gives a token.
    pub fn install(&self, service: PushService) -> Result<String, Broken> {
        let app = if service == PushService::Apns { self.bundle_id } else { PROJECT };
        Ok(self.installations(service).install(app)?)
    }

    /// Installs the bank's app on a phone, and tells its SDK the token.
    pub async fn connect(&self, sdk: &Countersign, service: PushService) -> Result<String, Broken> {
        let token = self.install(service)?;
        let world = (service == PushService::Apns).then_some(PushEnvironment::Production);
        sdk.set_device_token(service, &token, world).await?;
        Ok(token)
    }

    /// The next message for an app, once it has arrived.
    pub async fn receive(&self, service: PushService, token: &str) -> Result<Message, Broken> {
        let message = self.installations(service).receive(token, PATIENCE).await;
        message.ok_or_else(|| Broken::new(format!("no push has arrived by {service:?}")))
    }
}
