//! Settings of the gateways.

use std::time::Duration;

use url::Url;

use crate::egress::Egress;
use crate::trust::Trust;

/// Settings of the gateways.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the services are.
    pub endpoints: Endpoints,
    /// Certificates of authorities to trust beside the system's, in PEM; may be empty.
    pub roots: Vec<u8>,
    /// Which addresses may be called that phones (Web Push) and administrators (a service account's token endpoint) name.
    pub egress: Egress,
    /// The ports beside 443 that Web Push endpoints may have.
    pub web_push_ports: Vec<u16>,
    /// How long opening a connection may take.
    pub connect_timeout: Duration,
    /// How long an answer may take.
    pub request_timeout: Duration,
    /// How many gateways are kept. Beyond that, the one that was idle longest is forgotten.
    pub most_gateways: usize,
    /// How long a gateway is kept that nobody uses.
    pub idle_seconds: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            endpoints: Endpoints::default(),
            roots: Vec::new(),
            egress: Egress::default(),
            web_push_ports: Vec::new(),
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(10),
            most_gateways: 1_000,
            idle_seconds: 24 * 3_600,
        }
    }
}

impl Settings {
    /// Checks all that can be known without calling a service.
    pub fn validate(&self) -> Result<(), SettingsError> {
        if self.most_gateways == 0 {
            return Err(SettingsError::MostGateways);
        }
        let Endpoints { apns_production, apns_sandbox, .. } = &self.endpoints;
        for (url, name) in [(apns_production, "apns_production"), (apns_sandbox, "apns_sandbox")] {
            let is_https = url.scheme() == "https" && url.host_str().is_some();
            is_https.then_some(()).ok_or(SettingsError::Https(name))?;
        }
        Trust::new(self.clone()).map(drop)
    }
}

/// Where the push services are: base addresses, so that an emulated one can stand in.
#[derive(Clone, Debug)]
pub struct Endpoints {
    /// APNs for released apps.
    pub apns_production: Url,
    /// APNs for development builds.
    pub apns_sandbox: Url,
    /// FCM.
    pub fcm: Url,
    /// Where access tokens for FCM come from; `None`: where the service account says.
    pub fcm_token: Option<Url>,
    /// Push Kit.
    pub hms: Url,
    /// Where access tokens for Push Kit come from.
    pub hms_token: Url,
}

impl Default for Endpoints {
    fn default() -> Self {
        Self {
            apns_production: address("https://api.push.apple.com"),
            apns_sandbox: address("https://api.sandbox.push.apple.com"),
            fcm: address("https://fcm.googleapis.com"),
            fcm_token: None,
            hms: address("https://push-api.cloud.huawei.com"),
            hms_token: address("https://oauth-login.cloud.huawei.com/oauth2/v3/token"),
        }
    }
}

#[expect(clippy::expect_used, reason = "these are written above")]
fn address(text: &str) -> Url {
    Url::parse(text).expect("an address")
}

/// Settings that break a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// The certificates cannot be read.
    #[error("roots must be certificates in PEM")]
    Roots,
    /// APNs speaks HTTP/2 over TLS only.
    #[error("{0} must be an https address with a host")]
    Https(&'static str),
    /// A gateway is needed to send anything.
    #[error("most_gateways must be at least 1")]
    MostGateways,
}
