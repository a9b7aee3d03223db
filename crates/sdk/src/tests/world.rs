//! A phone, a platform, and what a test does with them.

use std::sync::Arc;

use countersign_protocol::mobile_payload::Platform as RunsOn;
use countersign_protocol::otp;
use countersign_protocol::time::Clock;

use super::platform::{APPLICATION, Challenge, FakePlatform, ISSUER, Seeded, SetClock};
use crate::key_store::MemoryKeyStore;
use crate::storage::MemoryStorage;
use crate::{
    App, Config, Countersign, Device, Error, NotificationObject, PairingInfo, PairingObject,
    Platform, RemoteNotification,
};

pub struct World {
    pub platform: Arc<FakePlatform>,
    pub clock: Arc<SetClock>,
    pub keys: Arc<MemoryKeyStore>,
    pub system: Platform,
}

impl World {
    pub fn new() -> Self {
        let platform = Arc::new(FakePlatform::new());
        let clock = Arc::clone(&platform.phone_clock);
        let entropy = Arc::new(Seeded::new(2));
        let keys = Arc::new(MemoryKeyStore::new(Arc::clone(&entropy) as _));
        let system = Platform {
            transport: Arc::clone(&platform) as _,
            key_store: Arc::clone(&keys) as _,
            storage: Arc::new(MemoryStorage::default()),
            clock: Arc::clone(&clock) as _,
            entropy,
        };
        Self { platform, clock, keys, system }
    }

    /// Starts the app, and restarts it when called again.
    pub async fn open(&self) -> Countersign {
        Countersign::open(config(), self.system.clone()).await.unwrap()
    }

    /// Lets time pass on both sides.
    pub fn advance(&self, seconds: i64) {
        self.clock.advance(seconds);
        self.platform.clock.advance(seconds);
    }

    /// Signs `user` in and gives the offer.
    pub async fn offer(&self, sdk: &Countersign, user: &str) -> PairingObject {
        let payload = sdk.generate_mobile_payload().await.unwrap();
        let id_token = self.platform.sign_in(&payload, user);
        sdk.process_id_token(&id_token).await.unwrap().unwrap()
    }

    pub async fn pair(&self, sdk: &Countersign, user: &str) -> PairingInfo {
        self.offer(sdk, user).await.approve().await.unwrap()
    }

    /// The app, paired to Ann.
    pub async fn paired(&self) -> Countersign {
        let sdk = self.open().await;
        self.pair(&sdk, "ann").await;
        sdk
    }

    /// Asks Ann, whose app is `sdk`, and gives what the app shows of it.
    pub async fn notification(
        &self,
        sdk: &Countersign,
        challenge: Challenge,
    ) -> NotificationObject {
        let push = self.platform.ask(challenge);
        match sdk.process_remote_notification(&push).await.unwrap() {
            RemoteNotification::Notification(notification) => notification,
            other => panic!("{other:?}"),
        }
    }

    /// The passcode that the platform expects of `user` now.
    pub fn expected_passcode(&self, user: &str) -> String {
        let devices = crate::installation::lock(&self.platform.devices);
        let device = devices.iter().find(|device| device.user == user).unwrap();
        otp::generate(&device.secret, 30, self.platform.clock.now()).expose().to_owned()
    }

    pub fn device_count(&self) -> usize {
        crate::installation::lock(&self.platform.devices).len()
    }
}

pub fn config() -> Config {
    Config {
        issuer: ISSUER.to_owned(),
        application: APPLICATION.to_owned(),
        app: App {
            package: Some("org.bank.app".to_owned()),
            version: Some("5.1".to_owned()),
            platform: RunsOn::Android,
        },
        device: Device { model: Some("FP5".to_owned()), ..Device::default() },
    }
}

/// What an app would show of an error.
pub fn told<T: std::fmt::Debug>(result: Result<T, Error>) -> &'static str {
    result.unwrap_err().message_key()
}
