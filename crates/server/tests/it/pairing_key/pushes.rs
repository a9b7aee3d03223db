//! Whether a new device can be reached is found out by a test message, however it was paired.

use countersign_emulator::push_service::{
    fault::{Fault, Order},
    fcm::ErrorCode,
};
use countersign_protocol::{
    challenge::VerificationKey,
    mobile_payload::{Confirmation, PushAddress, PushService},
    pairing::{AuthenticatorKind, AuthenticatorStatus},
    pairing_key::KeyPairingRequest,
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
async fn who_sends_the_same_claim_again_is_told_the_result_of_the_test_and_causes_no_other() {
    let p = PushWorld::new(PushService::Fcm).await;
    let (phone, token) = p.unpaired().await;
    let (w, key) = (&p.world, p.world.pairing_key().await);
    let push = PushAddress {
        service: PushService::Fcm,
        address: token.clone(),
        environment: None,
        enabled: true,
    };
    let keys = phone.keys().await;
    let address = w.key_claims_url();
    let mut claim =
        KeyPairingRequest { push: Some(push), ..w.key_request(&phone, key.characters()).await };
    let statement = VerificationKey {
        cnf: Confirmation { jwk: keys.verification.unwrap() },
        installation: keys.possession.thumbprint(),
        nonce: claim.nonce.clone(),
    };
    claim.verification = Some(phone.verified_proof(&address, statement).await);
    let proof = phone.proof(&address, claim).await;
    let first = w.claim_key(&proof).await.must_be(201);
    assert_eq!(first.json()["authenticators"][0]["status"], "completed");
    assert_eq!(w.claim_key(&proof).await.must_be(201).body, first.body);
    p.services.receive(PushService::Fcm, &token).await;
    assert!(!p.services.has_message(PushService::Fcm, &token));
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
