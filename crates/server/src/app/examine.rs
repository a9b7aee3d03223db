//! What an operator wants to know of a platform that runs, or could.

use countersign_store::examine::{self, Examination};

use super::{App, Fault};

/// What was found.
#[derive(Clone, Debug)]
pub struct Diagnosis {
    /// What the database says of itself.
    pub database: Examination,
    /// How far the database's clock is ahead of this machine's, in milliseconds, if it has one of its own.
    pub skew_ms: Option<i64>,
    /// Whether what is sealed in the database opens under the key-encryption key.
    pub keys_open: bool,
}

impl App {
    /// Examines the database and the keys.
    pub async fn examine(&self) -> Result<Diagnosis, Fault> {
        let before = self.now();
        let database = examine::examine(&self.store).await?;
        let after = self.now();
        let skew_ms = database.time.map(|there| {
            // The answer is from some moment between the two.
            let here = before.micros().midpoint(after.micros());
            (there.micros() - here) / 1_000
        });
        let keys_open = self.ensure_administrators().await.is_ok();
        Ok(Diagnosis { database, skew_ms, keys_open })
    }
}
