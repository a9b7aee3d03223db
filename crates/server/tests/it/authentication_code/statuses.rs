//! Each status, how a code comes to it, and what its creator is shown.

use std::time::Duration;

use countersign_sdk::{CodeRefusal, CodeStatus, Error, NeedsApproval};
use serde_json::{Value, json};

use super::{device_of_ann, read, reasons, refusal};
use crate::world::World;

on_both_engines!(
    one_user_who_need_not_be_asked_is_signed_on_by_the_claim,
    who_is_asked_approves,
    the_second_of_three_users_signs_on,
    whoever_says_no_ends_it,
    a_code_that_nobody_claims_expires,
    a_back_end_that_waits_is_told_of_the_claim_and_of_the_answer,
);

async fn one_user_who_need_not_be_asked_is_signed_on_by_the_claim(w: &mut World) {
    let phone = w.phone_paired_to("ann").await;
    let mut code = w.code_unasked().await;
    assert_eq!((code.status(), code.user()), ("UNCLAIMED", None));
    let claimed = read(&phone, &code).await;
    assert_eq!(claimed.status(), CodeStatus::Completed);
    assert_eq!(claimed.needs_approval(), NeedsApproval::NotRequired);
    assert!(matches!(claimed.approve(None, None).await, Err(Error::AuthenticationUsed)));
    assert_eq!(code.refresh().await, "COMPLETED");
    assert_eq!(code.user(), Some(&*w.bank.ann.id.to_string()));
    let device = device_of_ann(w).await;
    assert_eq!(code.shown["_embedded"]["device"]["id"], json!(device.id));
    let records = w.audit_of("AUTHENTICATION_CODE.UPDATED").await;
    let [record] = &*records else { panic!("{records:?}") };
    let event = &record.entry.event;
    assert_eq!((event.succeeded, event.reason.as_deref()), (true, Some("completed")));
    assert_eq!(event.user.as_ref().map(|user| user.id), Some(w.bank.ann.id));
    assert_eq!(event.device.as_ref().map(|device| device.id), Some(device.id));
    assert_eq!(event.application.as_ref().map(|native| native.id), Some(w.bank.native.id));
}

async fn who_is_asked_approves(w: &mut World) {
    let phone = w.phone_paired_to("ann").await;
    let mut wanted = w.shown_here();
    wanted["clientContext"] = json!({ "header": "Sign in to the web bank?" });
    let mut code = w.backend().await.show(&wanted).await;
    let claimed = read(&phone, &code).await;
    assert_eq!(claimed.request(), code.id());
    assert_eq!(claimed.status(), CodeStatus::Claimed);
    assert_eq!(claimed.needs_approval(), NeedsApproval::Required);
    assert_eq!(claimed.application(), "Bank app");
    assert_eq!(claimed.client_context(), Some(r#"{"header":"Sign in to the web bank?"}"#));
    assert_eq!(claimed.number_matching_type(), None);
    assert_eq!(claimed.timeout_duration(), 60);
    let [user] = claimed.users() else { panic!("{:?}", claimed.users()) };
    assert_eq!((&*user.id, &*user.username), (&*w.bank.ann.id.to_string(), "ann"));
    assert_eq!(user.email.as_deref(), Some("ann@bank.example"));
    assert_eq!(code.refresh().await, "CLAIMED");
    assert_eq!(code.user(), None);
    claimed.approve(None, None).await.unwrap();
    assert_eq!(claimed.status(), CodeStatus::Completed);
    assert_eq!(code.refresh().await, "COMPLETED");
    assert_eq!(code.user(), Some(&*user.id));
    assert_eq!(reasons(w).await, ["approved", "claimed"]);
    assert_eq!(w.audit_of("AUTHENTICATION_CODE.CREATED").await.len(), 1);
}

async fn the_second_of_three_users_signs_on(w: &mut World) {
    let phone = w.phone_paired_to("ann").await;
    for username in ["bob", "cid"] {
        w.user(username).await;
        w.pair(&phone, username).await;
    }
    // Nobody is asked whether, and still somebody must say who.
    let mut code = w.code_unasked().await;
    let claimed = read(&phone, &code).await;
    assert_eq!(claimed.status(), CodeStatus::Claimed);
    let mut names: Vec<_> = claimed.users().iter().map(|user| &*user.username).collect();
    names.sort_unstable();
    assert_eq!(names, ["ann", "bob", "cid"]);
    assert!(matches!(claimed.approve(None, None).await, Err(Error::AmbiguousUser)));
    let bob = claimed.users().iter().find(|user| user.username == "bob").unwrap().id.clone();
    claimed.approve(Some(&bob), None).await.unwrap();
    assert_eq!(code.refresh().await, "COMPLETED");
    assert_eq!(code.user(), Some(&*bob));
    let records = w.audit_of("AUTHENTICATION_CODE.UPDATED").await;
    let signed_on = records.iter().find_map(|record| record.entry.event.user.as_ref()).unwrap();
    assert_eq!(signed_on.id.to_string(), bob);
    let device = signed_on_device(w, &bob).await;
    assert_eq!(code.shown["_embedded"]["device"]["id"], device);
}

async fn signed_on_device(w: &World, user: &str) -> Value {
    let devices = w.server.list_devices(w.bank.environment.id, user.parse().unwrap()).await;
    json!(devices.unwrap()[0].id)
}

async fn whoever_says_no_ends_it(w: &mut World) {
    let phone = w.phone_paired_to("ann").await;
    let ann = w.bank.ann.id.to_string();
    for user in [None, Some(&*ann)] {
        let mut code = w.code().await;
        let claimed = read(&phone, &code).await;
        claimed.deny(user).await.unwrap();
        assert_eq!(claimed.status(), CodeStatus::Denied);
        assert!(matches!(claimed.approve(None, None).await, Err(Error::AuthenticationUsed)));
        assert_eq!(code.refresh().await, "DENIED");
        assert_eq!(code.user(), user);
        assert_eq!(refusal(phone.sdk.authenticate(code.uri()).await), CodeRefusal::Claimed);
    }
    assert_eq!(reasons(w).await, ["claimed", "claimed", "denied_by_user", "denied_by_user"]);
}

async fn a_code_that_nobody_claims_expires(w: &mut World) {
    let phone = w.phone_paired_to("ann").await;
    let mut code = w.code().await;
    w.advance(59);
    assert_eq!(code.refresh().await, "UNCLAIMED");
    w.advance(1);
    // Whether or not anybody has written it down.
    assert_eq!(code.refresh().await, "EXPIRED");
    assert_eq!(refusal(phone.sdk.authenticate(code.uri()).await), CodeRefusal::Expired);
    assert_eq!(w.server.expire_authentication_codes().await.unwrap(), 1);
    assert_eq!(w.server.expire_authentication_codes().await.unwrap(), 0);
    assert_eq!(code.refresh().await, "EXPIRED");
    assert_eq!(refusal(phone.sdk.authenticate(code.uri()).await), CodeRefusal::Expired);
    assert_eq!(reasons(w).await, ["expired"]);
    w.advance(599);
    assert_eq!(code.refresh().await, "EXPIRED");
    w.advance(1);
    code.read().await.must_be(404);
    assert_eq!(refusal(phone.sdk.authenticate(code.uri()).await), CodeRefusal::Invalid);
}

async fn a_back_end_that_waits_is_told_of_the_claim_and_of_the_answer(w: &mut World) {
    let phone = w.phone_paired_to("ann").await;
    let mut code = w.code().await;
    let uri = code.uri().to_owned();
    let (status, claimed) = tokio::join!(code.wait(30), phone.sdk.authenticate(&uri));
    assert_eq!(status, "CLAIMED");
    let claimed = claimed.unwrap();
    let (status, approved) = tokio::join!(code.wait(30), claimed.approve(None, None));
    approved.unwrap();
    assert_eq!(status, "COMPLETED");
    // Of what has ended nobody waits for more.
    let at_once = tokio::time::timeout(Duration::from_secs(20), code.wait(30)).await;
    assert_eq!(at_once.unwrap(), "COMPLETED");
}

#[tokio::test]
async fn a_claimed_code_expires_too() {
    let w = World::new().await;
    let phone = w.phone_paired_to("ann").await;
    let mut code = w.code().await;
    let claimed = read(&phone, &code).await;
    w.advance(60);
    assert_eq!(claimed.timeout_duration(), 0);
    assert_eq!(refusal(claimed.approve(None, None).await), CodeRefusal::Expired);
    assert_eq!(code.refresh().await, "EXPIRED");
    assert_eq!((code.user(), code.shown.get("_embedded")), (None, None));
    assert_eq!(w.server.expire_authentication_codes().await.unwrap(), 1);
    assert_eq!(reasons(&w).await, ["claimed", "expired"]);
}

#[tokio::test]
async fn a_code_that_was_withdrawn_is_gone() {
    let w = World::new().await;
    let phone = w.phone_paired_to("ann").await;
    let (unclaimed, claimed) = (w.code().await, w.code().await);
    let question = read(&phone, &claimed).await;
    for code in [&unclaimed, &claimed] {
        code.withdraw().await.must_be(204);
        assert_eq!(code.read().await.must_be(404).problem().0, "NOT_FOUND");
        code.withdraw().await.must_be(404);
    }
    assert_eq!(refusal(phone.sdk.authenticate(unclaimed.uri()).await), CodeRefusal::Invalid);
    assert_eq!(refusal(question.approve(None, None).await), CodeRefusal::Invalid);
    assert_eq!(w.audit_of("AUTHENTICATION_CODE.DELETED").await.len(), 2);
}

#[tokio::test]
async fn what_a_back_end_sees_in_each_status() {
    let w = World::new().await;
    let phone = w.phone_paired_to("ann").await;
    let mut wanted = w.shown_here();
    wanted["clientContext"] = json!({ "header": "Sign in?", "places": ["Oslo", { "n": 1 }] });
    let backend = w.backend().await;
    let mut code = backend.show(&wanted).await;
    snapshot!("authentication_code_unclaimed", &code.snapshot());
    w.advance(1);
    let claimed = read(&phone, &code).await;
    code.refresh().await;
    snapshot!("authentication_code_claimed", &code.snapshot());
    w.advance(1);
    claimed.approve(None, None).await.unwrap();
    code.refresh().await;
    snapshot!("authentication_code_completed", &code.snapshot());
    let mut code = backend.show(&w.shown_here()).await;
    read(&phone, &code).await.deny(Some(&w.bank.ann.id.to_string())).await.unwrap();
    code.refresh().await;
    snapshot!("authentication_code_denied", &code.snapshot());
    let mut code = backend.show(&w.shown_here()).await;
    w.advance(60);
    code.refresh().await;
    snapshot!("authentication_code_expired", &code.snapshot());
}
