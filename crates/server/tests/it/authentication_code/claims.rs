//! Who may claim a code, and who may not.

use countersign_domain::lockout::Limit;
use countersign_domain::mfa_settings::MfaSettings;
use countersign_protocol::authentication_code::ClaimResponse;
use countersign_sdk::{CodeRefusal, CodeStatus, Error};
use countersign_server::app::DeviceChange;

use super::{change_device_of_ann, read, reasons, refusal};
use crate::world::{Bank, World};

on_both_engines!(
    of_two_phones_at_once_one_has_the_code,
    a_claim_that_is_sent_again_gets_the_same_answer_and_does_nothing,
    the_same_claim_twice_at_once_counts_once,
);

async fn of_two_phones_at_once_one_has_the_code(w: &mut World) {
    let of_ann = w.phone_paired_to("ann").await;
    w.user("bob").await;
    let of_bob = w.phone_paired_to("bob").await;
    for _ in 0..4 {
        let mut code = w.code_unasked().await;
        let uri = code.uri().to_owned();
        let (one, other) =
            tokio::join!(of_ann.sdk.authenticate(&uri), of_bob.sdk.authenticate(&uri));
        let (winner, loser) = if one.is_ok() { (one, other) } else { (other, one) };
        assert_eq!(winner.as_ref().unwrap().status(), CodeStatus::Completed);
        assert_eq!(refusal(loser), CodeRefusal::Claimed);
        code.refresh().await;
        assert_eq!(code.user(), Some(&*winner.unwrap().users()[0].id));
    }
    assert_eq!(reasons(w).await, ["completed"; 4]);
}

async fn a_claim_that_is_sent_again_gets_the_same_answer_and_does_nothing(w: &mut World) {
    let phone = w.phone_paired_to("ann").await;
    let code = w.code().await;
    let claim = w.claim_of(&phone, &code).await;
    let first = w.claim(&claim).await.must_be(200);
    let question: ClaimResponse = serde_json::from_slice(&first.body).unwrap();
    assert_eq!((&*question.id, question.status), (code.id(), CodeStatus::Claimed));
    assert_eq!(w.claim(&claim).await.must_be(200).body, first.body);
    // A new claim by the same phone is a second one.
    let again = w.claim_of(&phone, &code).await;
    let refused = w.claim(&again).await.must_be(400).problem();
    assert_eq!((&*refused.0, &*refused.1), ("REQUEST_FAILED", "CODE_CLAIMED"));
    assert_eq!(reasons(w).await, ["claimed"]);
}

async fn the_same_claim_twice_at_once_counts_once(w: &mut World) {
    let phone = w.phone_paired_to("ann").await;
    let code = w.code_unasked().await;
    let claim = w.claim_of(&phone, &code).await;
    let (one, other) = tokio::join!(w.claim(&claim), w.claim(&claim));
    assert_eq!(one.must_be(200).body, other.must_be(200).body);
    assert_eq!(reasons(w).await, ["completed"]);
}

#[tokio::test]
async fn a_code_is_for_the_phones_of_one_application() {
    let mut w = World::new().await;
    let phone = w.phone_paired_to("ann").await;
    let (other, _) = w.phone_with_another_app().await;
    let mut code = w.code_unasked().await;
    let refused = other.sdk.authenticate(code.uri()).await;
    assert_eq!(refusal(refused), CodeRefusal::OtherApplication);
    assert_eq!(code.refresh().await, "UNCLAIMED");
    assert_eq!(read(&phone, &code).await.status(), CodeStatus::Completed);
    assert_eq!(reasons(&w).await, ["!other_application", "completed"]);
}

#[tokio::test]
async fn a_phone_that_vouches_for_nobody_claims_nothing() {
    let w = World::new().await;
    let phone = w.phone_paired_to("ann").await;
    let mut code = w.code().await;
    let stranger = w.phone().await;
    let refused = stranger.sdk.authenticate(code.uri()).await;
    assert!(matches!(refused, Err(Error::NotPaired { .. })), "{refused:?}");
    let claim = w.claim_of(&stranger, &code).await;
    assert_eq!(w.claim(&claim).await.must_be(401).problem().0, "DEVICE_NOT_PAIRED");
    change_device_of_ann(&w, DeviceChange::Remove).await;
    let claim = w.claim_of(&phone, &code).await;
    assert_eq!(w.claim(&claim).await.must_be(401).problem().0, "DEVICE_NOT_PAIRED");
    assert_eq!(code.refresh().await, "UNCLAIMED");
}

#[tokio::test]
async fn who_is_barred_claims_nothing_and_the_code_stays() {
    let w = World::new().await;
    let phone = w.phone_paired_to("ann").await;
    let mut code = w.code_unasked().await;
    change_device_of_ann(&w, DeviceChange::Block).await;
    assert_eq!(refusal(phone.sdk.authenticate(code.uri()).await), CodeRefusal::DeviceBarred);
    change_device_of_ann(&w, DeviceChange::Unblock).await;
    // Wrong passcodes lock the device.
    for _ in 0..3 {
        let mut sign_on = w.site().begin().await;
        sign_on.password("ann", crate::world::PASSWORD).await.must_be(200);
        sign_on.passcode(&phone.wrong_passcode()).await;
    }
    assert_eq!(refusal(phone.sdk.authenticate(code.uri()).await), CodeRefusal::DeviceBarred);
    change_device_of_ann(&w, DeviceChange::Unlock).await;
    assert_eq!(code.refresh().await, "UNCLAIMED");
    assert_eq!(read(&phone, &code).await.status(), CodeStatus::Completed);
    let told = ["!installation_barred", "!installation_barred", "completed"];
    assert_eq!(reasons(&w).await, told);
}

#[tokio::test]
async fn a_user_who_is_locked_or_disabled_is_not_among_those_who_sign_on() {
    let w = World::new().await;
    let phone = w.phone_paired_to("ann").await;
    let lockout = Some(Limit { failures: 1, lock_seconds: 600 });
    let settings = MfaSettings { lockout, ..MfaSettings::default() };
    w.server.put_mfa_settings(w.bank.environment.id, settings).await.unwrap();
    let mut sign_on = w.site().begin().await;
    sign_on.password("ann", crate::world::PASSWORD).await.must_be(200);
    sign_on.passcode(&phone.wrong_passcode()).await;
    w.user("bob").await;
    w.pair(&phone, "bob").await;
    let names = async || {
        let claimed = read(&phone, &w.code().await).await;
        claimed.users().iter().map(|user| user.username.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names().await, ["bob"]);
    w.advance(600);
    assert_eq!(names().await, ["ann", "bob"]);
    w.bank.disable_ann(&w.server).await;
    assert_eq!(names().await, ["bob"]);
}

#[tokio::test]
async fn a_code_of_another_environment_is_none() {
    let w = World::new().await;
    let phone = w.phone_paired_to("ann").await;
    let mut there = World::new().await;
    there.bank = Bank::open(&w.server, "Other").await;
    (there.server, there.wire) = (std::sync::Arc::clone(&w.server), w.wire.clone());
    let mut code = there.code().await;
    assert_eq!(refusal(phone.sdk.authenticate(code.uri()).await), CodeRefusal::Invalid);
    assert_eq!(code.refresh().await, "UNCLAIMED");
    // And its creator sees nothing of those of here.
    let mut own = w.code().await;
    own.backend = code.backend.clone();
    own.read().await.must_be(404);
    own.withdraw().await.must_be(404);
    own.backend = w.backend().await.with_token(&code.backend.token);
    own.read().await.must_be(401);
    own.withdraw().await.must_be(401);
}

#[tokio::test]
async fn the_characters_are_read_in_either_case_and_in_either_form() {
    let w = World::new().await;
    let phone = w.phone_paired_to("ann").await;
    for form in [
        |code: &str| code.to_owned(),
        |code: &str| code.to_lowercase(),
        |code: &str| format!("countersign?authentication_code={code}"),
        |code: &str| format!("https://bank.example/pingonesdk?authentication_code={code}#x"),
    ] {
        let code = w.code_unasked().await;
        let read = phone.sdk.authenticate(&form(code.characters())).await.unwrap();
        assert_eq!(read.status(), CodeStatus::Completed);
    }
    let none = phone.sdk.authenticate("https://bank.example/").await;
    assert!(matches!(none, Err(Error::NoCode(_))), "{none:?}");
}
