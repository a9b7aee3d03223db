//! Keys in a sealed file, for systems without hardware for them.

use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use countersign_protocol::encoding;
use countersign_protocol::entropy::Entropy;
use countersign_protocol::jwk::EcPublicKey;
use countersign_protocol::private_key::EcPrivateKey;
use countersign_protocol::secret::{self, Secret};
use serde::{Deserialize, Serialize};

use super::PrivateKeys;
use super::person::Person;
use crate::installation::lock;
use crate::platform::{KeyStore, KeyStoreError, PublicKeys};
use crate::sealed_file::SealedFolder;

const FILE: &str = "keys";

/// A key store in one file, sealed under a key that the app keeps.
pub struct SoftwareKeyStore {
    folder: SealedFolder,
    keys: Mutex<Option<PrivateKeys>>,
    entropy: Arc<dyn Entropy>,
    person: Person,
}

/// The stored form: the scalars, 32 bytes each, base64url.
#[derive(Serialize, Deserialize)]
#[serde(tag = "version")]
enum Stored {
    #[serde(rename = "1")]
    V1 {
        #[serde(serialize_with = "secret::reveal")]
        possession: Secret<String>,
        #[serde(serialize_with = "secret::reveal")]
        agreement: Secret<String>,
        #[serde(serialize_with = "secret::reveal")]
        verification: Secret<String>,
    },
}

impl SoftwareKeyStore {
    /// Uses the file in `folder`, sealed under `key`.
    pub fn open(
        folder: &Path,
        key: &Secret<[u8; 32]>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, KeyStoreError> {
        let folder = SealedFolder::open(folder, key, Arc::clone(&entropy)).map_err(failed)?;
        let keys =
            folder.read(FILE).map_err(failed)?.map(|text| read(text.expose())).transpose()?;
        Ok(Self { folder, keys: Mutex::new(keys), entropy, person: Person::default() })
    }

    /// From now on the person refuses to be verified, or does not. Nobody is asked in either case: the store stands in for the
    /// person too.
    pub fn let_person_refuse(&self, refuses: bool) {
        self.person.let_refuse(refuses);
    }

    fn with<T>(&self, use_keys: impl FnOnce(&PrivateKeys) -> T) -> Result<T, KeyStoreError> {
        let mut keys = lock(&self.keys);
        if keys.is_none() {
            let fresh = PrivateKeys::generate(self.entropy.as_ref());
            self.folder.write(FILE, write(&fresh)?.expose()).map_err(failed)?;
            *keys = Some(fresh);
        }
        keys.as_ref().map(use_keys).ok_or_else(|| failed("there are no keys"))
    }
}

fn read(text: &[u8]) -> Result<PrivateKeys, KeyStoreError> {
    let Stored::V1 { possession, agreement, verification } =
        serde_json::from_slice(text).map_err(failed)?;
    let key = |text: &Secret<String>| {
        let scalar = Secret::new(encoding::decode_array(text.expose()).map_err(failed)?);
        EcPrivateKey::from_scalar(scalar.expose()).map_err(failed)
    };
    Ok(PrivateKeys {
        possession: key(&possession)?,
        agreement: key(&agreement)?,
        verification: key(&verification)?,
    })
}

fn write(keys: &PrivateKeys) -> Result<Secret<Vec<u8>>, KeyStoreError> {
    let scalar = |key: &EcPrivateKey| encoding::encode(key.scalar().expose()).into();
    let stored = Stored::V1 {
        possession: scalar(&keys.possession),
        agreement: scalar(&keys.agreement),
        verification: scalar(&keys.verification),
    };
    serde_json::to_vec(&stored).map(Secret::new).map_err(failed)
}

#[expect(clippy::needless_pass_by_value, reason = "given to map_err")]
fn failed(error: impl ToString) -> KeyStoreError {
    KeyStoreError::Failed(error.to_string())
}

#[async_trait]
impl KeyStore for SoftwareKeyStore {
    async fn ensure(&self) -> Result<PublicKeys, KeyStoreError> {
        self.with(PrivateKeys::public)
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyStoreError> {
        self.with(|keys| keys.possession.sign(message).to_vec())
    }

    async fn sign_verified(&self, message: &[u8], _reason: &str) -> Result<Vec<u8>, KeyStoreError> {
        self.person.verify()?;
        self.with(|keys| keys.verification.sign(message).to_vec())
    }

    async fn agree(&self, peer: &EcPublicKey) -> Result<Secret<[u8; 32]>, KeyStoreError> {
        self.with(|keys| keys.agreement.agree(peer))
    }

    async fn wipe(&self) -> Result<(), KeyStoreError> {
        self.folder.delete(FILE).map_err(failed)?;
        *lock(&self.keys) = None;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::platform::Seeded;

    fn open(folder: &Path, seed: u64) -> SoftwareKeyStore {
        let entropy = Arc::new(Seeded::new(seed));
        SoftwareKeyStore::open(folder, &Secret::new([1; 32]), entropy).unwrap()
    }

    #[tokio::test]
    async fn keys_survive_a_restart_and_are_others_after_a_wipe() {
        let folder = tempfile::tempdir().unwrap();
        let first = open(folder.path(), 1).ensure().await.unwrap();
        let store = open(folder.path(), 2);
        assert_eq!(store.ensure().await.unwrap(), first);
        let signature = store.sign(b"message").await.unwrap();
        assert!(first.possession.verify(b"message", &signature));
        let verified = store.sign_verified(b"message", "reason").await.unwrap();
        assert!(first.verification.unwrap().verify(b"message", &verified));
        assert!(!first.possession.verify(b"message", &verified));
        store.wipe().await.unwrap();
        assert_ne!(store.ensure().await.unwrap(), first);
    }

    #[tokio::test]
    async fn nothing_is_signed_for_a_person_who_refuses() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path(), 1);
        store.let_person_refuse(true);
        let refused = store.sign_verified(b"message", "reason").await;
        assert_eq!(refused, Err(KeyStoreError::NotVerified));
        assert!(store.sign(b"message").await.is_ok());
        store.let_person_refuse(false);
        assert!(store.sign_verified(b"message", "reason").await.is_ok());
    }

    #[tokio::test]
    async fn keys_do_not_open_with_another_sealing_key() {
        let folder = tempfile::tempdir().unwrap();
        open(folder.path(), 1).ensure().await.unwrap();
        let entropy = Arc::new(Seeded::new(1));
        let opened = SoftwareKeyStore::open(folder.path(), &Secret::new([2; 32]), entropy);
        assert!(opened.is_err());
    }

    #[test]
    fn the_stored_form_does_not_change() {
        let text = write(&PrivateKeys::generate(&Seeded::new(1))).unwrap();
        insta::assert_snapshot!(String::from_utf8(text.expose().clone()).unwrap());
        assert_eq!(
            read(text.expose()).unwrap().public(),
            PrivateKeys::generate(&Seeded::new(1)).public()
        );
    }
}
