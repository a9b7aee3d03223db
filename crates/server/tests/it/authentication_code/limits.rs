//! Who guesses codes is stopped, wherever the guesses come from.

use countersign_protocol::authentication_code::Code;
use countersign_sdk::{CodeRefusal, CodeStatus, Error};
use countersign_server::{Budget, Limit, LimitSettings};

use super::{read, refusal};
use crate::world::{Phone, World};

const THREE: Limit = Limit::new(0.1, 3);

/// Three codes that do not exist, and a fourth that is not looked at any more.
async fn guess(phone: &Phone) {
    for bits in 0..3 {
        let guessed = phone.sdk.authenticate(Code::from_bits(bits).expose()).await;
        assert_eq!(refusal(guessed), CodeRefusal::Invalid);
    }
    is_limited(phone, Code::from_bits(3).expose()).await;
}

async fn is_limited(phone: &Phone, code: &str) {
    let limited = phone.sdk.authenticate(code).await;
    let Err(Error::Unavailable { status: 429, retry_after_seconds: Some(10), .. }) = limited else {
        panic!("{limited:?}")
    };
}

#[tokio::test]
async fn an_installation_reads_few_codes_right_or_wrong() {
    let w = World::limited(LimitSettings { installation: THREE, ..LimitSettings::off() }).await;
    let guesser = w.phone_paired_to("ann").await;
    w.user("bob").await;
    let other = w.phone_paired_to("bob").await;
    guess(&guesser).await;
    let mut code = w.code_unasked().await;
    is_limited(&guesser, code.uri()).await;
    assert_eq!(code.refresh().await, "UNCLAIMED");
    assert_eq!(read(&other, &code).await.status(), CodeStatus::Completed);
    w.advance(10);
    let code = w.code_unasked().await;
    assert_eq!(read(&guesser, &code).await.status(), CodeStatus::Completed);
}

#[tokio::test]
async fn many_installations_at_one_address_read_few_codes() {
    let code = Budget { address: THREE, ..Budget::OFF };
    let w = World::limited(LimitSettings { code, ..LimitSettings::off() }).await;
    let guesser = w.phone_paired_to("ann").await;
    w.user("bob").await;
    let other = w.phone_paired_to("bob").await;
    guess(&guesser).await;
    is_limited(&other, Code::from_bits(4).expose()).await;
    let code = w.code_unasked().await;
    w.advance(10);
    assert_eq!(read(&other, &code).await.status(), CodeStatus::Completed);
    let refused: Vec<_> = w.server.limits().refused().collect();
    assert!(refused.contains(&("code", "address", 2)), "{refused:?}");
}
