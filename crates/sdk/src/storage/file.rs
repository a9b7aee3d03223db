//! Blobs in sealed files, one each.

use std::path::Path;
use std::sync::Arc;

use countersign_protocol::entropy::Entropy;
use countersign_protocol::secret::Secret;

use crate::platform::{Storage, StorageError};
use crate::sealed_file::SealedFolder;

/// A storage in one folder, sealed under a key that the app keeps.
pub struct FileStorage {
    folder: SealedFolder,
}

impl FileStorage {
    /// Uses `folder`, which is made when it is missing. The files are sealed under `key`.
    pub fn open(
        folder: &Path,
        key: &Secret<[u8; 32]>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, StorageError> {
        SealedFolder::open(folder, key, entropy).map(|folder| Self { folder }).map_err(failed)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "given to map_err")]
fn failed(error: std::io::Error) -> StorageError {
    StorageError(error.to_string())
}

impl Storage for FileStorage {
    fn load(&self, name: &str) -> Result<Option<Secret<Vec<u8>>>, StorageError> {
        self.folder.read(name).map_err(failed)
    }

    fn save(&self, name: &str, blob: &[u8]) -> Result<(), StorageError> {
        self.folder.write(name, blob).map_err(failed)
    }

    fn delete(&self, name: &str) -> Result<(), StorageError> {
        self.folder.delete(name).map_err(failed)
    }
}
