//! `[limits]`: who may ask how often.

use std::net::IpAddr;

use countersign_server::{Budget, Limit, LimitSettings, Settings};
use ipnet::IpNet;
use serde::Deserialize;

use super::{Flaw, error::range};

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Limits {
    enabled: bool,
    sign_on: Group,
    flow: Group,
    token: Group,
    device: Group,
    code: Group,
    read: Group,
    user: Rate,
    installation: Rate,
    user_code_guesses: u32,
    pairing_key_guesses: u32,
    address_share: f64,
    trusted_addresses: Vec<String>,
    keys: usize,
    tenant_keys: usize,
}

/// The limits of one group of endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    address: Rate,
    application: Rate,
    environment: Rate,
}

/// A rate; zero is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rate {
    per_second: f64,
    burst: u32,
}

impl From<Limit> for Rate {
    fn from(Limit { per_second, burst }: Limit) -> Self {
        Self { per_second, burst }
    }
}

impl From<Budget> for Group {
    fn from(Budget { address, application, environment }: Budget) -> Self {
        let [address, application, environment] =
            [address, application, environment].map(Rate::from);
        Self { address, application, environment }
    }
}

impl Default for Limits {
    fn default() -> Self {
        let settings = LimitSettings::default();
        Self {
            enabled: true,
            sign_on: settings.sign_on.into(),
            flow: settings.flow.into(),
            token: settings.token.into(),
            device: settings.device.into(),
            code: settings.code.into(),
            read: settings.read.into(),
            user: settings.user.into(),
            installation: settings.installation.into(),
            user_code_guesses: Settings::new("").user_code_guesses,
            pairing_key_guesses: Settings::new("").pairing_key_guesses,
            address_share: settings.address_share,
            trusted_addresses: Vec::new(),
            keys: settings.keys,
            tenant_keys: settings.tenant_keys,
        }
    }
}

impl Rate {
    fn resolve(self, key: &'static str) -> Result<Limit, Flaw> {
        let per_second = range(("limits", key), self.per_second, 0.0, 1e9)?;
        Ok(Limit { per_second, burst: self.burst })
    }
}

impl Group {
    fn resolve(self, key: &'static str) -> Result<Budget, Flaw> {
        Ok(Budget {
            address: self.address.resolve(key)?,
            application: self.application.resolve(key)?,
            environment: self.environment.resolve(key)?,
        })
    }
}

impl Limits {
    pub fn apply(&self, settings: &mut Settings) -> Result<(), Flaw> {
        let at = |key| ("limits", key);
        let guesses = range(at("user_code_guesses"), self.user_code_guesses, 1, 1_000_000)?;
        settings.user_code_guesses = guesses;
        let guesses = range(at("pairing_key_guesses"), self.pairing_key_guesses, 1, 1_000_000)?;
        settings.pairing_key_guesses = guesses;
        let limits = LimitSettings {
            sign_on: self.sign_on.resolve("sign_on")?,
            flow: self.flow.resolve("flow")?,
            token: self.token.resolve("token")?,
            device: self.device.resolve("device")?,
            code: self.code.resolve("code")?,
            read: self.read.resolve("read")?,
            user: self.user.resolve("user")?,
            installation: self.installation.resolve("installation")?,
            address_share: range(at("address_share"), self.address_share, 0.001, 1.0)?,
            trusted_addresses: blocks(&self.trusted_addresses, at("trusted_addresses"))?,
            keys: range(at("keys"), self.keys, 64, 16_777_216)?,
            tenant_keys: range(at("tenant_keys"), self.tenant_keys, 16, 1_048_576)?,
        };
        settings.limits = if self.enabled { limits } else { LimitSettings::off() };
        Ok(())
    }
}

/// Addresses and blocks of them.
pub(super) fn blocks(
    texts: &[String],
    (section, key): (&'static str, &'static str),
) -> Result<Vec<IpNet>, Flaw> {
    let read = |text: &String| {
        let alone = || text.parse::<IpAddr>().map(IpNet::from);
        text.parse::<IpNet>().or_else(|_| alone()).map_err(|_| {
            let rule =
                format!("must be addresses or blocks as in 10.0.0.0/8, and {text:?} is none");
            Flaw::new(section, key, rule)
        })
    };
    texts.iter().map(read).collect()
}
