//! Changes the key-encryption key: everything that rests under the old one is encrypted anew.

use std::sync::Arc;

use countersign_domain::id::Id;
use countersign_protocol::{entropy::Entropy, secret::Secret};
use countersign_store::{Settings, Store, StoreError, Tx, Work, sealed};

use crate::keys::{KeyError, Place, Vault};

/// Rows that are encrypted anew in one transaction.
const PAGE: u32 = 100;

/// Why it stopped. What was done until then stays done: call again to go on.
#[derive(Debug, thiserror::Error)]
pub enum ResealError {
    /// The database does not answer, or another process has it open.
    #[error("the database cannot be changed")]
    Store(#[from] StoreError),
    /// A key-encryption key cannot be one.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A ciphertext opens under neither key.
    #[error("{column} of {row} opens neither under the old key nor under the new one")]
    Locked {
        /// Table and column.
        column: &'static str,
        /// The id of the row.
        row: Id<()>,
    },
}

/// Encrypts everything that rests under the key-encryption key `old` under `new`, and returns how many ciphertexts it changed.
///
/// No server may run meanwhile. What rests under the new key already is left alone, so that a call that broke off can be
/// repeated until it returns.
pub async fn reseal(
    settings: &Settings,
    (old, new): (&Secret<[u8; 32]>, &Secret<[u8; 32]>),
    entropy: Arc<dyn Entropy>,
) -> Result<u64, ResealError> {
    let vaults = Arc::new((Vault::new(old)?, Vault::new(new)?));
    let store = Store::open(settings).await?;
    let done = reseal_all(&store, &vaults, &entropy).await;
    store.close().await;
    done
}

async fn reseal_all(
    store: &Store,
    vaults: &Arc<(Vault, Vault)>,
    entropy: &Arc<dyn Entropy>,
) -> Result<u64, ResealError> {
    let mut changed = 0;
    for column in sealed::COLUMNS {
        let mut after = [0; 16];
        loop {
            let (vaults, entropy) = (Arc::clone(vaults), Arc::clone(entropy));
            let page = store.write(Reseal { vaults, entropy, column, after }).await?;
            changed += page.changed;
            let Some(last) = page.last else { break };
            after = last;
        }
    }
    Ok(changed)
}

struct Reseal {
    vaults: Arc<(Vault, Vault)>,
    entropy: Arc<dyn Entropy>,
    column: sealed::Column,
    after: [u8; 16],
}

struct Page {
    changed: u64,
    last: Option<[u8; 16]>,
}

impl Work for Reseal {
    type Output = Page;
    type Error = ResealError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Page, ResealError> {
        tx.needs_no_audit("the secrets stay the same: only how they rest changes");
        let (old, new) = &*self.vaults;
        let rows = sealed::list(tx, self.column, self.after, PAGE).await?;
        let mut changed = 0;
        for row in &rows {
            let Some(sealed) = &row.sealed else { continue };
            let place = Place { column: self.column.name, row: &row.id };
            let Ok(plain) = old.open(place, sealed) else {
                new.open(place, sealed).map_err(|_| ResealError::Locked {
                    column: self.column.name,
                    row: Id::from_bytes(row.id),
                })?;
                continue;
            };
            let anew = new.seal(place, plain.expose(), self.entropy.as_ref())?;
            sealed::swap(tx, self.column, row, &anew).await?;
            changed += 1;
        }
        Ok(Page { changed, last: rows.last().map(|row| row.id) })
    }
}
