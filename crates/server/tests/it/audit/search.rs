//! How the log is read: by time, action, actor, resource and request, page by page.

use std::collections::BTreeSet;

use countersign_domain::audit::{Action, Record};
use countersign_server::app::{AuditPage, AuditQuery};

use crate::world::{PASSWORD, START, World};

on_both_engines!(
    each_criterion_finds_its_records_and_no_others,
    pages_in_either_direction_hold_every_record_once,
);

async fn search(w: &World, query: AuditQuery) -> AuditPage {
    let query = if query.limit == 0 { AuditQuery { limit: 1_000, ..query } } else { query };
    w.server.search_audit(w.bank.environment.id, query).await.unwrap()
}

async fn found(w: &World, query: AuditQuery) -> BTreeSet<&'static str> {
    let page = search(w, query).await;
    page.records.iter().map(|record| record.event.action.name()).collect()
}

async fn each_criterion_finds_its_records_and_no_others(w: &mut World) {
    w.advance(10);
    w.user("bob").await;
    w.advance(10);
    let mut sign_on = w.app().begin().await;
    sign_on.password("ann", PASSWORD).await.must_be(200);
    w.do_something().await;
    let sign_on = ["FLOW.CREATED", "PASSWORD.CHECK_SUCCEEDED", "USER.ACCESS_ALLOWED"];
    let own = ["PASSWORD.CHECK_SUCCEEDED", "SESSION.CREATED", "USER.ACCESS_ALLOWED"];
    let (since, until) = (Some(START.plus_seconds(10)), Some(START.plus_seconds(20)));
    let all = AuditQuery::default;
    let between = found(w, AuditQuery { since, until, ..all() }).await;
    assert_eq!(between, ["USER.CREATED"].into());
    assert!(found(w, AuditQuery { since: until, until: since, ..all() }).await.is_empty());
    let actions = vec![Action::UserCreated];
    assert_eq!(search(w, AuditQuery { actions, ..all() }).await.records.len(), 2);
    let actions = vec![Action::FlowCreated, Action::MfaSettingsUpdated];
    let either = found(w, AuditQuery { actions, ..all() }).await;
    assert_eq!(either, ["FLOW.CREATED", "MFA_SETTINGS.UPDATED"].into());
    let client = Some(w.bank.native.id);
    assert_eq!(found(w, AuditQuery { client, ..all() }).await, sign_on.into());
    let user = Some(w.bank.ann.id);
    assert_eq!(found(w, AuditQuery { user, ..all() }).await, own.into());
    // She was made, and that was not her own doing.
    let resource = Some(w.bank.ann.id.cast());
    let about = found(w, AuditQuery { resource, ..all() }).await;
    assert_eq!(about, [own[0], own[1], own[2], "USER.CREATED"].into());
    let allowed = search(w, AuditQuery { actions: vec![Action::AccessAllowed], ..all() }).await;
    let correlation = Some(allowed.records[0].correlation.clone());
    assert_eq!(found(w, AuditQuery { correlation, ..all() }).await, own.into());
    let correlation = Some("\" OR 1".to_owned());
    assert!(found(w, AuditQuery { correlation, ..all() }).await.is_empty());
    // All that is given must hold.
    let actions = vec![Action::FlowCreated];
    assert!(found(w, AuditQuery { user, actions, ..all() }).await.is_empty());
    let other = w.server.create_environment("Other").await.unwrap().id;
    let query = AuditQuery { user, limit: 10, ..all() };
    assert!(w.server.search_audit(other, query).await.unwrap().records.is_empty());
}

async fn pages_in_either_direction_hold_every_record_once(w: &mut World) {
    for _ in 0..20 {
        w.advance(1);
        w.do_something().await;
    }
    let log = w.log().await;
    for newest_first in [false, true] {
        let (mut records, mut cursor) = (Vec::<Record>::new(), None);
        loop {
            let query = AuditQuery { newest_first, cursor, limit: 7, ..AuditQuery::default() };
            let page = search(w, query).await;
            records.extend(page.records);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        if newest_first {
            records.reverse();
        }
        assert_eq!(records, log);
    }
}
