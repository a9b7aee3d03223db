//! Blobs that are gone with the process.

use std::collections::BTreeMap;
use std::sync::Mutex;

use countersign_protocol::secret::Secret;

use crate::installation::lock;
use crate::platform::{Storage, StorageError};

/// A storage in memory.
#[derive(Debug, Default)]
pub struct MemoryStorage {
    blobs: Mutex<BTreeMap<String, Secret<Vec<u8>>>>,
}

impl Storage for MemoryStorage {
    fn load(&self, name: &str) -> Result<Option<Secret<Vec<u8>>>, StorageError> {
        Ok(lock(&self.blobs).get(name).cloned())
    }

    fn save(&self, name: &str, blob: &[u8]) -> Result<(), StorageError> {
        lock(&self.blobs).insert(name.to_owned(), Secret::new(blob.to_vec()));
        Ok(())
    }

    fn delete(&self, name: &str) -> Result<(), StorageError> {
        lock(&self.blobs).remove(name);
        Ok(())
    }
}
