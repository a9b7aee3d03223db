//! What the app tells the SDK once: which platform, which application, and what it says of itself.

use countersign_protocol::device_api::device_base;
use countersign_protocol::mobile_payload::{
    AppFacts, DeviceFacts, Platform as RunsOn, Unfit, check_facts,
};
use url::{Host, Url};

/// How an app is set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The issuer: `https://HOST/{environment}/as`. Plain `http` is accepted for a loopback host
    /// only.
    pub issuer: String,
    /// Id of the application (the OIDC client).
    pub application: String,
    /// The app.
    pub app: App,
    /// The phone.
    pub device: Device,
}

/// What an app says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    /// Package name or bundle id.
    pub package: Option<String>,
    /// Version of the app.
    pub version: Option<String>,
    /// What it runs on.
    pub platform: RunsOn,
}

/// What an app says of the phone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Device {
    /// Maker of the phone.
    pub manufacturer: Option<String>,
    /// Model of the phone.
    pub model: Option<String>,
    /// Version of the operating system.
    pub os_version: Option<String>,
    /// Language tag (BCP 47).
    pub locale: Option<String>,
    /// Whether a screen lock is set.
    pub screen_lock: Option<bool>,
    /// Whether the phone looks rooted.
    pub rooted: Option<bool>,
}

/// What is wrong with a [`Config`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Not an absolute URL, or one with user, query or fragment.
    #[error("issuer must be a plain absolute URL")]
    Issuer,
    /// Not `https`, and not `http` on a loopback host.
    #[error("issuer must use https")]
    Insecure,
    /// Does not end as issuers of the platform do.
    #[error("issuer must end in /as")]
    Path,
    /// A text is too long, empty or has forbidden characters.
    #[error(transparent)]
    Text(#[from] Unfit),
}

/// A [`Config`] that has been checked, in the words of the protocol.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub issuer: String,
    pub application: String,
    pub device_base: String,
    pub app: AppFacts,
    pub device: DeviceFacts,
}

impl Settings {
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        let app = AppFacts {
            id: config.application.clone(),
            package: config.app.package,
            version: config.app.version,
            platform: config.app.platform,
        };
        let device = DeviceFacts {
            manufacturer: config.device.manufacturer,
            model: config.device.model,
            os_version: config.device.os_version,
            locale: config.device.locale,
            sdk_version: env!("CARGO_PKG_VERSION").to_owned(),
            screen_lock: config.device.screen_lock,
            rooted: config.device.rooted,
        };
        check_facts(&app, &device, None)?;
        check_issuer(&config.issuer)?;
        let device_base = device_base(&config.issuer).ok_or(ConfigError::Path)?;
        let (issuer, application) = (config.issuer, config.application);
        Ok(Self { issuer, application, device_base, app, device })
    }
}

fn check_issuer(issuer: &str) -> Result<(), ConfigError> {
    let url = Url::parse(issuer).map_err(|_| ConfigError::Issuer)?;
    let is_plain = url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    // The text itself is compared with tokens, so it must be the one spelling of this URL.
    if !is_plain || url.as_str() != issuer {
        return Err(ConfigError::Issuer);
    }
    match (url.scheme(), url.host()) {
        ("https", Some(_)) => Ok(()),
        ("http", Some(host)) if is_loopback(&host) => Ok(()),
        _ => Err(ConfigError::Insecure),
    }
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(issuer: &str, expected: &Result<(), ConfigError>) {
        let app = App { package: None, version: None, platform: RunsOn::Android };
        let config = Config {
            issuer: issuer.to_owned(),
            application: "a".to_owned(),
            app,
            device: Device::default(),
        };
        assert_eq!(&Settings::new(config).map(|_| ()), expected, "{issuer}");
    }

    #[test]
    fn an_issuer_is_https_or_on_this_machine() {
        check("https://id.example/e/as", &Ok(()));
        check("https://id.example:8443/e/as", &Ok(()));
        check("http://localhost:8080/e/as", &Ok(()));
        check("http://127.0.0.1:8080/e/as", &Ok(()));
        check("http://[::1]:8080/e/as", &Ok(()));
        check("http://id.example/e/as", &Err(ConfigError::Insecure));
        check("http://localhost.evil.example/e/as", &Err(ConfigError::Insecure));
        check("ftp://localhost/e/as", &Err(ConfigError::Insecure));
    }

    #[test]
    fn an_issuer_is_a_plain_url_in_its_one_spelling() {
        for issuer in [
            "",
            "id.example/e/as",
            "https://ann@id.example/e/as",
            "https://id.example/e/as?x=1",
            "https://id.example/e/as#x",
            "https://ID.example/e/as",
            "https://id.example:443/e/as",
            "https://id.example/x/../e/as",
        ] {
            check(issuer, &Err(ConfigError::Issuer));
        }
        check("https://id.example/e/as/", &Err(ConfigError::Path));
    }
}
