//! Who guesses keys is stopped, wherever the guesses come from, and nobody has more keys than are of use.

use countersign_protocol::pairing_key::{Key, KeyFormat};
use countersign_sdk::{Error, PairingRefusal};
use countersign_server::{Budget, Limit, LimitSettings};
use countersign_store::Engine;
use futures_util::future::join_all;

use super::{make_keys_of, refusal};
use crate::world::{Phone, World};

on_both_engines!(a_user_has_twenty_keys_that_can_be_used, twenty_keys_are_twenty_also_at_once);

const THREE: Limit = Limit::new(0.1, 3);

fn guess(number: u128) -> String {
    Key::from_bits(KeyFormat::Numeric, number).expose().to_owned()
}

async fn is_limited(phone: &Phone, key: &str, seconds: u64) {
    let limited = phone.sdk.pair(key).await;
    let Err(Error::Unavailable { status: 429, retry_after_seconds: Some(told), .. }) = limited
    else {
        panic!("{limited:?}")
    };
    assert_eq!(told, seconds);
}

async fn a_user_has_twenty_keys_that_can_be_used(w: &mut World) {
    let backend = w.pairing_backend().await;
    let ann = w.bank.ann.id.to_string();
    let mut keys = Vec::new();
    for _ in 0..20 {
        keys.push(backend.make_key(w.bank.ann.id, &w.key_wanted()).await);
    }
    let full = backend.ask_for_key(&ann, &w.key_wanted()).await.must_be(400);
    assert_eq!(full.problem().1, "LIMIT_EXCEEDED");
    assert_eq!(full.json()["details"][0]["innerError"]["maximumAllowed"], 20);
    // Others have their own.
    let bob = w.user("bob").await;
    backend.make_key(bob.id, &w.key_wanted()).await;
    // One that is used, withdrawn or expired makes room.
    w.phone().await.sdk.pair(keys[0].characters()).await.unwrap();
    backend.make_key(w.bank.ann.id, &w.key_wanted()).await;
    backend.ask_for_key(&ann, &w.key_wanted()).await.must_be(400);
    keys[1].withdraw().await.must_be(204);
    backend.make_key(w.bank.ann.id, &w.key_wanted()).await;
    backend.ask_for_key(&ann, &w.key_wanted()).await.must_be(400);
    w.advance(600);
    for _ in 0..20 {
        backend.make_key(w.bank.ann.id, &w.key_wanted()).await;
    }
    backend.ask_for_key(&ann, &w.key_wanted()).await.must_be(400);
}

async fn twenty_keys_are_twenty_also_at_once(w: &mut World) {
    let backend = w.pairing_backend().await;
    let (ann, wanted) = (w.bank.ann.id.to_string(), w.key_wanted());
    for _ in 0..17 {
        backend.make_key(w.bank.ann.id, &wanted).await;
    }
    let answers = join_all((0..6).map(|_| backend.ask_for_key(&ann, &wanted))).await;
    let with = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((with(201), with(400)), (3, 3));
}

#[tokio::test]
async fn an_installation_shows_few_keys_right_or_wrong() {
    let w = World::limited(LimitSettings { installation: THREE, ..LimitSettings::off() }).await;
    let (guesser, other) = (w.phone().await, w.phone().await);
    for number in 0..3 {
        let tried = guesser.sdk.pair(&guess(number)).await;
        assert_eq!(refusal(tried), PairingRefusal::KeyInvalid);
    }
    let mut key = w.pairing_key().await;
    is_limited(&guesser, key.characters(), 10).await;
    assert_eq!(key.refresh().await, "UNCLAIMED");
    other.sdk.pair(key.characters()).await.unwrap();
    w.advance(10);
    guesser.sdk.pair(w.pairing_key().await.characters()).await.unwrap();
}

#[tokio::test]
async fn many_installations_at_one_address_show_few_keys() {
    let code = Budget { address: THREE, ..Budget::OFF };
    let w = World::limited(LimitSettings { code, ..LimitSettings::off() }).await;
    for number in 0..3 {
        let guessed = w.phone().await.sdk.pair(&guess(number)).await;
        assert_eq!(refusal(guessed), PairingRefusal::KeyInvalid);
    }
    let (key, phone) = (w.pairing_key().await, w.phone().await);
    is_limited(&phone, key.characters(), 10).await;
    w.advance(10);
    phone.sdk.pair(key.characters()).await.unwrap();
}

#[tokio::test]
async fn after_many_wrong_digits_an_environment_takes_none_for_a_minute() {
    let w = World::with_settings(Engine::Sqlite, |settings| settings.pairing_key_guesses = 3).await;
    let numeric = w.pairing_key().await;
    make_keys_of(&w, KeyFormat::Alphanumeric).await;
    let long = w.pairing_key().await;
    // Nobody guesses these, so they are not counted.
    for bits in 0..4 {
        let wrong = Key::from_bits(KeyFormat::Alphanumeric, bits);
        let guessed = w.phone().await.sdk.pair(wrong.expose()).await;
        assert_eq!(refusal(guessed), PairingRefusal::KeyInvalid);
    }
    for number in 0..3 {
        let guessed = w.phone().await.sdk.pair(&guess(number)).await;
        assert_eq!(refusal(guessed), PairingRefusal::KeyInvalid);
    }
    let phone = w.phone().await;
    is_limited(&phone, numeric.characters(), 60).await;
    w.phone().await.sdk.pair(long.characters()).await.unwrap();
    w.advance(60);
    phone.sdk.resume_pairing().await.unwrap().unwrap();
}
