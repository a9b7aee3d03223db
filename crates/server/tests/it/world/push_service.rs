//! The push services of a world: emulated ones, over real TLS, at the world's time.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use countersign_domain::{
    application::Application, environment::Environment, id::Id, mfa_policy::PushRules,
};
use countersign_emulator::push_service::{
    Host,
    apns::{ApnsServer, ApnsSettings},
    authority::Authority,
    credentials::{ApnsCredentials, FcmCredentials},
    fault::Faults,
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
use countersign_sdk::{NotificationObject, RemoteNotification};
use countersign_server::{
    PushSettings, Settings,
    app::{App, NewPushCredentials},
};
use countersign_store::Engine;
use url::Url;

use super::{
    SignOn, World,
    phone::Phone,
    time::{START, SetClock},
};

/// The bundle id of the bank's app.
pub const BUNDLE: &str = "org.bank.app";
const PROJECT: &str = "bank-project";

/// How long a test waits for what must come. Nothing that a test expects takes so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// A key of RSA takes long to make, so all worlds share it.
static FCM: LazyLock<FcmCredentials> =
    LazyLock::new(|| FcmCredentials::generate(PROJECT, &SystemEntropy).unwrap());

/// APNs and FCM, and the bank's credentials there.
pub struct PushServices {
    pub apns: ApnsServer,
    pub fcm: FcmServer,
    apns_credentials: ApnsCredentials,
    authority: Arc<Authority>,
}

impl PushServices {
    async fn start(clock: Arc<dyn Clock>) -> Self {
        let authority = Arc::new(Authority::new().unwrap());
        let host =
            Host { authority: Arc::clone(&authority), clock, entropy: Arc::new(SystemEntropy) };
        let apns_credentials = ApnsCredentials::generate(&SystemEntropy).unwrap();
        let team = apns_credentials.team(&[BUNDLE]);
        let apns = ApnsServer::start(ApnsSettings::new(vec![team]), host.clone()).await.unwrap();
        let fcm = FcmServer::start(FcmSettings::new(vec![FCM.account()]), host).await.unwrap();
        Self { apns, fcm, apns_credentials, authority }
    }

    fn settings(&self) -> PushSettings {
        let mut settings = PushSettings::default();
        let url = |text: &str| Url::parse(text).unwrap();
        settings.endpoints.apns_production = url(&self.apns.url());
        settings.endpoints.apns_sandbox = url(&self.apns.url());
        settings.endpoints.fcm = url(self.fcm.url());
        settings.endpoints.fcm_token = Some(url(&self.fcm.token_uri()));
        settings.roots = self.authority.pem().into_bytes();
        settings
    }

    async fn give(&self, server: &App, environment: Id<Environment>, native: Id<Application>) {
        let apns = NewPushCredentials::Apns {
            key_id: self.apns_credentials.key_id.clone(),
            team_id: self.apns_credentials.team_id.clone(),
            private_key: Secret::new(self.apns_credentials.p8()),
        };
        let account = FCM.json(&self.fcm.token_uri()).to_string();
        let fcm = NewPushCredentials::Fcm { service_account: Secret::new(account) };
        for credentials in [apns, fcm] {
            server.put_push_credentials(environment, native, credentials).await.unwrap();
        }
    }

    pub fn installations(&self, service: PushService) -> &Arc<Installations> {
        match service {
            PushService::Apns => self.apns.installations(),
            _ => self.fcm.installations(),
        }
    }

    pub fn faults(&self, service: PushService) -> &Arc<Faults> {
        match service {
            PushService::Apns => self.apns.faults(),
            _ => self.fcm.faults(),
        }
    }

    /// What an app gets, once it is there.
    pub async fn receive(&self, service: PushService, token: &str) -> Message {
        let message = self.installations(service).receive(token, PATIENCE).await;
        message.expect("a message of the push service")
    }

    /// Whether something waits for an app.
    pub fn has_message(&self, service: PushService, token: &str) -> bool {
        self.installations(service).mailbox(token).unwrap().next().is_some()
    }
}

/// A world with push services, in which ann's phone is paired and can be woken.
pub struct PushWorld {
    pub world: World,
    pub services: PushServices,
    pub phone: Phone,
    pub service: PushService,
    pub token: String,
}

impl PushWorld {
    pub async fn new(service: PushService) -> Self {
        Box::pin(Self::on(Engine::Sqlite, service)).await
    }

    pub async fn on(engine: Engine, service: PushService) -> Self {
        Box::pin(Self::with(engine, service, |_| {})).await
    }

    pub async fn with(
        engine: Engine,
        service: PushService,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let clock = Arc::new(SetClock::new(START));
        let services = PushServices::start(Arc::<SetClock>::clone(&clock)).await;
        let mut settings = super::settings(super::HTTPS);
        settings.push = services.settings();
        change(&mut settings);
        let world = Box::pin(World::at_time(settings, engine, clock)).await;
        services.give(&world.server, world.bank.environment.id, world.bank.native.id).await;
        let (phone, token) = paired(&world, &services, service, "ann").await;
        Self { world, services, phone, service, token }
    }

    /// Lets the policy ask by push, by these rules.
    pub async fn ask_by_push(&mut self, change: impl FnOnce(&mut PushRules)) {
        let Self { world: World { bank, server, .. }, .. } = self;
        bank.change_mfa_policy(server, |policy| {
            let rules = &mut policy.mobile.applications[0].push;
            rules.enabled = true;
            change(rules);
        })
        .await;
    }

    /// Another phone of somebody, paired and with a push address.
    pub async fn another(&self, username: &str) -> (Phone, String) {
        paired(&self.world, &self.services, self.service, username).await
    }

    /// A phone with a push address that nobody is paired to.
    pub async fn unpaired(&self) -> (Phone, String) {
        unpaired(&self.world, &self.services, self.service).await
    }

    /// The next message for ann's phone, once the server has sent what it has to send.
    pub async fn message(&self) -> Message {
        self.world.server.send_due().await.unwrap();
        self.services.receive(self.service, &self.token).await
    }

    /// Gives the next message to ann's app.
    pub async fn deliver(&self) -> RemoteNotification {
        let message = self.message().await;
        self.phone.sdk.process_remote_notification(&message.delivered).await.unwrap()
    }

    /// The question that the next message brings to ann.
    pub async fn question(&self) -> NotificationObject {
        match self.deliver().await {
            RemoteNotification::Notification(question) => question,
            other => panic!("not a question: {other:?}"),
        }
    }

    /// Signs ann in by password in a browser that is not her phone.
    pub async fn sign_in_elsewhere(&self) -> SignOn {
        let mut sign_on = self.world.app().begin().await;
        sign_on.password("ann", super::PASSWORD).await.must_be(200);
        sign_on
    }

    pub fn uninstall(&self) {
        self.services.installations(self.service).uninstall(&self.token).unwrap();
    }
}

/// The platform's name of an app at a service.
fn app_of(service: PushService) -> &'static str {
    match service {
        PushService::Apns => BUNDLE,
        _ => PROJECT,
    }
}

/// A phone with a push address that nobody is paired to.
async fn unpaired(world: &World, services: &PushServices, service: PushService) -> (Phone, String) {
    let token = services.installations(service).install(app_of(service)).unwrap();
    let phone = world.phone().await;
    let environment = (service == PushService::Apns).then_some(PushEnvironment::Production);
    phone.sdk.set_device_token(service, &token, environment).await.unwrap();
    (phone, token)
}

async fn paired(
    world: &World,
    services: &PushServices,
    service: PushService,
    username: &str,
) -> (Phone, String) {
    let (phone, token) = unpaired(world, services, service).await;
    world.pair(&phone, username).await;
    // The message that tests the way to a new device.
    services.receive(service, &token).await;
    // The passcode of the moment of the pairing never counts.
    world.advance(30);
    (phone, token)
}
