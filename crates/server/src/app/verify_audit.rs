//! Verifies the audit log: recomputes the hash chain of an environment and reports the first seal that does not match.

use countersign_domain::{
    audit::Record,
    audit_seal::{Base, Head, Seal},
    environment::Environment,
    id::Id,
};
use countersign_store::{
    StoreError, Tx, Work,
    audit::{self, ENDS, Stored},
};

use super::{App, Fault, Realm, retain_audit::ListSeals, seal_audit::beginning};

/// What is to be verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VerifyAudit {
    /// Begin behind this seal, which must be one of the platform's. None: from the beginning.
    pub from: Option<i64>,
    /// A number and hash that an earlier report has given. The chain must have them, or was cut since.
    pub expected: Option<(i64, [u8; 32])>,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditReport {
    /// Seals that match.
    pub seals: u64,
    /// Records under them.
    pub records: u64,
    /// Records that are too young to be sealed, or wait for it.
    pub unsealed: u64,
    /// Number of the last seal that matches.
    pub number: i64,
    /// Its hash. Kept elsewhere, it is what a later verification can hold the log against.
    pub hash: [u8; 32],
    /// The first thing that is wrong.
    pub finding: Option<AuditFinding>,
}

/// What is wrong with an audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditFinding {
    /// The MAC is wrong.
    #[error("seal {number} was not made by this platform, or was changed")]
    SealChanged { number: i64 },
    /// There is a gap.
    #[error("seal {number} is missing")]
    SealMissing { number: i64 },
    /// Some are missing, or some too many.
    #[error(
        "seal {number} covers {sealed} records, and there are {found}: some were removed or slipped in"
    )]
    RecordsDiffer { number: i64, sealed: i64, found: i64 },
    /// As many as there should be, but not those.
    #[error("a record under seal {number} was changed or replaced")]
    RecordChanged { number: i64 },
    /// The MAC of the base is wrong.
    #[error("the beginning of the log was not set by this platform")]
    BeginningChanged,
    /// The chain does not reach the seal that was seen before, or has another in its place.
    #[error(
        "the chain does not contain seal {number} as it was seen before: it was cut or made anew"
    )]
    SeenSealMissing { number: i64 },
}

/// Rows that are read at a time, so that memory is bounded whatever the size of the log.
const PAGE: u32 = 500;

impl App {
    /// Verifies the audit log of an environment; nothing if there is no such environment.
    ///
    /// It may run beside everything else, for as long as it takes.
    pub async fn verify_audit(
        &self,
        environment: Id<Environment>,
        wanted: VerifyAudit,
    ) -> Result<Option<AuditReport>, Fault> {
        let Some(realm) = self.realm(environment).await? else { return Ok(None) };
        // What was in the store before this began must be found.
        let seen = self.audit_heads.seen(environment).map(|head| (head.number, head.hash));
        loop {
            let (first, base) = self.store.read(Begin { environment }).await?;
            let mut check = Check::new(self, &realm, first);
            check.expected = [wanted.expected, seen].into_iter().flatten().collect();
            let finding = check.run(base.as_ref(), wanted.from).await?;
            let (_, now) = self.store.read(Begin { environment }).await?;
            // The retention has removed what was being read: begin again behind it. It moves once an hour, so this ends.
            if finding.is_some() && now.map(|now| now.head) != base.map(|base| base.head) {
                continue;
            }
            let unsealed = self.count_behind(environment, check.head).await?;
            let Check { head, seals, records, .. } = check;
            let (number, hash) = (head.number, head.hash);
            return Ok(Some(AuditReport { seals, records, unsealed, number, hash, finding }));
        }
    }

    async fn count_behind(&self, environment: Id<Environment>, head: Head) -> Result<u64, Fault> {
        let (mut after, mut count) = (head.through, 0);
        loop {
            let page = self.store.read(ListRecords { environment, after, through: ENDS.1 }).await?;
            count += u64::try_from(page.len()).unwrap_or(u64::MAX);
            match page.last() {
                Some((last, _)) if page.len() == PAGE as usize => after = *last,
                _ => return Ok(count),
            }
        }
    }
}

/// A verification, as far as it has come.
struct Check<'a> {
    app: &'a App,
    realm: &'a Realm,
    head: Head,
    seals: u64,
    records: u64,
    /// Seals that must be found.
    expected: Vec<(i64, [u8; 32])>,
}

impl<'a> Check<'a> {
    const fn new(app: &'a App, realm: &'a Realm, head: Head) -> Self {
        Self { app, realm, head, seals: 0, records: 0, expected: Vec::new() }
    }

    async fn run(
        &mut self,
        base: Option<&Base>,
        from: Option<i64>,
    ) -> Result<Option<AuditFinding>, Fault> {
        if base.is_some_and(|base| !self.realm.owns_base(base)) {
            return Ok(Some(AuditFinding::BeginningChanged));
        }
        if let Some(from) = from.filter(|from| *from > self.head.number) {
            let found = self.list(from - 1, 1).await?.pop();
            match found.filter(|seal| seal.head.number == from) {
                Some(seal) if !self.realm.owns_seal(&seal) => {
                    return Ok(Some(AuditFinding::SealChanged { number: from }));
                }
                Some(seal) => self.head = seal.head,
                None => return Ok(Some(AuditFinding::SealMissing { number: from })),
            }
        }
        // What the retention has removed cannot be found any more, and is vouched for by the base.
        self.expected.retain(|(number, _)| *number > self.head.number);
        loop {
            let page = self.list(self.head.number, PAGE).await?;
            for seal in &page {
                if let Some(finding) = self.check(seal).await? {
                    return Ok(Some(finding));
                }
            }
            if page.len() < PAGE as usize {
                let lost = self.expected.first();
                return Ok(
                    lost.map(|(number, _)| AuditFinding::SeenSealMissing { number: *number })
                );
            }
        }
    }

    async fn list(&self, after: i64, limit: u32) -> Result<Vec<Seal>, Fault> {
        let environment = self.realm.environment;
        Ok(self.app.store.read(ListSeals { environment, after, limit }).await?)
    }

    async fn check(&mut self, seal: &Seal) -> Result<Option<AuditFinding>, Fault> {
        let number = self.head.number + 1;
        if seal.head.number != number {
            return Ok(Some(AuditFinding::SealMissing { number }));
        }
        if !self.realm.owns_seal(seal) {
            return Ok(Some(AuditFinding::SealChanged { number }));
        }
        let (head, found) = self.recompute(seal).await?;
        if found != seal.records {
            let sealed = seal.records;
            return Ok(Some(AuditFinding::RecordsDiffer { number, sealed, found }));
        }
        if head.hash != seal.head.hash {
            return Ok(Some(AuditFinding::RecordChanged { number }));
        }
        if self.expected.iter().any(|(seen, hash)| *seen == number && *hash != seal.head.hash) {
            return Ok(Some(AuditFinding::SeenSealMissing { number }));
        }
        self.expected.retain(|(seen, _)| *seen != number);
        self.head = seal.head;
        self.seals += 1;
        self.records += u64::try_from(found).unwrap_or_default();
        Ok(None)
    }

    /// The head that the records under a seal give, and how many there are.
    async fn recompute(&self, seal: &Seal) -> Result<(Head, i64), Fault> {
        let (environment, through) = (self.realm.environment, seal.head.through);
        let (mut head, mut found) = (self.head, 0);
        loop {
            let after = head.through;
            let page = self.app.store.read(ListRecords { environment, after, through }).await?;
            head = page.iter().fold(head, |head, (id, data)| head.then(*id, data));
            found += i64::try_from(page.len()).unwrap_or(i64::MAX);
            if page.len() < PAGE as usize {
                return Ok((head, found));
            }
        }
    }
}

struct Begin {
    environment: Id<Environment>,
}

impl Work for Begin {
    type Output = (Head, Option<Base>);
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Self::Output, StoreError> {
        beginning(tx, self.environment).await
    }
}

struct ListRecords {
    environment: Id<Environment>,
    after: Id<Record>,
    through: Id<Record>,
}

impl Work for ListRecords {
    type Output = Vec<Stored>;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<Stored>, StoreError> {
        let Self { environment, after, through } = *self;
        audit::list(tx, environment, (after, through), PAGE).await
    }
}
