//! The audit log: what it says, that it cannot be changed unnoticed, and how it is read.

mod chain;
mod records;
mod retention;
mod search;

use countersign_domain::audit::Record;
use countersign_server::app::{AuditFinding, AuditReport, VerifyAudit};
use countersign_store::{StoreError, Tx, Value, Work};

use crate::world::World;

/// Longer than a request may take, with all margins.
const LONG_ENOUGH: i64 = 61;

/// A statement that no use case makes.
struct Statement(&'static str, Vec<Value<'static>>);

impl Work for Statement {
    type Output = u64;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<u64, StoreError> {
        tx.execute(self.0, &self.1).await
    }
}

impl World {
    /// Changes the database behind the back of the program.
    async fn tamper(&self, sql: &'static str, mut params: Vec<Value<'static>>) {
        params.insert(0, self.bank.environment.id.into());
        let changed = self.server.store().write(Statement(sql, params)).await.unwrap();
        assert_ne!(changed, 0, "{sql}");
    }

    async fn log(&self) -> Vec<Record> {
        self.server.list_audit(self.bank.environment.id, None, 1_000).await.unwrap()
    }

    /// Lets what there is become old enough, and seals it.
    async fn seal(&self) -> u64 {
        self.advance(LONG_ENOUGH);
        self.server.seal_audit(self.bank.environment.id).await.unwrap()
    }

    async fn verify(&self) -> AuditReport {
        self.verify_as(VerifyAudit::default()).await
    }

    async fn verify_as(&self, wanted: VerifyAudit) -> AuditReport {
        self.server.verify_audit(self.bank.environment.id, wanted).await.unwrap().unwrap()
    }

    async fn finding(&self) -> Option<AuditFinding> {
        self.verify().await.finding
    }

    /// Does something that makes one record.
    async fn do_something(&self) {
        let settings = countersign_domain::mfa_settings::MfaSettings::default();
        self.server.put_mfa_settings(self.bank.environment.id, settings).await.unwrap();
    }
}
