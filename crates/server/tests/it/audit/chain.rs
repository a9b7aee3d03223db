//! A record or a seal that was changed, removed or slipped in behind the back of the program is found.

use countersign_domain::{
    audit_seal::{Head, Seal},
    id::Id,
};
use countersign_protocol::entropy::SystemEntropy;
use countersign_server::app::{AuditFinding, VerifyAudit};
use countersign_store::{
    StoreError, Tx, Work,
    audit::{self, ENDS, Stored},
    audit_seal,
};
use proptest::{collection::vec, prelude::*, test_runner::TestRunner};

use crate::world::{START, World};

on_both_engines!(
    an_untouched_log_verifies_from_any_seal_on,
    a_record_is_sealed_once_no_request_can_still_commit_an_older_one,
    nodes_that_seal_at_once_make_one_chain,
    a_changed_byte_is_found,
    a_removed_record_is_found,
    a_removed_newest_record_is_found,
    a_record_that_was_slipped_in_is_found,
    a_record_that_was_moved_in_time_is_found,
    a_removed_seal_is_found,
    a_changed_seal_is_found,
    a_chain_that_was_made_anew_without_the_key_is_found,
    a_log_whose_end_was_cut_off_is_found_by_who_has_seen_the_end,
    a_log_whose_end_was_cut_off_is_not_continued,
);

async fn an_untouched_log_verifies_from_any_seal_on(w: &mut World) {
    let empty = w.verify().await;
    assert_eq!((empty.seals, empty.records, empty.number, empty.finding), (0, 0, 0, None));
    let records = w.log().await.len() as u64;
    assert_eq!(empty.unsealed, records);
    assert_eq!(w.seal().await, records);
    let report = w.verify().await;
    assert_eq!((report.seals, report.records), (records.div_ceil(4), records));
    assert_eq!((report.unsealed, report.finding), (0, None));
    let expected = Some((report.number, report.hash));
    assert_eq!(w.verify_as(VerifyAudit { expected, from: None }).await, report);
    for from in 1..=report.number {
        let rest = w.verify_as(VerifyAudit { from: Some(from), expected: None }).await;
        assert_eq!(rest.seals + u64::try_from(from).unwrap(), report.seals);
        assert_eq!((rest.hash, rest.finding), (report.hash, None));
    }
    let beyond = VerifyAudit { from: Some(report.number + 1), expected: None };
    let missing = AuditFinding::SealMissing { number: report.number + 1 };
    assert_eq!(w.verify_as(beyond).await.finding, Some(missing));
}

async fn a_record_is_sealed_once_no_request_can_still_commit_an_older_one(w: &mut World) {
    let environment = w.bank.environment.id;
    w.seal().await;
    w.do_something().await;
    w.advance(60);
    assert_eq!(w.server.seal_audit(environment).await.unwrap(), 0);
    assert_eq!(w.verify().await.unsealed, 1);
    w.advance(1);
    assert_eq!(w.server.seal_audit(environment).await.unwrap(), 1);
    assert_eq!(w.verify().await.unsealed, 0);
}

async fn nodes_that_seal_at_once_make_one_chain(w: &mut World) {
    let environment = w.bank.environment.id;
    let records = w.log().await.len() as u64;
    w.advance(61);
    let seal = || w.server.seal_audit(environment);
    let (a, b, c) = tokio::join!(seal(), seal(), seal());
    let rest = seal().await.unwrap();
    assert_eq!(a.unwrap() + b.unwrap() + c.unwrap() + rest, records);
    let report = w.verify().await;
    assert_eq!((report.records, report.finding), (records, None));
}

/// The record at this place of a log that is sealed.
async fn sealed(w: &World, place: usize) -> Id<countersign_domain::audit::Record> {
    w.seal().await;
    let log = w.log().await;
    assert!(log.len() > 8);
    log[place].id
}

async fn a_changed_byte_is_found(w: &mut World) {
    let id = sealed(w, 5).await;
    let sql = "UPDATE audit_records SET data = REPLACE(data, 'true', 'True') WHERE environment_id = $1 AND id = $2";
    w.tamper(sql, vec![id.into()]).await;
    assert_eq!(w.finding().await, Some(AuditFinding::RecordChanged { number: 2 }));
}

async fn a_removed_record_is_found(w: &mut World) {
    let id = sealed(w, 1).await;
    let sql = "DELETE FROM audit_records WHERE environment_id = $1 AND id = $2";
    w.tamper(sql, vec![id.into()]).await;
    let finding = AuditFinding::RecordsDiffer { number: 1, sealed: 4, found: 3 };
    assert_eq!(w.finding().await, Some(finding));
}

async fn a_removed_newest_record_is_found(w: &mut World) {
    w.seal().await;
    w.do_something().await;
    w.seal().await;
    let number = w.verify().await.number;
    let id = w.log().await.pop().unwrap().id;
    let sql = "DELETE FROM audit_records WHERE environment_id = $1 AND id = $2";
    w.tamper(sql, vec![id.into()]).await;
    let finding = AuditFinding::RecordsDiffer { number, sealed: 1, found: 0 };
    assert_eq!(w.finding().await, Some(finding));
}

async fn a_record_that_was_slipped_in_is_found(w: &mut World) {
    sealed(w, 0).await;
    let id: Id<Stored> = Id::new(START.minus_seconds(3_600), &SystemEntropy);
    let sql = "INSERT INTO audit_records (environment_id, id, data) VALUES ($1, $2, $3)";
    w.tamper(sql, vec![id.into(), "{}".into()]).await;
    let finding = AuditFinding::RecordsDiffer { number: 1, sealed: 4, found: 5 };
    assert_eq!(w.finding().await, Some(finding));
}

async fn a_record_that_was_moved_in_time_is_found(w: &mut World) {
    let id = sealed(w, 2).await;
    let earlier: Id<Stored> = Id::new(START.minus_seconds(3_600), &SystemEntropy);
    let sql = "UPDATE audit_records SET id = $3 WHERE environment_id = $1 AND id = $2";
    w.tamper(sql, vec![id.into(), earlier.into()]).await;
    assert_eq!(w.finding().await, Some(AuditFinding::RecordChanged { number: 1 }));
}

async fn a_removed_seal_is_found(w: &mut World) {
    sealed(w, 0).await;
    let sql = "DELETE FROM audit_seals WHERE environment_id = $1 AND number = $2";
    w.tamper(sql, vec![2_i64.into()]).await;
    assert_eq!(w.finding().await, Some(AuditFinding::SealMissing { number: 2 }));
    w.tamper(sql, vec![1_i64.into()]).await;
    assert_eq!(w.finding().await, Some(AuditFinding::SealMissing { number: 1 }));
}

async fn a_changed_seal_is_found(w: &mut World) {
    sealed(w, 0).await;
    let sql = "UPDATE audit_seals SET sealed_at = sealed_at + 1 WHERE environment_id = $1 AND number = $2";
    w.tamper(sql, vec![2_i64.into()]).await;
    let report = w.verify().await;
    assert_eq!(report.finding, Some(AuditFinding::SealChanged { number: 2 }));
    // What comes before it is good.
    assert_eq!((report.number, report.seals, report.records), (1, 1, 4));
    // Nor can one begin behind it.
    let behind = VerifyAudit { from: Some(2), expected: None };
    assert_eq!(w.verify_as(behind).await.finding, Some(AuditFinding::SealChanged { number: 2 }));
}

/// Forges the records and a chain over them, as whoever can write to the database can.
struct Forge {
    environment: Id<countersign_domain::environment::Environment>,
}

impl Work for Forge {
    type Output = ();
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let environment = self.environment;
        let records = audit::list(tx, environment, ENDS, 1_000).await?;
        audit_seal::delete_through(tx, environment, i64::MAX, 1_000).await?;
        let mut seal = Seal::over(environment, Head::first(environment), &records, START);
        seal.mac = seal.head.hash;
        assert!(audit_seal::append(tx, &seal).await?);
        Ok(())
    }
}

async fn a_chain_that_was_made_anew_without_the_key_is_found(w: &mut World) {
    let id = sealed(w, 5).await;
    let environment = w.bank.environment.id;
    let sql = "DELETE FROM audit_records WHERE environment_id = $1 AND id = $2";
    w.tamper(sql, vec![id.into()]).await;
    w.server.store().write(Forge { environment }).await.unwrap();
    assert_eq!(w.finding().await, Some(AuditFinding::SealChanged { number: 1 }));
}

/// Removes the newest seal with its records, after which the rest is a good chain.
async fn cut(w: &World) -> AuditFinding {
    w.seal().await;
    w.do_something().await;
    w.seal().await;
    let number = w.verify().await.number;
    let id = w.log().await.pop().unwrap().id;
    let sql = "DELETE FROM audit_records WHERE environment_id = $1 AND id = $2";
    w.tamper(sql, vec![id.into()]).await;
    let sql = "DELETE FROM audit_seals WHERE environment_id = $1 AND number = $2";
    w.tamper(sql, vec![number.into()]).await;
    AuditFinding::SeenSealMissing { number }
}

async fn a_log_whose_end_was_cut_off_is_found_by_who_has_seen_the_end(w: &mut World) {
    w.seal().await;
    let early = w.verify().await;
    let finding = cut(w).await;
    // The process that has sealed it knows.
    assert_eq!(w.finding().await, Some(finding));
    // A process that has not knows when it is told what another one saw.
    w.restart().await;
    assert_eq!(w.finding().await, None);
    let AuditFinding::SeenSealMissing { number } = finding else { panic!("{finding:?}") };
    let expected = Some((number, [1; 32]));
    let told = w.verify_as(VerifyAudit { expected, from: None }).await;
    assert_eq!(told.finding, Some(finding));
    let replaced = Some((early.number, [1; 32]));
    let told = w.verify_as(VerifyAudit { expected: replaced, from: None }).await;
    let finding = AuditFinding::SeenSealMissing { number: early.number };
    assert_eq!(told.finding, Some(finding));
}

async fn a_log_whose_end_was_cut_off_is_not_continued(w: &mut World) {
    let finding = cut(w).await;
    w.do_something().await;
    assert_eq!(w.seal().await, 0);
    assert_eq!(w.finding().await, Some(finding));
}

/// What happens to a log in the course of time.
#[derive(Clone, Copy, Debug)]
enum Op {
    Append,
    Wait(i64),
    Seal,
}

#[test]
fn any_sequence_of_records_and_seals_verifies() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let w = runtime.block_on(World::new());
    let op = prop_oneof![Just(Op::Append), (0_i64..90).prop_map(Op::Wait), Just(Op::Seal)];
    let sequence = vec(op, 1..40);
    let mut runner = TestRunner::new(ProptestConfig { cases: 24, ..ProptestConfig::default() });
    let outcome = runner.run(&sequence, |ops| {
        runtime.block_on(play(&w, &ops));
        Ok(())
    });
    outcome.unwrap();
    runtime.block_on(w.end());
}

async fn play(w: &World, ops: &[Op]) {
    let before = w.verify().await;
    let (mut appended, mut sealed) = (0, 0);
    for op in ops {
        match op {
            Op::Append => {
                w.do_something().await;
                appended += 1;
            }
            Op::Wait(seconds) => w.advance(*seconds),
            Op::Seal => sealed += w.server.seal_audit(w.bank.environment.id).await.unwrap(),
        }
    }
    let after = w.verify().await;
    assert_eq!(after.finding, None, "{ops:?}");
    assert_eq!(after.records, before.records + sealed);
    assert_eq!(after.records + after.unsealed, before.records + before.unsealed + appended);
}
