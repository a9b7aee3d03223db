//! From the code that the camera has read to the person's answer, with everything that can be lost on the way.

use countersign_protocol::authentication_code::{CodeStatus, NeedsApproval};
use countersign_protocol::challenge::NumberMatching;
use countersign_protocol::encoding;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::platform::{CODE, CODE_SECONDS, FakePlatform, Fate, ShownCode, error, ok};
use super::world::{World, told};
use crate::protocol::device_api::{DetailCode, ErrorCode};
use crate::{AuthenticationObject, CodeRefusal, Countersign, Error, KeyStore, NumberMatchingType};

const CLAIM: &str = "/authentication-codes/claims";
const APPROVE: &str = "/authentication-codes/code-0/approve";
const DENY: &str = "/authentication-codes/code-0/deny";

/// A paired phone that has claimed a code.
async fn claimed(code: ShownCode) -> (World, AuthenticationObject) {
    let world = World::new();
    let sdk = world.paired().await;
    let object = claim(&world, &sdk, code).await;
    (world, object)
}

async fn claim(world: &World, sdk: &Countersign, code: ShownCode) -> AuthenticationObject {
    world.platform.show(code);
    sdk.authenticate(CODE).await.unwrap()
}

fn status(platform: &FakePlatform) -> Option<CodeStatus> {
    platform.code(0).status
}

/// Who has signed the first proof that came to a path.
fn signer(platform: &FakePlatform, path: &str) -> String {
    let proofs = platform.proofs(path);
    let header = encoding::decode(proofs[0].split('.').next().unwrap()).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_sign_on_is_shown_as_it_was_asked_and_approved() {
    let (world, object) = claimed(ShownCode::default()).await;
    assert_eq!((object.request(), object.application()), ("code-0", "Bank"));
    assert_eq!(object.status(), CodeStatus::Claimed);
    assert_eq!(object.needs_approval(), NeedsApproval::Required);
    assert_eq!(object.client_context(), Some(r#"{"header":"Sign in?"}"#));
    assert_eq!(object.origin().address.as_deref(), Some("192.0.2.7"));
    let [ann] = object.users() else { panic!("{:?}", object.users()) };
    assert_eq!((&*ann.id, &*ann.username), ("ann", "ann@example"));
    assert_eq!((object.number_matching_type(), object.number_matching_options()), (None, &[][..]));
    assert_eq!(object.timeout_duration(), CODE_SECONDS);
    world.advance(CODE_SECONDS - 1);
    assert_eq!(object.timeout_duration(), 1);

    object.approve(None, None).await.unwrap();
    assert_eq!(object.status(), CodeStatus::Completed);
    assert_eq!(status(&world.platform), Some(CodeStatus::Completed));
    assert_eq!(world.platform.code(0).user.as_deref(), Some("ann"));
}

#[tokio::test]
async fn an_approval_is_signed_by_the_key_that_asks_the_person_and_a_denial_is_not() {
    let (world, object) = claimed(ShownCode::default()).await;
    let keys = world.keys.ensure().await.unwrap();
    let possession = keys.possession.thumbprint().to_string();
    assert_eq!(signer(&world.platform, CLAIM), possession);
    object.approve(None, None).await.unwrap();
    let verification = keys.verification.unwrap().thumbprint().to_string();
    assert_eq!(signer(&world.platform, APPROVE), verification);

    let (world, object) = claimed(ShownCode::default()).await;
    world.keys.let_person_refuse(true);
    object.deny(None).await.unwrap();
    let possession = world.keys.ensure().await.unwrap().possession.thumbprint().to_string();
    assert_eq!(signer(&world.platform, DENY), possession);
    assert_eq!(
        (status(&world.platform), world.platform.code(0).user),
        (Some(CodeStatus::Denied), None)
    );
}

#[tokio::test]
async fn what_is_no_code_is_not_sent() {
    let world = World::new();
    let sdk = world.paired().await;
    let sent = crate::installation::lock(&world.platform.log).len();
    for text in ["", "7F45HG2", "7F45HG0O", "https://bank.example/?code=7F45HG22", "\u{202e}"] {
        let refused = sdk.authenticate(text).await;
        assert!(matches!(refused, Err(Error::NoCode(_))), "{text}: {refused:?}");
    }
    assert_eq!(crate::installation::lock(&world.platform.log).len(), sent);
}

#[tokio::test]
async fn a_code_is_read_in_each_of_its_forms() {
    for form in [
        "7f45hg22",
        "countersign?authentication_code=7F45HG22",
        "pingonesdk?authentication_code=7F45HG22",
        "https://bank.example/pingonesdk?authentication_code=7F45HG22",
    ] {
        let world = World::new();
        let sdk = world.paired().await;
        world.platform.show(ShownCode::default());
        assert_eq!(sdk.authenticate(form).await.unwrap().status(), CodeStatus::Claimed, "{form}");
    }
}

#[tokio::test]
async fn one_user_who_need_not_be_asked_has_nothing_left_to_answer() {
    let (world, object) = claimed(ShownCode { is_unasked: true, ..ShownCode::default() }).await;
    assert_eq!(object.status(), CodeStatus::Completed);
    assert_eq!(object.needs_approval(), NeedsApproval::NotRequired);
    assert!(matches!(object.approve(None, None).await, Err(Error::AuthenticationUsed)));
    assert!(matches!(object.deny(None).await, Err(Error::AuthenticationUsed)));
    assert_eq!((world.platform.count(APPROVE), world.platform.count(DENY)), (0, 0));
}

#[tokio::test]
async fn unless_a_code_is_claimed_there_is_nothing_to_answer() {
    for status in
        [CodeStatus::Completed, CodeStatus::Denied, CodeStatus::Expired, CodeStatus::Unknown]
    {
        let code = ShownCode { claimed_as: Some(status), ..ShownCode::default() };
        let (world, object) = claimed(code).await;
        // What is not known stays unknown, whatever it was called.
        assert_eq!(object.status(), status);
        assert!(matches!(object.approve(None, None).await, Err(Error::AuthenticationUsed)));
        assert!(matches!(object.deny(None).await, Err(Error::AuthenticationUsed)));
        assert_eq!((world.platform.count(APPROVE), world.platform.count(DENY)), (0, 0));
    }
}

#[tokio::test]
async fn of_several_users_one_is_chosen() {
    let world = World::new();
    let sdk = world.paired().await;
    world.pair(&sdk, "bob").await;
    let object = claim(&world, &sdk, ShownCode { is_unasked: true, ..ShownCode::default() }).await;
    assert_eq!(object.status(), CodeStatus::Claimed);
    for nobody in [None, Some("cid"), Some("")] {
        let refused = object.approve(nobody, None).await;
        assert!(matches!(refused, Err(Error::AmbiguousUser)), "{nobody:?}");
    }
    assert!(matches!(object.deny(Some("cid")).await, Err(Error::AmbiguousUser)));
    assert_eq!((world.platform.count(APPROVE), world.platform.count(DENY)), (0, 0));
    object.approve(Some("bob"), None).await.unwrap();
    assert_eq!(world.platform.code(0).user.as_deref(), Some("bob"));
}

#[tokio::test]
async fn a_sign_on_is_answered_once() {
    let (world, object) = claimed(ShownCode::default()).await;
    object.deny(Some("ann")).await.unwrap();
    assert_eq!(object.status(), CodeStatus::Denied);
    assert!(matches!(object.approve(None, None).await, Err(Error::AuthenticationUsed)));
    assert!(matches!(object.deny(None).await, Err(Error::AuthenticationUsed)));
    assert_eq!((world.platform.count(APPROVE), world.platform.count(DENY)), (0, 1));
    assert_eq!(world.platform.code(0).user.as_deref(), Some("ann"));
}

#[tokio::test]
async fn two_answers_at_once_are_one() {
    let (world, object) = claimed(ShownCode::default()).await;
    let (open, gate) = oneshot::channel();
    world.platform.will([Fate::Wait(gate)]);
    let (approved, denied) = tokio::join!(object.approve(None, None), async {
        let denied = object.deny(None).await;
        open.send(()).unwrap();
        denied
    });
    approved.unwrap();
    assert!(matches!(denied, Err(Error::AuthenticationUsed)));
    assert_eq!(world.platform.count(DENY), 0);
}

#[tokio::test]
async fn a_claim_whose_answer_was_lost_is_sent_again() {
    let world = World::new();
    let sdk = world.paired().await;
    world.platform.show(ShownCode::default());
    // The nonce arrives, and then two answers are lost.
    world.platform.will([Fate::Arrive, Fate::LoseAnswer, Fate::LoseAnswer]);
    let object = sdk.authenticate(CODE).await.unwrap();
    assert_eq!(object.status(), CodeStatus::Claimed);
    let proofs = world.platform.proofs(CLAIM);
    assert!(proofs.len() == 3 && proofs.iter().all(|proof| *proof == proofs[0]));
}

#[tokio::test]
async fn an_approval_whose_answer_was_lost_is_sent_again_with_the_same_proof() {
    let (world, object) = claimed(ShownCode::default()).await;
    world.platform.will([(); 3].map(|()| Fate::LoseAnswer));
    assert!(object.approve(None, None).await.unwrap_err().is_retriable());
    assert_eq!(object.status(), CodeStatus::Claimed);
    // The person has said so once, and is asked no second time.
    world.keys.let_person_refuse(true);
    object.approve(None, None).await.unwrap();
    let proofs = world.platform.proofs(APPROVE);
    assert!(proofs.len() == 4 && proofs.iter().all(|proof| *proof == proofs[0]));
    assert_eq!(object.status(), CodeStatus::Completed);
}

#[tokio::test]
async fn another_answer_than_the_lost_one_is_another_proof_and_the_first_counts() {
    let (world, object) = claimed(ShownCode::default()).await;
    world.platform.will([(); 3].map(|()| Fate::LoseAnswer));
    object.approve(None, None).await.unwrap_err();
    let denied = object.deny(None).await;
    let Err(Error::CodeRefused { reason: CodeRefusal::Ended, .. }) = denied else {
        panic!("{denied:?}")
    };
    assert_eq!(status(&world.platform), Some(CodeStatus::Completed));
    assert!(matches!(object.deny(None).await, Err(Error::AuthenticationUsed)));
}

#[tokio::test]
async fn a_proof_is_not_sent_again_after_its_life() {
    let (world, object) = claimed(ShownCode::default()).await;
    world.platform.will([(); 3].map(|()| Fate::LoseRequest));
    object.approve(None, None).await.unwrap_err();
    world.advance(60);
    let late = object.approve(None, None).await;
    let Err(Error::CodeRefused { reason: CodeRefusal::Expired, .. }) = late else {
        panic!("{late:?}")
    };
    let proofs = world.platform.proofs(APPROVE);
    assert!(proofs.len() == 4 && proofs[3] != proofs[0]);
}

#[tokio::test]
async fn a_wrong_clock_is_corrected_for_every_kind_of_proof() {
    for wrong_by_seconds in [-600, 600] {
        let world = World::new();
        let sdk = world.paired().await;
        world.platform.show(ShownCode::default());
        world.platform.show(ShownCode::default());
        // Each call meets a clock that has just gone wrong.
        world.clock.advance(wrong_by_seconds);
        let first = sdk.authenticate(CODE).await.unwrap();
        assert_eq!(world.platform.count(CLAIM), 2);
        assert_eq!(first.timeout_duration(), CODE_SECONDS);
        world.clock.advance(-wrong_by_seconds);
        first.approve(None, None).await.unwrap();
        assert_eq!(world.platform.count(APPROVE), 2);
        let second = sdk.authenticate("7F45HG23").await.unwrap();
        world.clock.advance(wrong_by_seconds);
        second.deny(None).await.unwrap();
        assert_eq!(world.platform.count("/authentication-codes/code-1/deny"), 2);
    }
}

#[tokio::test]
async fn a_person_who_is_not_verified_approves_nothing_and_may_try_again_or_refuse() {
    let (world, object) = claimed(ShownCode::default()).await;
    world.keys.let_person_refuse(true);
    let refused = object.approve(None, None).await.unwrap_err();
    assert!(matches!(refused, Error::UserNotVerified) && refused.is_retriable());
    assert_eq!(world.platform.count(APPROVE), 0);
    world.keys.let_person_refuse(false);
    object.approve(None, None).await.unwrap();

    let (world, object) = claimed(ShownCode::default()).await;
    world.keys.let_person_refuse(true);
    assert_eq!(told(object.approve(None, None).await), "countersign.error.not_verified");
    object.deny(None).await.unwrap();
    assert_eq!(status(&world.platform), Some(CodeStatus::Denied));
}

#[tokio::test]
async fn a_code_that_is_not_taken_says_why() {
    let rows = [
        (DetailCode::CodeInvalid, CodeRefusal::Invalid, "countersign.error.code_over", true),
        (DetailCode::CodeExpired, CodeRefusal::Expired, "countersign.error.code_over", true),
        (DetailCode::CodeEnded, CodeRefusal::Ended, "countersign.error.code_over", true),
        (DetailCode::CodeClaimed, CodeRefusal::Claimed, "countersign.error.code_over", false),
        (
            DetailCode::CodeOtherApplication,
            CodeRefusal::OtherApplication,
            "countersign.error.code_of_other_app",
            false,
        ),
        (
            DetailCode::DeviceBarred,
            CodeRefusal::DeviceBarred,
            "countersign.error.device_barred",
            false,
        ),
    ];
    for (code, expected, key, is_final) in rows {
        let world = World::new();
        let sdk = world.paired().await;
        world.platform.show(ShownCode { refusal: Some(code), ..ShownCode::default() });
        let is_so = |error: &Error| {
            assert_eq!(error.message_key(), key);
            assert_eq!(error.correlation_id(), Some("correlation"));
            matches!(error, Error::CodeRefused { reason, .. } if *reason == expected)
        };
        assert!(is_so(&sdk.authenticate(CODE).await.unwrap_err()), "{expected:?}");
        world.platform.refuse_code(0, None);
        let object = sdk.authenticate(CODE).await.unwrap();
        world.platform.refuse_code(0, Some(code));
        assert!(is_so(&object.approve(None, None).await.unwrap_err()), "{expected:?}");
        // What may change lets the person try again.
        world.platform.refuse_code(0, None);
        assert_eq!(object.deny(None).await.is_err(), is_final, "{expected:?}");
    }
}

#[tokio::test]
async fn a_number_is_demanded_before_anybody_is_asked_for_a_finger() {
    let number_matching = Some(NumberMatching::SelectNumber { options: vec![12, 34, 56] });
    let code = ShownCode { number_matching, number: Some(34), ..ShownCode::default() };
    let (world, object) = claimed(code.clone()).await;
    assert_eq!(object.number_matching_type(), Some(NumberMatchingType::SelectNumber));
    assert_eq!(object.number_matching_options(), [12, 34, 56]);
    // It would be noticed if the person were asked.
    world.keys.let_person_refuse(true);
    assert!(matches!(object.approve(None, None).await, Err(Error::NumberMissing)));
    assert!(matches!(object.approve(None, Some(35)).await, Err(Error::NumberNotOffered)));
    world.keys.let_person_refuse(false);
    object.approve(None, Some(34)).await.unwrap();
    assert_eq!(status(&world.platform), Some(CodeStatus::Completed));

    let (world, object) = claimed(code).await;
    let wrong = object.approve(None, Some(12)).await.unwrap_err();
    assert!(matches!(wrong, Error::WrongNumber) && !wrong.is_retriable());
    assert_eq!(
        (object.status(), status(&world.platform)),
        (CodeStatus::Denied, Some(CodeStatus::Denied))
    );
    assert!(matches!(object.approve(None, Some(34)).await, Err(Error::AuthenticationUsed)));
}

#[tokio::test]
async fn a_number_is_typed_with_no_more_digits_than_it_has_and_only_where_it_is_asked_for() {
    for (typed, is_sent) in [(0, true), (7, true), (999_999, true), (1_000_000, false)] {
        let number_matching = Some(NumberMatching::EnterManually { digits: 6 });
        let code = ShownCode { number_matching, number: Some(typed), ..ShownCode::default() };
        let (_world, object) = claimed(code).await;
        let expected = Some(NumberMatchingType::EnterManually { digits: 6 });
        assert_eq!(object.number_matching_type(), expected);
        assert_eq!(object.approve(None, Some(typed)).await.is_ok(), is_sent, "{typed}");
    }
    let (_world, object) = claimed(ShownCode::default()).await;
    assert!(matches!(object.approve(None, Some(1)).await, Err(Error::NumberNotOffered)));
}

#[tokio::test]
async fn an_installation_that_the_platform_does_not_know_is_not_paired() {
    let world = World::new();
    let sdk = world.open().await;
    world.platform.show(ShownCode::default());
    assert!(matches!(sdk.authenticate(CODE).await, Err(Error::NotPaired { .. })));
    let sdk = world.paired().await;
    let refused = || Fate::Answer(error(401, ErrorCode::DeviceNotPaired, None));
    world.platform.will([Fate::Arrive, refused()]);
    assert!(matches!(sdk.authenticate(CODE).await, Err(Error::NotPaired { .. })));
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_is_no_success() {
    for nonsense in ["CLAIMED", "EXPIRED", "SOMETHING_NEW"] {
        let (world, object) = claimed(ShownCode::default()).await;
        world.platform.will([Fate::Answer(ok(200, &json!({ "status": nonsense })))]);
        assert!(matches!(object.approve(None, None).await, Err(Error::Answer(_))), "{nonsense}");
    }
}

#[tokio::test]
async fn nothing_of_a_sign_on_is_printed_but_its_id_and_its_status() {
    let (_world, object) = claimed(ShownCode::default()).await;
    let expected = r#"AuthenticationObject { request: "code-0", status: Claimed, .. }"#;
    assert_eq!(format!("{object:?}"), expected);
}
