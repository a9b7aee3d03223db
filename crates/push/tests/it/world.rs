//! What all tests need: a clock that is put forward, certificates, credentials and pushes.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use countersign_protocol::entropy::SystemEntropy;
use countersign_protocol::mobile_payload::{PushAddress, PushEnvironment, PushService};
use countersign_protocol::push::{Hint, PushMessage};
use countersign_protocol::secret::Secret;
use countersign_protocol::time::{Clock, Timestamp};
use countersign_push::egress::Egress;
use countersign_push::{Credentials, Endpoints, Gateway, Gateways, Push, Settings, Style};
use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::json;
use url::Url;

pub const DEVICE_TOKEN: &str = "00fc13adff785122b4ad28809a3420982341241421348097878e577c991de8f0";
pub const TEAM: &str = "TEAM123456";
pub const TOPIC: &str = "com.example.bank";

/// A clock that stands until it is put forward.
pub struct StandingClock(AtomicI64);

impl StandingClock {
    pub fn new() -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(Timestamp::from_unix_seconds(1_767_603_600).micros())))
    }

    pub fn forward(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }
}

impl Clock for StandingClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// The certificate of all servers of these tests, for this machine.
pub struct Identity {
    pub certificate: Vec<u8>,
    pub pem: String,
    pub key: Vec<u8>,
}

pub static IDENTITY: LazyLock<Identity> = LazyLock::new(|| {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    Identity {
        certificate: made.cert.der().to_vec(),
        pem: made.cert.pem(),
        key: made.signing_key.serialize_der(),
    }
});

pub static APNS_KEY: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate().unwrap());
pub static GOOGLE_KEY: LazyLock<KeyPair> =
    LazyLock::new(|| KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap());

/// Settings under which every service is at `base`, and this machine may be called.
pub fn settings(base: &str) -> Settings {
    let url = |text: &str| Url::parse(text).unwrap();
    // APNs is HTTP/2 over TLS or nothing.
    let apns = if base.starts_with("https:") { base } else { "https://localhost" };
    Settings {
        endpoints: Endpoints {
            apns_production: url(apns),
            apns_sandbox: url(apns),
            fcm: url(base),
            fcm_token: None,
            hms: url(base),
            hms_token: url(&format!("{base}/token")),
        },
        roots: IDENTITY.pem.clone().into_bytes(),
        egress: Egress::new(false, "http://localhost"),
        connect_timeout: Duration::from_secs(5),
        request_timeout: Duration::from_secs(10),
        ..Settings::default()
    }
}

pub fn gateways(settings: Settings, clock: &Arc<StandingClock>) -> Gateways {
    Gateways::new(settings, Arc::clone(clock) as _, Arc::new(SystemEntropy)).unwrap()
}

pub fn gateway(
    settings: Settings,
    clock: &Arc<StandingClock>,
    credentials: &Credentials,
) -> Arc<dyn Gateway> {
    gateways(settings, clock).open("c", 1, credentials).unwrap()
}

pub fn apns_credentials() -> Credentials {
    Credentials::Apns {
        key_id: "KEY1234567".to_owned(),
        team_id: TEAM.to_owned(),
        private_key: Secret::new(APNS_KEY.serialize_pem()),
        topic: TOPIC.to_owned(),
    }
}

pub fn fcm_credentials(token_uri: &str) -> Credentials {
    let file = json!({
        "type": "service_account",
        "project_id": "bank-1",
        "private_key_id": "k1",
        "private_key": GOOGLE_KEY.serialize_pem(),
        "client_email": "push@bank-1.iam.gserviceaccount.com",
        "token_uri": token_uri,
    });
    Credentials::Fcm { service_account: Secret::new(file.to_string()) }
}

pub fn hms_credentials() -> Credentials {
    Credentials::Hms {
        client_id: "100001".to_owned(),
        client_secret: Secret::new("correct-horse".to_owned()),
    }
}

pub fn address(service: PushService, text: &str) -> PushAddress {
    PushAddress { service, address: text.to_owned(), environment: None, enabled: true }
}

pub fn apns_address() -> PushAddress {
    let environment = Some(PushEnvironment::Production);
    PushAddress { environment, ..address(PushService::Apns, DEVICE_TOKEN) }
}

/// A message that wakes the app without anybody seeing it.
pub fn silent_message() -> PushMessage {
    let nonce = "AAECAwQFBgcICQoLDA0ODw".to_owned().try_into().unwrap();
    PushMessage::new(Hint::Silent { id: "c-1".to_owned(), nonce })
}

pub const VISIBLE: Style<'static> =
    Style::Visible { title: "Sign-on request", body: "Tap to review.", category: "challenge" };

/// A push that lives for another minute.
pub fn push<'a>(
    address: &'a PushAddress,
    message: &'a PushMessage,
    style: Style<'a>,
    clock: &StandingClock,
) -> Push<'a> {
    let expires_at = clock.now().plus_seconds(60);
    Push { id: [0xab; 16], address, message, style, collapse: "device-1", expires_at }
}
