//! Bars that come while a phone is asked: none of them lets anybody pass, and none of them fails itself.

use countersign_domain::mfa_policy::ExtraVerification;
use countersign_protocol::mobile_payload::PushService;
use countersign_sdk::Error;
use countersign_server::app::DeviceChange;

use crate::world::{Phone, PushWorld, SignOn};

/// A world that asks persons, and paired phones for a silent answer that may be missing.
async fn asking() -> PushWorld {
    let mut w = PushWorld::new(PushService::Fcm).await;
    allow_all(&mut w).await;
    w
}

async fn allow_all(w: &mut PushWorld) {
    w.world.verify_by_silent_push(ExtraVerification::Permissive).await;
    w.ask_by_push(|_| {}).await;
}

/// Ann has a second phone, that the platform reaches without a push service.
async fn with_two_phones() -> (PushWorld, Phone) {
    let mut w = PushWorld::new(PushService::Fcm).await;
    let second = w.world.phone().await;
    w.world.pair_beside(&w.phone, &second, "ann").await;
    second.sdk.set_device_token(PushService::Direct, "", None).await.unwrap();
    allow_all(&mut w).await;
    (w, second)
}

/// A sign-on on the phone that waits for a silent answer, and one elsewhere that waits for the person.
async fn two_sign_ons(w: &PushWorld) -> (SignOn, SignOn) {
    let silent = w.world.sign_in_on(&w.phone, "ann").await;
    assert_eq!(silent.status(), "PUSH_CONFIRMATION_REQUIRED", "{}", silent.flow);
    let visible = w.sign_in_elsewhere().await;
    assert_eq!(visible.status(), "PUSH_CONFIRMATION_REQUIRED", "{}", visible.flow);
    (silent, visible)
}

#[tokio::test]
async fn a_phone_is_blocked_while_it_is_asked_twice() {
    let (w, second) = with_two_phones().await;
    let (mut silent, mut visible) = two_sign_ons(&w).await;
    let (server, environment) = (&w.world.server, w.world.bank.environment.id);
    let devices = server.list_devices(environment, w.world.bank.ann.id).await.unwrap();
    server.change_device(environment, devices[0].id, DeviceChange::Block).await.unwrap();
    // Both go on to the other phone, which is asked one thing at a time.
    let statuses = [silent.refresh().await.to_owned(), visible.refresh().await.to_owned()];
    assert!(statuses.contains(&"PUSH_CONFIRMATION_REQUIRED".to_owned()), "{statuses:?}");
    assert!(statuses.contains(&"PUSH_CONFIRMATION_TIMED_OUT".to_owned()), "{statuses:?}");
    assert_eq!(second.sdk.pending_notifications().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_phone_that_wrong_passcodes_lock_leaves_no_sign_on_waiting_for_nobody() {
    let (w, second) = with_two_phones().await;
    let (mut silent, mut visible) = two_sign_ons(&w).await;
    for _ in 0..3 {
        visible.passcode(&w.phone.wrong_passcode()).await;
    }
    let statuses = [silent.refresh().await.to_owned(), visible.refresh().await.to_owned()];
    assert!(statuses.contains(&"PUSH_CONFIRMATION_REQUIRED".to_owned()), "{statuses:?}");
    assert!(statuses.contains(&"PUSH_CONFIRMATION_TIMED_OUT".to_owned()), "{statuses:?}");
    assert_eq!(second.sdk.pending_notifications().await.unwrap().len(), 1);
}

#[tokio::test]
async fn silence_lets_nobody_pass_who_was_disabled_meanwhile() {
    let w = asking().await;
    let mut sign_on = w.world.sign_in_on(&w.phone, "ann").await;
    assert_eq!(sign_on.status(), "PUSH_CONFIRMATION_REQUIRED");
    w.world.bank.disable_ann(&w.world.server).await;
    w.world.advance(20);
    assert_eq!(sign_on.refresh().await, "FAILED");
}

#[tokio::test]
async fn silence_lets_nobody_pass_whose_mfa_was_locked_meanwhile() {
    let w = asking().await;
    w.world.lock_accounts_after(2).await;
    let mut sign_on = w.world.sign_in_on(&w.phone, "ann").await;
    let mut elsewhere = w.sign_in_elsewhere().await;
    for _ in 0..2 {
        elsewhere.passcode(&w.phone.wrong_passcode()).await;
    }
    w.world.advance(20);
    assert_eq!(sign_on.refresh().await, "FAILED");
    assert_eq!(sign_on.response("error_description"), "the MFA of the user is locked");
}

#[tokio::test]
async fn an_answer_of_somebody_who_was_disabled_ends_the_question() {
    let w = asking().await;
    let mut sign_on = w.sign_in_elsewhere().await;
    let question = w.question().await;
    w.world.bank.disable_ann(&w.world.server).await;
    let refused = question.approve("fpt", None).await;
    assert!(matches!(refused, Err(Error::ChallengeCancelled { .. })), "{refused:?}");
    assert_eq!(sign_on.refresh().await, "FAILED");
}

/// A phone that a push service disowns, and that stays because the application does not want it unpaired.
#[tokio::test]
async fn a_phone_that_cannot_be_reached_lets_nobody_pass_without_it() {
    let mut w = asking().await;
    w.world.change_native(|native| native.mobile.as_mut().unwrap().unpairing.enabled = false).await;
    w.world
        .bank
        .change_mfa_policy(&w.world.server, |policy| {
            policy.mobile.applications[0].passcode_enabled = false;
        })
        .await;
    w.uninstall();
    assert_eq!(w.sign_in_elsewhere().await.status(), "PUSH_CONFIRMATION_REQUIRED");
    w.world.server.send_due().await.unwrap();
    let sign_on = w.sign_in_elsewhere().await;
    assert_eq!(sign_on.status(), "FAILED");
}
