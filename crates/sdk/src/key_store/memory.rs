//! Keys that are gone with the process.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use countersign_protocol::entropy::Entropy;
use countersign_protocol::jwk::EcPublicKey;
use countersign_protocol::secret::Secret;

use super::PrivateKeys;
use super::person::Person;
use crate::installation::lock;
use crate::platform::{KeyStore, KeyStoreError, PublicKeys};

/// A key store in memory.
pub struct MemoryKeyStore {
    keys: Mutex<Option<PrivateKeys>>,
    entropy: Arc<dyn Entropy>,
    person: Person,
}

impl MemoryKeyStore {
    /// An empty store whose keys will come from `entropy`.
    #[must_use]
    pub fn new(entropy: Arc<dyn Entropy>) -> Self {
        Self { keys: Mutex::new(None), entropy, person: Person::default() }
    }

    /// From now on the person refuses to be verified, or does not. Nobody is asked in either case: the store stands in for the
    /// person too.
    pub fn let_person_refuse(&self, refuses: bool) {
        self.person.let_refuse(refuses);
    }

    fn with<T>(&self, use_keys: impl FnOnce(&PrivateKeys) -> T) -> T {
        let mut keys = lock(&self.keys);
        use_keys(keys.get_or_insert_with(|| PrivateKeys::generate(self.entropy.as_ref())))
    }
}

#[async_trait]
impl KeyStore for MemoryKeyStore {
    async fn ensure(&self) -> Result<PublicKeys, KeyStoreError> {
        Ok(self.with(PrivateKeys::public))
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyStoreError> {
        Ok(self.with(|keys| keys.possession.sign(message).to_vec()))
    }

    async fn sign_verified(&self, message: &[u8], _reason: &str) -> Result<Vec<u8>, KeyStoreError> {
        self.person.verify()?;
        Ok(self.with(|keys| keys.verification.sign(message).to_vec()))
    }

    async fn agree(&self, peer: &EcPublicKey) -> Result<Secret<[u8; 32]>, KeyStoreError> {
        Ok(self.with(|keys| keys.agreement.agree(peer)))
    }

    async fn wipe(&self) -> Result<(), KeyStoreError> {
        *lock(&self.keys) = None;
        Ok(())
    }
}
