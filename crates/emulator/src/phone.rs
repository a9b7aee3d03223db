//! An emulated phone: one app with the real SDK, keys in software, and a folder for its memory.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use countersign_protocol::entropy::{Entropy, SystemEntropy, random};
use countersign_protocol::mobile_payload::Platform as RunsOn;
use countersign_protocol::secret::Secret;
use countersign_protocol::time::{Clock, SystemClock};
use countersign_sdk::key_store::SoftwareKeyStore;
use countersign_sdk::storage::FileStorage;
use countersign_sdk::transport::{CertificateError, ReqwestTransport};
use countersign_sdk::{App, Config, Countersign, Device, Error, Platform, Transport};

use crate::payload::{MANUFACTURER, MODEL};

/// What stands in for the keyring of a real phone.
const SEALING_KEY_FILE: &str = "sealing.key";

/// What an emulated phone is made of.
#[derive(Clone)]
pub struct PhoneConfig {
    /// What its owner calls it.
    pub name: String,
    /// Maker and model, as the SDK tells the platform.
    pub manufacturer: String,
    /// Model, as the SDK tells the platform.
    pub model: String,
    /// Where it keeps everything; made when missing. One folder is one phone.
    pub folder: PathBuf,
    /// The issuer that its app belongs to.
    pub issuer: String,
    /// Id of the app's application.
    pub application: String,
    /// Package name of its app.
    pub package: String,
    /// How it reaches the platform.
    pub transport: Arc<dyn Transport>,
    /// Its clock, which a test may set wrong.
    pub clock: Arc<dyn Clock>,
    /// Its randomness.
    pub entropy: Arc<dyn Entropy>,
}

impl PhoneConfig {
    /// A phone on the real network, with the real time, that also trusts the PEM certificates in
    /// `extra_roots`.
    pub fn new(
        name: &str,
        folder: &Path,
        issuer: &str,
        application: &str,
        extra_roots: &[u8],
    ) -> Result<Self, CertificateError> {
        Ok(Self {
            name: name.to_owned(),
            manufacturer: MANUFACTURER.to_owned(),
            model: MODEL.to_owned(),
            folder: folder.to_owned(),
            issuer: issuer.to_owned(),
            application: application.to_owned(),
            package: "org.countersign.emulator".to_owned(),
            transport: Arc::new(ReqwestTransport::new(extra_roots)?),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
        })
    }
}

/// Why an emulated phone does not start.
#[derive(Debug, thiserror::Error)]
pub enum PhoneError {
    /// Its folder cannot be used.
    #[error("the folder of the phone cannot be used: {0}")]
    Folder(#[from] io::Error),
    /// The SDK refuses.
    #[error(transparent)]
    Sdk(#[from] Error),
}

/// A phone with the app open.
pub struct Phone {
    config: PhoneConfig,
    sdk: Countersign,
}

impl Phone {
    /// Starts the app, as it was left when the folder is not new.
    pub async fn new(config: PhoneConfig) -> Result<Self, PhoneError> {
        let sdk = start(&config).await?;
        Ok(Self { config, sdk })
    }

    /// What its owner calls it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// The SDK inside the app.
    #[must_use]
    pub const fn sdk(&self) -> &Countersign {
        &self.sdk
    }

    /// Ends the app and starts it again: only what is in the folder is left.
    pub async fn restart(&mut self) -> Result<(), PhoneError> {
        self.sdk = start(&self.config).await?;
        Ok(())
    }

    /// Removes the app with all its data, and installs it again. The platform is not told.
    pub async fn wipe(&mut self) -> Result<(), PhoneError> {
        fs::remove_dir_all(&self.config.folder)?;
        self.restart().await
    }
}

async fn start(config: &PhoneConfig) -> Result<Countersign, PhoneError> {
    let key = sealing_key(&config.folder, config.entropy.as_ref())?;
    let keys = SoftwareKeyStore::open(&config.folder, &key, Arc::clone(&config.entropy));
    let storage = FileStorage::open(&config.folder, &key, Arc::clone(&config.entropy));
    let platform = Platform {
        transport: Arc::clone(&config.transport),
        key_store: Arc::new(keys.map_err(Error::from)?),
        storage: Arc::new(storage.map_err(Error::from)?),
        clock: Arc::clone(&config.clock),
        entropy: Arc::clone(&config.entropy),
    };
    let app = App {
        package: Some(config.package.clone()),
        version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        platform: RunsOn::Desktop,
    };
    let device = Device {
        manufacturer: Some(config.manufacturer.clone()),
        model: Some(config.model.clone()),
        screen_lock: Some(true),
        rooted: Some(false),
        ..Device::default()
    };
    let (issuer, application) = (config.issuer.clone(), config.application.clone());
    Ok(Countersign::open(Config { issuer, application, app, device }, platform).await?)
}

/// The key in the folder, or a new one put there for the owner's eyes only.
fn sealing_key(folder: &Path, entropy: &dyn Entropy) -> io::Result<Secret<[u8; 32]>> {
    fs::create_dir_all(folder)?;
    let path = folder.join(SEALING_KEY_FILE);
    match fs::read(&path) {
        Ok(bytes) => {
            let broken = |_| io::Error::new(ErrorKind::InvalidData, "the sealing key is broken");
            bytes.try_into().map(Secret::new).map_err(broken)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let key = random(entropy);
            let mut options = OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            options.open(&path)?.write_all(&key)?;
            Ok(Secret::new(key))
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use countersign_protocol::mobile_payload::{self, MobilePayload};
    use countersign_protocol::proof::Verified;

    use super::*;

    const ISSUER: &str = "http://127.0.0.1:9/e/as";

    async fn payload(phone: &Phone) -> Verified<MobilePayload> {
        let jws = phone.sdk().generate_mobile_payload().await.unwrap();
        mobile_payload::verify(&jws, ISSUER, SystemClock.now()).unwrap()
    }

    #[tokio::test]
    async fn a_phone_is_the_same_after_a_restart_and_another_after_a_wipe() {
        let folder = tempfile::tempdir().unwrap();
        let config = PhoneConfig::new("Ann's phone", folder.path(), ISSUER, "app-1", b"").unwrap();
        let mut phone = Phone::new(config.clone()).await.unwrap();
        assert_eq!(phone.name(), "Ann's phone");
        let first = payload(&phone).await;
        assert_eq!(first.body().dev.model.as_deref(), Some("Emulated phone"));
        phone.restart().await.unwrap();
        assert_eq!(payload(&phone).await.thumbprint(), first.thumbprint());
        drop(phone);
        let mut phone = Phone::new(config).await.unwrap();
        assert_eq!(payload(&phone).await.thumbprint(), first.thumbprint());
        phone.wipe().await.unwrap();
        assert_ne!(payload(&phone).await.thumbprint(), first.thumbprint());
    }
}
