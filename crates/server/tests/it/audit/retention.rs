//! Records that were kept long enough go, and the rest of the chain still verifies.

use countersign_domain::audit::{Action, Actors, Part};
use countersign_server::app::{AuditFinding, Origin, VerifyAudit};

use crate::world::World;

on_both_engines!(
    what_was_kept_long_enough_is_deleted_and_the_rest_verifies,
    nothing_is_deleted_before_its_time_or_unsealed,
    a_forged_beginning_is_found_and_deletes_nothing,
    a_deletion_that_was_interrupted_is_finished_by_the_next_run,
);

const TWO_YEARS: i64 = 730 * 24 * 60 * 60;

async fn retain(w: &World) -> u64 {
    let deleting = w.server.retain_audit(w.bank.environment.id);
    Origin::part(Part::Worker).scope(deleting).await.unwrap()
}

async fn what_was_kept_long_enough_is_deleted_and_the_rest_verifies(w: &mut World) {
    let old = w.log().await.len() as u64;
    w.seal().await;
    let early = w.verify().await;
    w.advance(TWO_YEARS);
    w.do_something().await;
    w.seal().await;
    let late = w.verify().await;
    assert_eq!(retain(w).await, old);
    let report = w.verify().await;
    assert_eq!((report.records, report.seals, report.unsealed), (1, 1, 1));
    assert_eq!((report.number, report.hash, report.finding), (late.number, late.hash, None));
    // What an earlier report has given is gone, and that is as it should be.
    let expected = Some((early.number, early.hash));
    assert_eq!(w.verify_as(VerifyAudit { expected, from: None }).await, report);
    let told = w.log().await.pop().unwrap();
    assert_eq!(told.event.action, Action::AuditRecordsDeleted);
    assert_eq!(told.by, Some(Actors::part(Part::Worker)));
    // The chain goes on when nothing of it was kept but where it ended.
    w.advance(TWO_YEARS + 120);
    w.seal().await;
    w.advance(TWO_YEARS);
    assert_eq!(retain(w).await, 2);
    w.do_something().await;
    w.seal().await;
    let report = w.verify().await;
    assert_eq!((report.records, report.finding), (2, None));
}

async fn nothing_is_deleted_before_its_time_or_unsealed(w: &mut World) {
    w.advance(TWO_YEARS + 120);
    assert_eq!(retain(w).await, 0);
    w.do_something().await;
    w.seal().await;
    let records = w.log().await.len() as u64;
    // Old records that share a seal with the new one stay until that is old too.
    let kept = records - retain(w).await;
    assert!((1..=4).contains(&kept), "{kept}");
    assert_eq!(w.finding().await, None);
    let log = w.log().await;
    assert_eq!(retain(w).await, 0);
    assert_eq!(w.log().await, log);
}

async fn a_forged_beginning_is_found_and_deletes_nothing(w: &mut World) {
    w.seal().await;
    let log = w.log().await;
    let sql = "INSERT INTO audit_bases (environment_id, number, through_id, hash, mac) \
         SELECT environment_id, number, through_id, hash, mac FROM audit_seals WHERE environment_id = $1 AND number = 2";
    w.tamper(sql, vec![]).await;
    assert_eq!(w.finding().await, Some(AuditFinding::BeginningChanged));
    assert!(w.server.retain_audit(w.bank.environment.id).await.is_err());
    assert_eq!(w.log().await, log);
}

async fn a_deletion_that_was_interrupted_is_finished_by_the_next_run(w: &mut World) {
    w.seal().await;
    let first = w.log().await.remove(0);
    w.advance(TWO_YEARS);
    w.do_something().await;
    w.seal().await;
    retain(w).await;
    // As if one record had been left.
    let sql = "INSERT INTO audit_records (environment_id, id, data) VALUES ($1, $2, '{}')";
    w.tamper(sql, vec![first.id.into()]).await;
    assert_eq!(w.finding().await, None);
    assert_eq!(retain(w).await, 1);
    assert_eq!(w.finding().await, None);
}
