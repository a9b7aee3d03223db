//! Phones whose push service says that they are gone, and services that are wrong.

use countersign_domain::sign_on_policy::NoDevicesMode;
use countersign_emulator::push_service::fault::{Fault, Stamp};
use countersign_protocol::mobile_payload::PushService;
use countersign_server::app::DeviceChange;
use countersign_store::Engine;

use http::Method;
use serde_json::json;

use crate::world::{PushWorld, Step};

async fn asking(service: PushService) -> PushWorld {
    on(Engine::Sqlite, service).await
}

async fn on(engine: Engine, service: PushService) -> PushWorld {
    let mut w = PushWorld::on(engine, service).await;
    w.ask_by_push(|_| {}).await;
    w
}

async fn devices(w: &PushWorld) -> usize {
    let (environment, ann) = (w.world.bank.environment.id, w.world.bank.ann.id);
    w.world.server.list_devices(environment, ann).await.unwrap().len()
}

async fn an_app_that_was_removed_is_unpaired(engine: Engine) {
    for (service, said) in
        [(PushService::Apns, "410 Unregistered"), (PushService::Fcm, "404 UNREGISTERED")]
    {
        let w = on(engine, service).await;
        w.world.advance(60);
        w.uninstall();
        let mut sign_on = w.sign_in_elsewhere().await;
        w.world.server.send_due().await.unwrap();
        assert_eq!(devices(&w).await, 0, "{service:?}");
        let deleted = w.world.audit_of("DEVICE.DELETED").await;
        let event = &deleted[0].entry.event;
        assert_eq!(event.reason.as_deref(), Some("push_unregistered"));
        assert_eq!(event.said.as_deref(), Some(said));
        // The sign-on goes on by the rule for users without a device, which lets them pass here.
        assert_eq!(sign_on.refresh().await, "COMPLETED");
        w.world.end().await;
    }
}

#[tokio::test]
async fn an_app_that_was_removed_is_unpaired_on_sqlite() {
    an_app_that_was_removed_is_unpaired(Engine::Sqlite).await;
}

#[tokio::test]
async fn an_app_that_was_removed_is_unpaired_on_postgres() {
    if !crate::database::is_skipped(Engine::Postgres) {
        an_app_that_was_removed_is_unpaired(Engine::Postgres).await;
    }
}

#[tokio::test]
async fn the_sign_on_under_way_fails_where_nobody_passes_without_a_device() {
    let mut w = asking(PushService::Fcm).await;
    let world = &mut w.world;
    world.bank.require(&world.server, &[Step::Login, Step::Mfa(NoDevicesMode::Block)]).await;
    w.uninstall();
    let mut sign_on = w.sign_in_elsewhere().await;
    w.world.server.send_due().await.unwrap();
    assert_eq!(sign_on.refresh().await, "FAILED");
    let told = "the user has no device that the MFA policy accepts";
    assert_eq!(sign_on.response("error_description"), told);
}

#[tokio::test]
async fn the_sign_on_under_way_goes_on_with_another_phone() {
    let w = asking(PushService::Fcm).await;
    let other = w.world.phone().await;
    w.world.pair_beside(&w.phone, &other, "ann").await;
    w.uninstall();
    let mut sign_on = w.sign_in_elsewhere().await;
    w.world.server.send_due().await.unwrap();
    assert_eq!(sign_on.refresh().await, "OTP_REQUIRED");
    sign_on.passcode(&other.passcode()).await.must_be(200);
    assert_eq!(sign_on.status(), "COMPLETED");
}

#[tokio::test]
async fn wrong_configuration_never_unpairs() {
    for (service, faults) in [
        (
            PushService::Apns,
            vec![
                "BadDeviceToken",
                "DeviceTokenNotForTopic",
                "TopicDisallowed",
                "InvalidProviderToken",
                "Forbidden",
                "SomethingNew",
            ],
        ),
        (
            PushService::Fcm,
            vec!["SENDER_ID_MISMATCH", "THIRD_PARTY_AUTH_ERROR", "INVALID_ARGUMENT"],
        ),
    ] {
        for fault in faults {
            let w = asking(service).await;
            let order = match service {
                PushService::Apns => Fault::Reason {
                    reason: fault.to_owned(),
                    status: (fault == "SomethingNew").then_some(400),
                    timestamp: None,
                },
                _ => serde_json::from_value(serde_json::json!({ "kind": "error", "code": fault }))
                    .unwrap(),
            };
            w.services.faults(service).order(order).unwrap();
            let mut sign_on = w.sign_in_elsewhere().await;
            w.world.server.send_due().await.unwrap();
            assert_eq!(devices(&w).await, 1, "{fault}");
            // The question is still there for a phone that looks.
            assert_eq!(sign_on.refresh().await, "PUSH_CONFIRMATION_REQUIRED", "{fault}");
            let (environment, native) = (w.world.bank.environment.id, w.world.bank.native.id);
            let health = w.world.server.push_health(environment, native).await.unwrap();
            assert_eq!(health.warnings.len(), 1, "{fault}: {health:?}");
        }
    }
}

#[tokio::test]
async fn a_statement_of_before_the_last_contact_does_not_count() {
    let w = asking(PushService::Apns).await;
    w.world.advance(7_200);
    // A contact, and then an answer that speaks of the time before.
    w.world.sign_in_on(&w.phone, "ann").await;
    let old = Fault::Reason {
        reason: "Unregistered".to_owned(),
        status: None,
        timestamp: Some(Stamp::SecondsFromNow(-3_600)),
    };
    w.services.apns.faults().order(old).unwrap();
    w.sign_in_elsewhere().await;
    w.world.server.send_due().await.unwrap();
    assert_eq!(devices(&w).await, 1);
}

#[tokio::test]
async fn a_phone_that_has_another_address_by_now_stays() {
    let w = asking(PushService::Fcm).await;
    w.uninstall();
    w.sign_in_elsewhere().await;
    // The answer comes after the phone has told its new address.
    let new = w.services.fcm.installations().install("bank-project").unwrap();
    w.phone.sdk.set_device_token(PushService::Fcm, &new, None).await.unwrap();
    w.world.server.send_due().await.unwrap();
    assert_eq!(devices(&w).await, 1);
}

#[tokio::test]
async fn a_barred_phone_stays_though_its_app_is_gone() {
    let w = asking(PushService::Fcm).await;
    let mut sign_on = w.sign_in_elsewhere().await;
    let (environment, ann) = (w.world.bank.environment.id, w.world.bank.ann.id);
    let device = w.world.server.list_devices(environment, ann).await.unwrap().remove(0).id;
    w.uninstall();
    w.world.server.change_device(environment, device, DeviceChange::Block).await.unwrap();
    // The block has ended the question, and the sign-on with it.
    assert_eq!(sign_on.refresh().await, "FAILED");
    w.world.server.send_due().await.unwrap();
    assert_eq!(devices(&w).await, 1);
}

#[tokio::test]
async fn in_the_grace_period_a_contact_saves_the_device() {
    let w = asking(PushService::Fcm).await;
    w.world
        .change_native(|native| native.mobile.as_mut().unwrap().unpairing.grace_seconds = 3_600)
        .await;
    w.uninstall();
    let mut sign_on = w.sign_in_elsewhere().await;
    w.world.server.send_due().await.unwrap();
    assert_eq!(devices(&w).await, 1);
    // Until then it is not asked by push.
    assert_eq!(sign_on.refresh().await, "PUSH_CONFIRMATION_REQUIRED");
    assert_eq!(w.sign_in_elsewhere().await.status(), "OTP_REQUIRED");
    let new = w.services.fcm.installations().install("bank-project").unwrap();
    w.phone.sdk.set_device_token(PushService::Fcm, &new, None).await.unwrap();
    w.world.advance(3_600);
    w.world.server.send_due().await.unwrap();
    assert_eq!(devices(&w).await, 1);
    assert_eq!(w.sign_in_elsewhere().await.status(), "PUSH_CONFIRMATION_REQUIRED");
}

#[tokio::test]
async fn after_the_grace_period_the_device_goes() {
    let w = asking(PushService::Fcm).await;
    w.world
        .change_native(|native| native.mobile.as_mut().unwrap().unpairing.grace_seconds = 3_600)
        .await;
    w.uninstall();
    w.sign_in_elsewhere().await;
    w.world.server.send_due().await.unwrap();
    w.world.advance(3_599);
    w.world.server.send_due().await.unwrap();
    assert_eq!(devices(&w).await, 1);
    w.world.advance(1);
    w.world.server.send_due().await.unwrap();
    assert_eq!(devices(&w).await, 0);
}

#[tokio::test]
async fn a_storm_stops_unpairing_until_an_administrator_lets_it_go_on() {
    let w = asking(PushService::Fcm).await;
    let rules = |native: &mut countersign_domain::application::Application| {
        let rules = &mut native.mobile.as_mut().unwrap().unpairing;
        (rules.breaker_count, rules.breaker_percent, rules.daily_cap) = (2, 5, 100);
    };
    w.world.change_native(rules).await;
    let mut people = Vec::new();
    for n in 0..6 {
        let name = format!("user{n}");
        w.world.user(&name).await;
        let (phone, token) = w.another(&name).await;
        w.services.fcm.installations().uninstall(&token).unwrap();
        people.push((name, phone));
    }
    for (name, _) in &people {
        let mut sign_on = w.world.app().begin().await;
        sign_on.password(name, crate::world::PASSWORD).await.must_be(200);
        w.world.server.send_due().await.unwrap();
    }
    // Two went, the third tripped the guard, and nobody after it.
    let deleted = w.world.audit_of("DEVICE.DELETED").await;
    assert_eq!(deleted.len(), 2);
    let (environment, native) = (w.world.bank.environment.id, w.world.bank.native.id);
    let health = w.world.server.push_health(environment, native).await.unwrap();
    assert!(health.stopped_at.is_some());
    let told = w.world.audit_of("APPLICATION.PUSH_HEALTH_UPDATED").await;
    assert_eq!(told[0].entry.event.reason.as_deref(), Some("unpairing_storm"));
    // An administrator sees it over HTTP, and lets it go on.
    let admin = w.world.administrator().await;
    let address = format!("/applications/{native}/pushHealth");
    let seen = admin.get(&address).await.must_be(200).json();
    assert_eq!(seen["stoppedAt"], health.stopped_at.unwrap().to_rfc3339_millis());
    assert_eq!(seen["warnings"][0]["service"], "fcm");
    admin.act(Method::POST, &address, "pushHealth.stop", &json!({})).await.must_be(415);
    let resumed = admin.act(Method::POST, &address, "pushHealth.resume", &json!({})).await;
    assert_eq!(resumed.must_be(200).json().get("stoppedAt"), None);
    let told = w.world.audit_of("APPLICATION.PUSH_HEALTH_UPDATED").await;
    assert!(told.iter().any(|it| it.actors().client.is_some()), "who let it go on");
}

#[tokio::test]
async fn not_more_are_unpaired_in_a_day_than_the_cap() {
    let w = asking(PushService::Fcm).await;
    w.world.change_native(|native| native.mobile.as_mut().unwrap().unpairing.daily_cap = 1).await;
    for n in 0..3 {
        let name = format!("user{n}");
        w.world.user(&name).await;
        let (_, token) = w.another(&name).await;
        w.services.fcm.installations().uninstall(&token).unwrap();
        let mut sign_on = w.world.app().begin().await;
        sign_on.password(&name, crate::world::PASSWORD).await.must_be(200);
        w.world.server.send_due().await.unwrap();
    }
    assert_eq!(w.world.audit_of("DEVICE.DELETED").await.len(), 1);
}
