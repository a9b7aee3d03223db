//! Whether a new device can be reached is found out by a test message, however it was paired.

use countersign_emulator::push_service::{
    fault::{Fault, Order},
    fcm::ErrorCode,
};
use countersign_protocol::{
    mobile_payload::PushService,
    pairing::{AuthenticatorKind, AuthenticatorStatus},
};
use countersign_sdk::{PairingInfo, RemoteNotification};

use super::devices_of_ann;
use crate::world::PushWorld;

fn push_of(info: &PairingInfo) -> (AuthenticatorStatus, Option<&str>) {
    let found = info.authenticators.iter().find(|one| one.kind == AuthenticatorKind::Push);
    let found = found.unwrap();
    (found.status, found.error_code.as_deref())
}

#[tokio::test]
async fn a_test_message_that_the_service_takes_arrives_and_says_that_push_works() {
    for service in [PushService::Fcm, PushService::Apns] {
        let p = PushWorld::new(service).await;
        let (phone, token) = p.unpaired().await;
        let key = p.world.pairing_key().await;
        let info = phone.sdk.pair(key.characters()).await.unwrap();
        assert_eq!(push_of(&info), (AuthenticatorStatus::Completed, None));
        let message = p.services.receive(service, &token).await;
        let told = phone.sdk.process_remote_notification(&message.delivered).await.unwrap();
        assert!(matches!(told, RemoteNotification::Test { id } if id == info.device));
        assert!(!p.services.has_message(service, &token));
    }
}

#[tokio::test]
async fn an_address_that_is_nobodys_is_told_and_the_device_stays() {
    let p = PushWorld::new(PushService::Fcm).await;
    let (phone, token) = p.unpaired().await;
    p.services.installations(PushService::Fcm).uninstall(&token).unwrap();
    let key = p.world.pairing_key().await;
    let info = phone.sdk.pair(key.characters()).await.unwrap();
    assert_eq!(push_of(&info), (AuthenticatorStatus::Failed, Some("UNREGISTERED")));
    p.world.server.send_due().await.unwrap();
    assert_eq!(devices_of_ann(&p.world).await.len(), 2);
}

#[tokio::test]
async fn a_service_in_trouble_leaves_it_open() {
    let p = PushWorld::new(PushService::Fcm).await;
    let (phone, token) = p.unpaired().await;
    let trouble = Fault::Error { code: ErrorCode::Unavailable, retry_after: None };
    p.services.fcm.faults().order(Order::from(trouble).for_token(&token)).unwrap();
    let key = p.world.pairing_key().await;
    let info = phone.sdk.pair(key.characters()).await.unwrap();
    assert_eq!(push_of(&info).0, AuthenticatorStatus::Unknown);
}
