//! Backups of the platform: written while it runs, restored into a database that holds nothing.

use std::path::Path;

use countersign_protocol::{secret::Secret, time::Clock};
use countersign_store::{
    Settings as StoreSettings, Store, StoreError, Tx, Work,
    backup::{self, BackupError, Report, Source},
    environment, migrate,
};

use crate::{
    app::{App, MAC},
    keys::{KeyError, Place, Vault},
};

/// Why a backup was not restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The backup or the database cannot be used.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// What is sealed in the backup does not open.
    #[error(
        "the secrets in the backup do not open: the key-encryption key is not the one of the platform that it was made of"
    )]
    Key(#[from] KeyError),
}

impl From<StoreError> for RestoreError {
    fn from(error: StoreError) -> Self {
        Self::Backup(error.into())
    }
}

impl App {
    /// Writes everything that is stored into a new file, without holding up those who write.
    pub async fn back_up(&self, to: &Path) -> Result<Report, BackupError> {
        backup::write(self.store(), to).await
    }
}

/// Restores a backup into a database that holds nothing yet. All of it or nothing, and nothing if its secrets do not open
/// under this key.
pub async fn restore(
    settings: &StoreSettings,
    key_encryption_key: &Secret<[u8; 32]>,
    clock: &dyn Clock,
    from: &Path,
) -> Result<Report, RestoreError> {
    let vault = Vault::new(key_encryption_key)?;
    let source = Source::open(from).await?;
    let report = source.report().clone();
    let store = Store::open(settings).await?;
    source.prepare(&store, clock.now()).await?;
    let restored = store.write(Restore { source, vault }).await;
    let migrated = match restored {
        Ok(()) => migrate::run(&store, clock.now()).await,
        Err(error) => {
            store.close().await;
            return Err(error);
        }
    };
    store.close().await;
    migrated.map_err(BackupError::from)?;
    Ok(report)
}

struct Restore {
    source: Source,
    vault: Vault,
}

impl Work for Restore {
    type Output = ();
    type Error = RestoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), RestoreError> {
        backup::load(tx, &self.source).await?;
        let Some(id) = environment::first(tx).await? else { return Ok(()) };
        let Some(mac) = environment::load_mac(tx, id).await? else { return Ok(()) };
        Ok(self.vault.open(Place { column: MAC, row: id.as_bytes() }, &mac).map(drop)?)
    }
}
