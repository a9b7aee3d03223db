//! The stored form, and the pure rules on it.

use countersign_protocol::mobile_payload::PushService;
use countersign_protocol::pairing::Name;
use proptest::prelude::*;

use super::*;
use crate::device_token::DeviceToken;
use crate::tests::platform::{APPLICATION, ISSUER, START, Seeded};

fn state() -> State {
    let installation = Thumbprint::from_bytes([7; 32]);
    State {
        clock_offset_seconds: -12,
        clock_learnt_at: Some(START),
        pairings: vec![pairing("ann")],
        pending: Some(PendingPairing {
            ground: Ground::Offer(Offer {
                user: "bob".to_owned(),
                ticket: "ticket".to_owned().into(),
                step_seconds: 30,
                expires_at: START,
            }),
            proof: SignedProof {
                jws: "a.b.c".to_owned().into(),
                jti: Jti::new(&Seeded::new(1)),
                expires_at: START,
            },
        }),
        push: PushState {
            token: Some(DeviceToken::new(PushService::Fcm, "token", None).unwrap()),
            is_refused: true,
            is_pending: true,
        },
        ..State::new(ISSUER, APPLICATION, installation)
    }
}

fn pairing(user: &str) -> Pairing {
    Pairing {
        user: UserFacts {
            id: user.to_owned(),
            username: Some("ann@example".to_owned()),
            name: Name { given: Some("Ann".to_owned()), family: Some("Lee".to_owned()) },
        },
        environment: Reference { id: "e".to_owned() },
        device: Reference { id: "d".to_owned() },
        seed: Some(PasscodeSeed { secret: encoding_of([1; 20]), step_seconds: 30 }),
    }
}

fn encoding_of(bytes: [u8; 20]) -> Secret<String> {
    countersign_protocol::encoding::encode(bytes).into()
}

#[test]
fn a_pairing_by_key_is_stored_and_read_back() {
    let mut state = state();
    let pending = state.pending.as_mut().unwrap();
    pending.ground = Ground::Key("4938 2017 5564".parse().unwrap());
    let blob = state.to_blob().unwrap();
    let value: serde_json::Value = serde_json::from_slice(blob.expose()).unwrap();
    assert_eq!(value["pending"]["key"], "493820175564");
    assert_eq!(State::from_blob(blob.expose()).unwrap(), state);
    assert!(!format!("{state:?}").contains("493820175564"));
}

#[test]
fn the_stored_form_does_not_change() {
    let blob = state().to_blob().unwrap();
    let value: serde_json::Value = serde_json::from_slice(blob.expose()).unwrap();
    insta::assert_json_snapshot!(value);
    assert_eq!(State::from_blob(blob.expose()).unwrap(), state());
}

#[test]
fn the_smallest_stored_form_is_read() {
    let installation = Thumbprint::from_bytes([7; 32]);
    let fresh = State::new(ISSUER, APPLICATION, installation);
    let text = format!(
        r#"{{"version":"1","issuer":"{ISSUER}","application":"{APPLICATION}","installation":"{installation}"}}"#
    );
    assert_eq!(State::from_blob(text.as_bytes()).unwrap(), fresh);
}

#[test]
fn what_was_stored_before_lessons_were_dated_is_read() {
    let mut value: serde_json::Value =
        serde_json::from_slice(state().to_blob().unwrap().expose()).unwrap();
    value.as_object_mut().unwrap().remove("clock_learnt_at").unwrap();
    let old = State::from_blob(value.to_string().as_bytes()).unwrap();
    assert_eq!(old, State { clock_learnt_at: None, ..state() });
}

#[test]
fn a_clock_within_five_seconds_is_right() {
    for (difference, offset) in [(-6, -6), (-5, 0), (0, 0), (5, 0), (6, 6)] {
        let mut state = state();
        state.learn_time(START.plus_seconds(difference), START);
        assert_eq!((state.clock_offset_seconds, state.clock_learnt_at), (offset, Some(START)));
    }
}

#[test]
fn a_clock_counts_as_right_for_a_day() {
    let day = 24 * 60 * 60;
    let mut state = state();
    assert!(!state.is_clock_right(START), "it was wrong");
    state.learn_time(START, START);
    for (seconds, is_right) in [(-1, false), (0, true), (day - 1, true), (day, false)] {
        assert_eq!(state.is_clock_right(START.plus_seconds(seconds)), is_right, "{seconds}");
    }
    state.clock_learnt_at = None;
    assert!(!state.is_clock_right(START), "it was never compared");
}

#[test]
fn no_secret_is_printed() {
    let printed = format!("{:?}", state());
    for secret in ["ticket\"", "a.b.c", encoding_of([1; 20]).expose().as_str()] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

#[test]
fn pairing_again_replaces_the_older_pairing_of_the_user() {
    let mut state = state();
    let mut again = pairing("ann");
    again.device.id = "d2".to_owned();
    state.add_pairing(again.clone());
    assert_eq!(state.pairings, [again]);
}

proptest! {
    #[test]
    fn a_passcode_window_holds_the_present(
        micros in 0..4_000_000_000_000_000_i64,
        step in 1_i64..600,
    ) {
        let now = Timestamp::from_micros(micros);
        let shown = window("000000".parse().unwrap(), step, now);
        prop_assert!(shown.valid_from <= now && now < shown.valid_until);
        prop_assert!((1..=step).contains(&shown.seconds_remaining));
    }
}
