//! Deletes audit records that were kept long enough, whole seals at a time, so that the rest of the chain still verifies.

use countersign_domain::{
    audit::{Action, Event},
    audit_seal::{Base, Seal},
    environment::Environment,
    id::Id,
};
use countersign_store::{StoreError, Tx, Work, audit, audit_seal, environment};

use super::{App, Call, Fault, Realm};
use crate::keys::Purpose;

/// Seals that are looked at at a time.
const PAGE: u32 = 500;
/// The most pages of seals, and of deletions, in one run: the next run goes on.
const MAX_PAGES: u32 = 1_000;
/// Rows that one transaction deletes.
const BATCH: u32 = 1_000;

impl App {
    /// Deletes the sealed records of an environment that are older than the retention, and returns how many.
    pub async fn retain_audit(&self, environment: Id<Environment>) -> Result<u64, Fault> {
        let Some(realm) = self.realm(environment).await? else { return Ok(0) };
        let old = self.store.read(LoadBase { environment }).await?;
        if old.is_some_and(|base| !realm.owns_base(&base)) {
            return Err(Fault::broken(
                "the beginning of the audit log was not set by this platform",
            ));
        }
        let base = match self.last_outlived(&realm, old.as_ref()).await? {
            Some(seal) => Some(self.move_base(&realm, old, &seal).await?),
            None => old,
        };
        match base {
            Some(base) => self.delete_before(&base).await,
            None => Ok(0),
        }
    }

    /// The last seal all of whose records are older than the retention.
    async fn last_outlived(
        &self,
        realm: &Realm,
        base: Option<&Base>,
    ) -> Result<Option<Seal>, Fault> {
        let retention = i64::try_from(self.settings.audit_retention.as_secs()).unwrap_or(i64::MAX);
        let kept = Id::before(self.now().minus_seconds(retention));
        let mut after = base.map_or(0, |base| base.head.number);
        let mut last = None;
        for _ in 0..MAX_PAGES {
            let environment = realm.environment;
            let page = self.store.read(ListSeals { environment, after, limit: PAGE }).await?;
            let outlived: Vec<Seal> =
                page.into_iter().take_while(|seal| seal.head.through < kept).collect();
            let is_full = outlived.len() == PAGE as usize;
            last = outlived.into_iter().next_back().or(last);
            after = last.as_ref().map_or(after, |seal| seal.head.number);
            if !is_full {
                break;
            }
        }
        if last.as_ref().is_some_and(|seal| !realm.owns_seal(seal)) {
            return Err(Fault::broken("a seal of the audit log was not made by this platform"));
        }
        Ok(last)
    }

    async fn move_base(
        &self,
        realm: &Realm,
        old: Option<Base>,
        seal: &Seal,
    ) -> Result<Base, Fault> {
        let environment = realm.environment;
        let mut new = Base { environment, head: seal.head, mac: [0; 32] };
        new.mac = realm.keys.mac(Purpose::AuditBase, &new.bytes());
        let call = self.call(environment, "");
        self.store.write(MoveBase { call, old, new }).await?;
        Ok(new)
    }

    /// Records first: if this is interrupted, the seals are still there to begin again by.
    async fn delete_before(&self, base: &Base) -> Result<u64, Fault> {
        let mut records = 0;
        for _ in 0..MAX_PAGES {
            let deleted = self.store.write(DeleteRecords(*base)).await?;
            records += deleted;
            if deleted < u64::from(BATCH) {
                break;
            }
        }
        for _ in 0..MAX_PAGES {
            if self.store.write(DeleteSeals(*base)).await? < u64::from(BATCH) {
                break;
            }
        }
        Ok(records)
    }
}

struct LoadBase {
    environment: Id<Environment>,
}

impl Work for LoadBase {
    type Output = Option<Base>;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<Base>, StoreError> {
        audit_seal::load_base(tx, self.environment).await
    }
}

/// A page of seals, oldest first, behind the one of a number.
pub(super) struct ListSeals {
    pub environment: Id<Environment>,
    pub after: i64,
    pub limit: u32,
}

impl Work for ListSeals {
    type Output = Vec<Seal>;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<Seal>, StoreError> {
        audit_seal::list(tx, self.environment, self.after, self.limit).await
    }
}

struct MoveBase {
    call: Call,
    old: Option<Base>,
    new: Base,
}

impl Work for MoveBase {
    type Output = ();
    type Error = Fault;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        let environment = environment::load(tx, self.new.environment).await?;
        let environment = environment.ok_or_else(|| Fault::broken("an environment is gone"))?;
        if audit_seal::move_base(tx, self.old.as_ref(), &self.new).await? {
            let deleted = Event::of(Action::AuditRecordsDeleted, Some("retention"));
            self.call.audit(tx, deleted.to(&*environment)).await?;
        }
        Ok(())
    }
}

struct DeleteRecords(Base);

impl Work for DeleteRecords {
    type Output = u64;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<u64, StoreError> {
        let Base { environment, head, .. } = self.0;
        audit::delete_through(tx, environment, head.through, BATCH).await
    }
}

struct DeleteSeals(Base);

impl Work for DeleteSeals {
    type Output = u64;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<u64, StoreError> {
        let Base { environment, head, .. } = self.0;
        audit_seal::delete_through(tx, environment, head.number, BATCH).await
    }
}
