//! The silent push of device authorization: answered, unanswered, impossible; permissively and restrictively.

use countersign_domain::{mfa_policy::ExtraVerification, sign_on_policy::NoDevicesMode};
use countersign_emulator::push_service::fault::Fault;
use countersign_protocol::mobile_payload::PushService;
use countersign_sdk::RemoteNotification;
use countersign_server::app::Heard;
use countersign_store::Engine;
use serde_json::json;
use tokio::time::{Duration, timeout};

use crate::world::{PushWorld, SignOn, Step, get, with};

use ExtraVerification::{Permissive, Restrictive};

const SERVICES: [PushService; 2] = [PushService::Apns, PushService::Fcm];

/// A world whose policy asks paired phones for an answer to a silent push, and lets nobody pass who has no device.
async fn verifying(engine: Engine, service: PushService, mode: ExtraVerification) -> PushWorld {
    let mut w = PushWorld::on(engine, service).await;
    let world = &mut w.world;
    world.bank.require(&world.server, &[Step::Login, Step::Mfa(NoDevicesMode::Block)]).await;
    world.verify_by_silent_push(mode).await;
    w
}

async fn sign_in(w: &PushWorld) -> SignOn {
    let sign_on = w.world.sign_in_on(&w.phone, "ann").await;
    assert_eq!(sign_on.status(), "PUSH_CONFIRMATION_REQUIRED", "{}", sign_on.flow);
    sign_on
}

async fn reasons(w: &PushWorld, action: &str) -> Vec<String> {
    let records = w.world.audit_of(action).await;
    records.into_iter().filter_map(|record| record.entry.event.reason).collect()
}

async fn an_acknowledged_phone_passes(engine: Engine) {
    for service in SERVICES {
        for mode in [Permissive, Restrictive] {
            let w = verifying(engine, service, mode).await;
            let mut sign_on = sign_in(&w).await;
            assert!(matches!(w.deliver().await, RemoteNotification::Silent));
            assert_eq!(sign_on.refresh().await, "COMPLETED");
            let claims = sign_on.tokens().await.id_claims();
            assert_eq!(claims["amr"], json!(["pwd", "swk", "mca", "mfa"]), "{service:?} {mode:?}");
            let told = reasons(&w, "DEVICE_PAYLOAD.CHECK_SUCCESS").await;
            assert_eq!(told, ["device_authorized_verified"]);
            // Nothing more is to be done.
            assert_eq!(claims["countersign_pairing"]["status"], "already_paired");
            w.world.end().await;
        }
    }
}

#[tokio::test]
async fn an_acknowledged_phone_passes_on_sqlite() {
    an_acknowledged_phone_passes(Engine::Sqlite).await;
}

#[tokio::test]
async fn an_acknowledged_phone_passes_on_postgres() {
    if !crate::database::is_skipped(Engine::Postgres) {
        an_acknowledged_phone_passes(Engine::Postgres).await;
    }
}

#[tokio::test]
async fn an_unanswered_push_passes_permissively_and_says_so() {
    let w = verifying(Engine::Sqlite, PushService::Fcm, Permissive).await;
    let mut sign_on = sign_in(&w).await;
    w.message().await;
    w.world.advance(19);
    assert_eq!(sign_on.refresh().await, "PUSH_CONFIRMATION_REQUIRED");
    w.world.advance(1);
    assert_eq!(sign_on.refresh().await, "COMPLETED");
    assert_eq!(sign_on.tokens().await.id_claims()["amr"], json!(["pwd", "swk", "mfa"]));
    let told = reasons(&w, "DEVICE_PAYLOAD.CHECK_SUCCESS").await;
    assert_eq!(told, ["device_authorized_unanswered"]);
}

#[tokio::test]
async fn an_unanswered_push_fails_restrictively_and_says_so() {
    let w = verifying(Engine::Sqlite, PushService::Apns, Restrictive).await;
    let mut sign_on = sign_in(&w).await;
    w.message().await;
    w.world.advance(20);
    assert_eq!(sign_on.refresh().await, "FAILED");
    assert_eq!(sign_on.response("error"), "access_denied");
    assert_eq!(sign_on.response("error_description"), "the device could not be verified");
    assert_eq!(reasons(&w, "USER.ACCESS_DENIED").await, ["extra_verification_failed"]);
}

#[tokio::test]
async fn who_does_not_look_again_is_ended_by_the_worker() {
    let w = verifying(Engine::Sqlite, PushService::Fcm, Restrictive).await;
    sign_in(&w).await;
    w.world.advance(20);
    assert_eq!(w.world.server.end_all_overdue().await.unwrap(), 1);
    assert_eq!(reasons(&w, "USER.ACCESS_DENIED").await, ["extra_verification_failed"]);
    assert_eq!(w.world.server.end_all_overdue().await.unwrap(), 0);
}

#[tokio::test]
async fn a_push_that_the_service_refuses_ends_the_wait_at_once() {
    for (mode, status, reason) in [
        (Permissive, "COMPLETED", "device_authorized_unverified"),
        (Restrictive, "FAILED", "extra_verification_failed"),
    ] {
        let w = verifying(Engine::Sqlite, PushService::Apns, mode).await;
        let bad = Fault::Reason { reason: "TopicDisallowed".into(), status: None, timestamp: None };
        w.services.apns.faults().order(bad).unwrap();
        let mut sign_on = sign_in(&w).await;
        w.world.server.send_due().await.unwrap();
        assert_eq!(sign_on.refresh().await, status);
        let action = match mode {
            Permissive => "DEVICE_PAYLOAD.CHECK_SUCCESS",
            Restrictive => "USER.ACCESS_DENIED",
        };
        assert_eq!(reasons(&w, action).await, [reason]);
        let refused = w.world.audit_of("NOTIFICATION.REJECTED").await;
        let said: Vec<_> = refused.iter().filter_map(|r| r.entry.event.said.as_deref()).collect();
        assert_eq!(said, ["400 TopicDisallowed"]);
        // An administrator sees it, and nobody was unpaired.
        let (environment, native) = (w.world.bank.environment.id, w.world.bank.native.id);
        let health = w.world.server.push_health(environment, native).await.unwrap();
        assert_eq!(health.warnings[0].reason, "TopicDisallowed");
        assert_eq!(w.phone.sdk.info().await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_lost_push_is_sent_again_while_there_is_time() {
    let w = verifying(Engine::Sqlite, PushService::Fcm, Restrictive).await;
    w.services.fcm.faults().order(Fault::Reset { code: 2 }).unwrap();
    let mut sign_on = sign_in(&w).await;
    w.world.server.send_due().await.unwrap();
    assert_eq!(sign_on.refresh().await, "PUSH_CONFIRMATION_REQUIRED");
    w.world.advance(6);
    w.deliver().await;
    assert_eq!(sign_on.refresh().await, "COMPLETED");
}

#[tokio::test]
async fn nothing_is_sent_after_the_time_for_an_answer() {
    let w = verifying(Engine::Sqlite, PushService::Fcm, Permissive).await;
    sign_in(&w).await;
    w.world.advance(21);
    w.world.server.send_due().await.unwrap();
    assert!(!w.services.has_message(PushService::Fcm, &w.token));
}

#[tokio::test]
async fn a_phone_without_an_address_or_credentials_is_not_waited_for() {
    let w = verifying(Engine::Sqlite, PushService::Fcm, Permissive).await;
    w.phone.sdk.allow_push_notifications(false).await.unwrap();
    let sign_on = w.world.sign_in_on(&w.phone, "ann").await;
    assert_eq!(sign_on.status(), "COMPLETED");
    w.phone.sdk.allow_push_notifications(true).await.unwrap();
    let (environment, native) = (w.world.bank.environment.id, w.world.bank.native.id);
    let server = &w.world.server;
    server.delete_push_credentials(environment, native, PushService::Fcm).await.unwrap();
    let sign_on = w.world.sign_in_on(&w.phone, "ann").await;
    assert_eq!(sign_on.status(), "COMPLETED");
    let told = reasons(&w, "DEVICE_PAYLOAD.CHECK_SUCCESS").await;
    assert_eq!(told, ["device_authorized_unverified", "device_authorized_unverified"]);
}

#[tokio::test]
async fn who_waits_for_the_flow_goes_on_with_the_acknowledgement() {
    let w = verifying(Engine::Sqlite, PushService::Fcm, Restrictive).await;
    let mut sign_on = sign_in(&w).await;
    let message = w.message().await;
    let waiting = with(get(&sign_on.url()), "prefer", "wait=20");
    let mut browser = sign_on.client.browser.clone();
    let waits = tokio::spawn(async move { browser.send(waiting).await });
    w.phone.sdk.process_remote_notification(&message.delivered).await.unwrap();
    sign_on.flow = waits.await.unwrap().must_be(200).json();
    assert_eq!(sign_on.status(), "COMPLETED");
}

/// Longer than a stop may take, and shorter than a wait.
const SOON: Duration = Duration::from_secs(8);

#[tokio::test]
async fn who_waits_is_answered_when_the_server_stops() {
    let w = verifying(Engine::Sqlite, PushService::Fcm, Restrictive).await;
    let sign_on = sign_in(&w).await;
    let waiting = with(get(&sign_on.url()), "prefer", "wait=25");
    let mut browser = sign_on.client.browser.clone();
    let waits = tokio::spawn(async move { browser.send(waiting).await });
    let sdk = w.phone.sdk.clone();
    let phone_waits = tokio::spawn(async move { sdk.wait_for_notifications(25).await });
    // Both have begun to wait, since nothing else is there to be run.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    w.world.server.drain();
    let flow = timeout(SOON, waits).await.expect("the flow is answered").unwrap();
    assert_eq!(flow.must_be(200).json()["status"], "PUSH_CONFIRMATION_REQUIRED");
    let brought = timeout(SOON, phone_waits).await.expect("the phone is answered").unwrap();
    assert!(brought.unwrap().is_empty());
}

#[tokio::test]
async fn who_waits_at_another_node_goes_on_too() {
    if crate::database::is_skipped(Engine::Postgres) {
        return;
    }
    let w = verifying(Engine::Postgres, PushService::Fcm, Restrictive).await;
    let mut sign_on = sign_in(&w).await;
    let message = w.message().await;
    let (other, wire) = w.world.another_node().await;
    // What the worker of that node does all the time.
    let node = std::sync::Arc::clone(&other);
    let woken = tokio::spawn(async move {
        let mut heard = Heard::default();
        loop {
            node.wake_for_others(&mut heard).await.unwrap();
        }
    });
    let waiting = with(get(&sign_on.url()), "prefer", "wait=20");
    let mut browser = sign_on.client.browser.clone();
    browser.wire = wire;
    let waits = tokio::spawn(async move { browser.send(waiting).await });
    w.phone.sdk.process_remote_notification(&message.delivered).await.unwrap();
    sign_on.flow = waits.await.unwrap().must_be(200).json();
    assert_eq!(sign_on.status(), "COMPLETED");
    woken.abort();
    other.store().close().await;
    w.world.end().await;
}

#[tokio::test]
async fn a_new_address_in_the_payload_is_the_one_that_is_used() {
    let w = verifying(Engine::Sqlite, PushService::Fcm, Restrictive).await;
    let installations = w.services.fcm.installations();
    let new = installations.reinstall(&w.token).unwrap();
    w.phone.sdk.set_device_token(PushService::Fcm, &new, None).await.unwrap();
    let mut sign_on = sign_in(&w).await;
    w.world.server.send_due().await.unwrap();
    let message = w.services.receive(PushService::Fcm, &new).await;
    w.phone.sdk.process_remote_notification(&message.delivered).await.unwrap();
    assert_eq!(sign_on.refresh().await, "COMPLETED");
}

#[tokio::test]
async fn the_hosted_page_waits_and_goes_on_without_a_script() {
    let w = verifying(Engine::Sqlite, PushService::Fcm, Restrictive).await;
    let sign_on = sign_in(&w).await;
    let page = sign_on.flow.pointer("/_links/signOnPage/href").unwrap().as_str().unwrap();
    let mut browser = sign_on.client.browser.clone();
    let shown = browser.send(get(page)).await.must_be(200);
    let html = String::from_utf8_lossy(&shown.body).into_owned();
    assert!(html.contains("Checking your phone"), "{html}");
    assert!(html.contains("http-equiv=\"refresh\""), "{html}");
    w.deliver().await;
    browser.send(get(page)).await.must_be(302);
}
