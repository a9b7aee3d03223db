//! From the push message to the person's answer, with everything that can be lost or forged on the way.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use countersign_protocol::challenge::{ChallengeStatus, Statement};
use countersign_protocol::push::{Hint, PushNonce};
use serde_json::json;
use tokio::sync::oneshot;

use super::platform::{Challenge, FakePlatform, Fate, LIFE_SECONDS, Seeded, SetClock, error, push};
use super::world::{World, told};
use crate::installation::lock;
use crate::key_store::MemoryKeyStore;
use crate::protocol::device_api::{DetailCode, ErrorCode};
use crate::protocol::jwk::{EcPublicKey, Thumbprint};
use crate::protocol::pairing::UserFacts;
use crate::protocol::secret::Secret;
use crate::{
    DenyReason, Error, KeyStore, KeyStoreError, NumberMatchingType, PAIRING_REASON, PublicKeys,
    RemoteNotification,
};

const APPROVE: &str = "/challenges/challenge-0/approve";
const DENY: &str = "/challenges/challenge-0/deny";
const ACKNOWLEDGE: &str = "/challenges/challenge-0/acknowledge";

/// A person who takes time, a store that may have no key for people, and what it showed them.
struct SlowPerson {
    keys: Arc<MemoryKeyStore>,
    clock: Arc<SetClock>,
    takes_seconds: AtomicI64,
    has_key: bool,
    reasons: Mutex<Vec<String>>,
}

#[async_trait]
impl KeyStore for SlowPerson {
    async fn ensure(&self) -> Result<PublicKeys, KeyStoreError> {
        let keys = self.keys.ensure().await?;
        Ok(PublicKeys { verification: keys.verification.filter(|_| self.has_key), ..keys })
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyStoreError> {
        self.keys.sign(message).await
    }

    async fn sign_verified(&self, message: &[u8], reason: &str) -> Result<Vec<u8>, KeyStoreError> {
        lock(&self.reasons).push(reason.to_owned());
        self.clock.advance(self.takes_seconds.load(Ordering::Relaxed));
        self.keys.sign_verified(message, reason).await
    }

    async fn agree(&self, peer: &EcPublicKey) -> Result<Secret<[u8; 32]>, KeyStoreError> {
        self.keys.agree(peer).await
    }

    async fn wipe(&self) -> Result<(), KeyStoreError> {
        self.keys.wipe().await
    }
}

/// A world whose phone has this person before it.
fn with_person(has_key: bool) -> (World, Arc<SlowPerson>) {
    let mut world = World::new();
    let person = Arc::new(SlowPerson {
        keys: Arc::clone(&world.keys),
        clock: Arc::clone(&world.clock),
        takes_seconds: AtomicI64::new(0),
        has_key,
        reasons: Mutex::default(),
    });
    world.system.key_store = Arc::clone(&person) as _;
    (world, person)
}

fn status(world: &World) -> Option<ChallengeStatus> {
    world.platform.challenge(0).status
}

#[tokio::test]
async fn a_question_is_shown_as_it_was_asked_and_approved() {
    let (world, person) = with_person(true);
    let sdk = world.paired().await;
    let shown = world.notification(&sdk, Challenge::default()).await;
    assert_eq!((shown.challenge(), shown.application()), ("challenge-0", "Bank"));
    assert_eq!((shown.title(), shown.message()), ("Sign in?", "Somebody signs in to Bank."));
    let UserFacts { id, username, .. } = shown.user();
    assert_eq!((id.as_str(), username.as_deref()), ("ann", Some("ann@example")));
    assert_eq!(shown.client_context(), Some(r#"{"amount":"10"}"#));
    assert_eq!(shown.origin().address.as_deref(), Some("192.0.2.7"));
    assert_eq!(
        (shown.number_matching_type(), shown.number_matching_options()),
        (None, [].as_slice())
    );
    assert_eq!(shown.timeout_duration(), LIFE_SECONDS);
    world.advance(30);
    assert_eq!(shown.timeout_duration(), LIFE_SECONDS - 30);

    shown.approve("fpt", None).await.unwrap();
    assert_eq!(status(&world), Some(ChallengeStatus::Approved));
    assert_eq!(world.platform.challenge(0).method.as_deref(), Some("fpt"));
    let reasons = lock(&person.reasons).clone();
    assert_eq!(reasons, [PAIRING_REASON, "Somebody signs in to Bank."]);
}

#[tokio::test]
async fn an_approval_is_signed_by_the_key_that_asks_the_person_and_a_refusal_is_not() {
    let world = World::new();
    let sdk = world.paired().await;
    let keys = world.keys.ensure().await.unwrap();
    let kid = |path: &str| {
        let proofs = world.platform.proofs(path);
        let header = proofs[0].split('.').next().unwrap();
        let header = crate::protocol::encoding::decode(header).unwrap();
        let header: serde_json::Value = serde_json::from_slice(&header).unwrap();
        header["kid"].as_str().unwrap().to_owned()
    };
    world.notification(&sdk, Challenge::default()).await.approve("fpt", None).await.unwrap();
    assert_eq!(kid(APPROVE), keys.verification.unwrap().thumbprint().to_string());

    world.keys.let_person_refuse(true);
    let shown = world.notification(&sdk, Challenge::default()).await;
    shown.deny(DenyReason::ReportFraud).await.unwrap();
    assert_eq!(kid("/challenges/challenge-1/deny"), keys.possession.thumbprint().to_string());
    let challenge = world.platform.challenge(1);
    assert_eq!(challenge.status, Some(ChallengeStatus::Denied));
    assert_eq!(challenge.refusal.unwrap().reason, DenyReason::ReportFraud);
}

#[tokio::test]
async fn a_notification_is_answered_once() {
    let world = World::new();
    let sdk = world.paired().await;
    let shown = world.notification(&sdk, Challenge::default()).await;
    shown.approve("fpt", None).await.unwrap();
    assert!(matches!(shown.approve("fpt", None).await, Err(Error::NotificationUsed)));
    assert!(matches!(shown.deny(DenyReason::None).await, Err(Error::NotificationUsed)));
    assert_eq!((world.platform.count(APPROVE), world.platform.count(DENY)), (1, 0));
}

#[tokio::test]
async fn two_answers_at_once_are_one() {
    let world = World::new();
    let sdk = world.paired().await;
    let shown = world.notification(&sdk, Challenge::default()).await;
    let (open, gate) = oneshot::channel();
    world.platform.will([Fate::Wait(gate)]);
    let (approved, denied) = tokio::join!(shown.approve("fpt", None), async {
        let denied = shown.deny(DenyReason::None).await;
        open.send(()).unwrap();
        denied
    });
    approved.unwrap();
    assert!(matches!(denied, Err(Error::NotificationUsed)));
}

#[tokio::test]
async fn an_answer_that_is_given_up_can_be_given_again_with_the_same_proof() {
    let world = World::new();
    let sdk = world.paired().await;
    let shown = world.notification(&sdk, Challenge::default()).await;
    let (_open, gate) = oneshot::channel();
    world.platform.will([Fate::Wait(gate)]);
    {
        let mut given_up = std::pin::pin!(shown.approve("fpt", None));
        let once = std::future::poll_fn(|context| {
            std::task::Poll::Ready(given_up.as_mut().poll(context).is_pending())
        });
        assert!(once.await);
    }
    shown.approve("fpt", None).await.unwrap();
    let proofs = world.platform.proofs(APPROVE);
    assert!(proofs.len() == 2 && proofs[0] == proofs[1]);
}

#[tokio::test]
async fn an_approval_whose_answer_was_lost_is_sent_again_and_asks_nobody_again() {
    let (world, person) = with_person(true);
    let sdk = world.paired().await;
    let shown = world.notification(&sdk, Challenge::default()).await;
    world.platform.will([(); 3].map(|()| Fate::LoseAnswer));
    assert!(shown.approve("fpt", None).await.unwrap_err().is_retriable());
    assert_eq!(world.platform.count(APPROVE), 3);
    shown.approve("fpt", None).await.unwrap();
    let proofs = world.platform.proofs(APPROVE);
    assert!(proofs.len() == 4 && proofs.iter().all(|proof| *proof == proofs[0]));
    assert_eq!(lock(&person.reasons).len(), 2);
}

#[tokio::test]
async fn another_answer_than_the_lost_one_is_another_proof_and_the_first_counts() {
    let world = World::new();
    let sdk = world.paired().await;
    let shown = world.notification(&sdk, Challenge::default()).await;
    world.platform.will([(); 3].map(|()| Fate::LoseAnswer));
    shown.approve("fpt", None).await.unwrap_err();
    let denied = shown.deny(DenyReason::None).await;
    assert!(matches!(denied, Err(Error::ChallengeAnswered { .. })));
    assert_eq!(status(&world), Some(ChallengeStatus::Approved));
}

#[tokio::test]
async fn a_proof_is_not_sent_again_after_its_life() {
    let world = World::new();
    let sdk = world.paired().await;
    let shown = world.notification(&sdk, Challenge::default()).await;
    world.platform.will([(); 3].map(|()| Fate::LoseRequest));
    shown.approve("fpt", None).await.unwrap_err();
    world.advance(60);
    shown.approve("fpt", None).await.unwrap();
    let proofs = world.platform.proofs(APPROVE);
    assert!(proofs.len() == 4 && proofs[3] != proofs[0]);
}

#[tokio::test]
async fn a_question_that_is_over_says_how() {
    let rows = [
        (DetailCode::ChallengeExpired, "countersign.error.challenge_expired", 10_009),
        (DetailCode::ChallengeCancelled, "countersign.error.challenge_cancelled", 10_020),
        (DetailCode::ChallengeAnswered, "countersign.error.challenge_over", 10_020),
        (DetailCode::ChallengeInvalid, "countersign.error.challenge_over", 10_023),
    ];
    for (code, key, number) in rows {
        let world = World::new();
        let sdk = world.paired().await;
        let shown = world.notification(&sdk, Challenge::default()).await;
        world.platform.end(0, code);
        let error = shown.approve("fpt", None).await.unwrap_err();
        assert_eq!((error.message_key(), error.pingone_code()), (key, number));
        assert_eq!(error.correlation_id(), Some("correlation"));
        assert!(matches!(shown.deny(DenyReason::None).await, Err(Error::NotificationUsed)));
    }
}

#[tokio::test]
async fn an_answer_after_the_time_limit_is_too_late() {
    let world = World::new();
    let sdk = world.paired().await;
    let shown = world.notification(&sdk, Challenge::default()).await;
    world.advance(LIFE_SECONDS);
    assert_eq!(shown.timeout_duration(), 0);
    let late = shown.approve("fpt", None).await;
    assert!(matches!(late, Err(Error::ChallengeExpired { .. })));
}

#[tokio::test]
async fn a_number_is_demanded_before_anybody_is_asked_for_a_finger() {
    let (world, person) = with_person(true);
    let sdk = world.paired().await;
    let shown = world.notification(&sdk, Challenge::select([12, 34, 56], 34)).await;
    assert_eq!(shown.number_matching_type(), Some(NumberMatchingType::SelectNumber));
    assert_eq!(shown.number_matching_options(), [12, 34, 56]);
    assert!(matches!(shown.approve("fpt", None).await, Err(Error::NumberMissing)));
    assert!(matches!(shown.approve("fpt", Some(35)).await, Err(Error::NumberNotOffered)));
    assert_eq!((lock(&person.reasons).len(), world.platform.count(APPROVE)), (1, 0));
    shown.approve("fpt", Some(34)).await.unwrap();
    assert_eq!(status(&world), Some(ChallengeStatus::Approved));
}

#[tokio::test]
async fn a_wrong_number_is_an_error_and_final() {
    let world = World::new();
    let sdk = world.paired().await;
    let shown = world.notification(&sdk, Challenge::select([12, 34, 56], 34)).await;
    let wrong = shown.approve("fpt", Some(12)).await.unwrap_err();
    assert!(matches!(wrong, Error::WrongNumber) && !wrong.is_retriable());
    assert!(matches!(shown.approve("fpt", Some(34)).await, Err(Error::NotificationUsed)));
}

#[tokio::test]
async fn a_number_is_typed_with_no_more_digits_than_it_has() {
    for (typed, is_sent) in [(0, true), (7, true), (999_999, true), (1_000_000, false)] {
        let world = World::new();
        let sdk = world.paired().await;
        let shown = world.notification(&sdk, Challenge::enter(6, typed)).await;
        let expected = Some(NumberMatchingType::EnterManually { digits: 6 });
        assert_eq!(shown.number_matching_type(), expected);
        let answer = shown.approve("fpt", Some(typed)).await;
        assert_eq!(answer.is_ok(), is_sent, "{typed}: {answer:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_right_is_refused_on_this_side() {
    let world = World::new();
    let sdk = world.paired().await;
    let shown = world.notification(&sdk, Challenge::default()).await;
    assert!(matches!(shown.approve("fpt", Some(1)).await, Err(Error::NumberNotOffered)));
    for method in ["", "f\u{202e}pt", &"x".repeat(33)] {
        let refused = shown.approve(method, None).await.unwrap_err();
        assert!(matches!(refused, Error::AuthenticationMethod(_)), "{method}");
    }
    assert_eq!(world.platform.count(APPROVE), 0);
    shown.approve("fpt", None).await.unwrap();
}

#[tokio::test]
async fn a_person_who_is_not_verified_approves_nothing_and_may_try_again_or_refuse() {
    let world = World::new();
    let sdk = world.paired().await;
    let shown = world.notification(&sdk, Challenge::default()).await;
    world.keys.let_person_refuse(true);
    assert_eq!(told(shown.approve("fpt", None).await), "countersign.error.not_verified");
    assert_eq!(world.platform.count(APPROVE), 0);
    shown.deny(DenyReason::BiometricsRejected).await.unwrap();

    let shown = world.notification(&sdk, Challenge::default()).await;
    assert!(shown.approve("fpt", None).await.unwrap_err().is_retriable());
    world.keys.let_person_refuse(false);
    shown.approve("fpt", None).await.unwrap();
}

#[tokio::test]
async fn a_person_who_takes_longer_than_a_proof_lives_was_not_verified() {
    let (world, person) = with_person(true);
    let sdk = world.paired().await;
    let shown = world.notification(&sdk, Challenge::default()).await;
    person.takes_seconds.store(60, Ordering::Relaxed);
    assert!(matches!(shown.approve("fpt", None).await, Err(Error::UserNotVerified)));
    assert_eq!(world.platform.count(APPROVE), 0);
}

#[tokio::test]
async fn a_phone_that_cannot_verify_its_user_pairs_and_refuses_but_approves_nothing() {
    let (world, _) = with_person(false);
    let sdk = world.paired().await;
    assert!(!world.platform.has_verification_key());
    let shown = world.notification(&sdk, Challenge::default()).await;
    let refused = shown.approve("fpt", None).await;
    assert!(matches!(refused, Err(Error::NoUserVerification)));
    shown.deny(DenyReason::None).await.unwrap();
}

#[tokio::test]
async fn a_person_who_is_not_verified_pairs_nothing_and_may_try_again() {
    let world = World::new();
    let sdk = world.open().await;
    let offer = world.offer(&sdk, "ann").await;
    world.keys.let_person_refuse(true);
    assert!(matches!(offer.approve().await, Err(Error::UserNotVerified)));
    assert_eq!(world.platform.count("/pairings"), 0);
    world.keys.let_person_refuse(false);
    offer.approve().await.unwrap();
    assert!(world.platform.has_verification_key());
}

#[tokio::test]
async fn a_silent_message_is_answered_inside() {
    let world = World::new();
    let sdk = world.paired().await;
    let message = push(world.platform.silent());
    // Nobody needs to be there.
    world.keys.let_person_refuse(true);
    for _ in 0..2 {
        // A push service may deliver twice.
        let handled = sdk.process_remote_notification(&message).await.unwrap();
        assert!(matches!(handled, RemoteNotification::Silent));
        assert_eq!(status(&world), Some(ChallengeStatus::Acknowledged));
    }
}

#[tokio::test]
async fn a_silent_message_outlives_a_bad_network_but_not_the_proof() {
    let world = World::new();
    let sdk = world.paired().await;
    let message = push(world.platform.silent());
    world.platform.will([Fate::LoseRequest, Fate::LoseAnswer]);
    sdk.process_remote_notification(&message).await.unwrap();
    let proofs = world.platform.proofs(ACKNOWLEDGE);
    assert!(proofs.len() == 3 && proofs.iter().all(|proof| *proof == proofs[0]));

    let message = push(world.platform.silent());
    world.platform.will([Fate::LoseAfter(30)]);
    assert!(sdk.process_remote_notification(&message).await.unwrap_err().is_retriable());
    assert_eq!(world.platform.count("/challenges/challenge-1/acknowledge"), 1);
}

#[tokio::test]
async fn a_silent_message_that_nobody_waits_for_is_no_error() {
    let over = [
        DetailCode::ChallengeExpired,
        DetailCode::ChallengeCancelled,
        DetailCode::ChallengeAnswered,
        DetailCode::ChallengeInvalid,
    ];
    let world = World::new();
    let sdk = world.paired().await;
    for (index, code) in (0..).zip(over) {
        let message = push(world.platform.silent());
        world.platform.end(index, code);
        let handled = sdk.process_remote_notification(&message).await.unwrap();
        assert!(matches!(handled, RemoteNotification::Silent));
    }
}

#[tokio::test]
async fn what_is_not_of_the_platform_is_left_to_others_and_sends_nothing() {
    let world = World::new();
    let sdk = world.paired().await;
    let before = lock(&world.platform.log).len();
    let nonce = || PushNonce::new(&Seeded::new(9));
    let id = || "../unpairings?x=".to_owned();
    for foreign in [
        json!({ "aps": { "alert": "News" } }),
        json!({ "countersign": { "v": 2, "kind": "challenge", "id": "c" } }),
        // An id that would reach out of its place in the address that is signed for.
        push(Hint::Silent { id: id(), nonce: nonce() }),
        push(Hint::Silent { id: "a/b".to_owned(), nonce: nonce() }),
        push(Hint::Silent { id: String::new(), nonce: nonce() }),
        push(Hint::Challenge { id: id() }),
        push(Hint::Cancelled { id: "x".repeat(65) }),
        push(Hint::Test { id: "ä".to_owned() }),
    ] {
        let handled = sdk.process_remote_notification(&foreign).await.unwrap();
        assert!(matches!(handled, RemoteNotification::NotOurs), "{foreign}");
    }
    assert_eq!(lock(&world.platform.log).len(), before);
}

#[tokio::test]
async fn a_message_about_a_question_that_is_over_takes_it_down() {
    let world = World::new();
    let sdk = world.paired().await;
    let message = world.platform.ask(Challenge::default());
    world.platform.end(0, DetailCode::ChallengeCancelled);
    let invented = push(Hint::Challenge { id: "invented".to_owned() });
    let withdrawn = push(Hint::Cancelled { id: "challenge-0".to_owned() });
    for (message, expected) in
        [(message, "challenge-0"), (invented, "invented"), (withdrawn, "challenge-0")]
    {
        match sdk.process_remote_notification(&message).await.unwrap() {
            RemoteNotification::Cancelled { id } => assert_eq!(id, expected),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_question_is_believed_only_as_signed_for_this_installation_and_challenge() {
    let spoilt: [fn(&mut Statement); 3] = [
        |statement| statement.iss = "https://id.example/f/as".to_owned(),
        |statement| statement.aud = Thumbprint::from_bytes([0; 32]),
        |statement| statement.jti = "challenge-1".to_owned(),
    ];
    for (index, spoil) in (0..).zip(spoilt) {
        let world = World::new();
        let sdk = world.paired().await;
        let message = world.platform.ask(Challenge::default());
        world.platform.spoil(0, spoil);
        world.platform.will([Fate::Answer(world.platform.listed_as("challenge-0"))]);
        let told = sdk.process_remote_notification(&message).await;
        assert!(matches!(told, Err(Error::Statement(_))), "{index}: {told:?}");
    }
}

#[tokio::test]
async fn a_question_that_another_has_signed_is_not_shown() {
    let world = World::new();
    let sdk = world.paired().await;
    let message = world.platform.ask(Challenge::default());
    // What a man in the middle without the platform's key could make of it.
    let impostor = FakePlatform::new();
    impostor.add_signing_key("k1");
    lock(&impostor.devices).extend(lock(&world.platform.devices).iter().cloned());
    impostor.ask(Challenge::default());
    world.platform.will([Fate::Answer(impostor.listed_as("challenge-0"))]);
    let told = sdk.process_remote_notification(&message).await.unwrap_err();
    assert!(matches!(told, Error::Statement(_)));
    assert_eq!((told.category(), told.is_retriable()), (crate::Category::Security, false));
}

#[tokio::test]
async fn a_new_key_of_the_platform_is_fetched() {
    let world = World::new();
    let sdk = world.paired().await;
    world.platform.add_signing_key("k2");
    world.advance(60);
    world.notification(&sdk, Challenge::default()).await.approve("fpt", None).await.unwrap();
    assert_eq!(world.platform.count("/e/as/jwks"), 2);
}

#[tokio::test]
async fn a_statement_that_has_expired_is_not_shown() {
    let world = World::new();
    let sdk = world.paired().await;
    let message = world.platform.ask(Challenge::default());
    let old = world.platform.listed_as("challenge-0");
    world.advance(LIFE_SECONDS);
    world.platform.will([Fate::Answer(old)]);
    let told = sdk.process_remote_notification(&message).await.unwrap();
    assert!(matches!(told, RemoteNotification::Cancelled { .. }));
}

#[tokio::test]
async fn a_wrong_clock_is_corrected_for_every_kind_of_proof() {
    for wrong_by_seconds in [-600, 600] {
        let world = World::new();
        let sdk = world.paired().await;
        let shown = [
            world.notification(&sdk, Challenge::default()).await,
            world.notification(&sdk, Challenge::default()).await,
        ];
        let silent = push(world.platform.silent());

        // Each call meets a clock that has just gone wrong.
        world.clock.advance(wrong_by_seconds);
        shown[0].approve("fpt", None).await.unwrap();
        assert_eq!(world.platform.count(APPROVE), 2);
        assert_eq!(shown[1].timeout_duration(), LIFE_SECONDS);
        world.clock.advance(-wrong_by_seconds);
        shown[1].deny(DenyReason::None).await.unwrap();
        assert_eq!(world.platform.count("/challenges/challenge-1/deny"), 2);
        world.clock.advance(wrong_by_seconds);
        sdk.process_remote_notification(&silent).await.unwrap();
        assert_eq!(world.platform.count("/challenges/challenge-2/acknowledge"), 2);
        world.clock.advance(-wrong_by_seconds);
        world.notification(&sdk, Challenge::default()).await;
    }
}

#[tokio::test]
async fn an_installation_that_the_platform_does_not_know_is_not_paired() {
    let world = World::new();
    let sdk = world.paired().await;
    let message = world.platform.ask(Challenge::default());
    let refused = || Fate::Answer(error(401, ErrorCode::DeviceNotPaired, None));
    world.platform.will([refused()]);
    let told = sdk.process_remote_notification(&message).await;
    assert!(matches!(told, Err(Error::NotPaired { .. })));
    let shown = sdk.pending_notifications().await.unwrap().remove(0);
    world.platform.will([refused()]);
    let told = shown.approve("fpt", None).await;
    assert!(matches!(told, Err(Error::NotPaired { .. })));
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_is_no_success() {
    let world = World::new();
    let sdk = world.paired().await;
    let shown = world.notification(&sdk, Challenge::default()).await;
    for nonsense in ["DENIED", "ACKNOWLEDGED", "SOMETHING_NEW"] {
        let answer = super::platform::ok(200, &json!({ "status": nonsense }));
        world.platform.will([Fate::Answer(answer)]);
        assert!(matches!(shown.approve("fpt", None).await, Err(Error::Answer(_))), "{nonsense}");
    }
}

#[tokio::test]
async fn nothing_of_a_question_is_printed_but_its_id() {
    let world = World::new();
    let sdk = world.paired().await;
    let shown = world.notification(&sdk, Challenge::default()).await;
    assert_eq!(format!("{shown:?}"), r#"NotificationObject { challenge: "challenge-0", .. }"#);
}
