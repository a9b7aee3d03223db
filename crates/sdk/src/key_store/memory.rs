//! Keys that are gone with the process.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use countersign_protocol::entropy::Entropy;
use countersign_protocol::jwk::EcPublicKey;
use countersign_protocol::secret::Secret;

use super::PrivateKeys;
use crate::installation::lock;
use crate::platform::{KeyStore, KeyStoreError, PublicKeys};

/// A key store in memory.
pub struct MemoryKeyStore {
    keys: Mutex<Option<PrivateKeys>>,
    entropy: Arc<dyn Entropy>,
}

impl MemoryKeyStore {
    /// An empty store whose keys will come from `entropy`.
    #[must_use]
    pub fn new(entropy: Arc<dyn Entropy>) -> Self {
        Self { keys: Mutex::new(None), entropy }
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

    async fn agree(&self, peer: &EcPublicKey) -> Result<Secret<[u8; 32]>, KeyStoreError> {
        Ok(self.with(|keys| keys.agreement.agree(peer)))
    }

    async fn wipe(&self) -> Result<(), KeyStoreError> {
        *lock(&self.keys) = None;
        Ok(())
    }
}
