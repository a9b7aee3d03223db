//! The life of an authenticator, event by event.

use std::{collections::BTreeMap, str::FromStr};

use countersign_protocol::{entropy::Entropy, secret::Secret};

use super::*;
use crate::fixture::{NOW, authenticator, device, id};

const LIMIT: Limit = Limit { failures: 2, lock_seconds: 120 };

fn matched(state: &State, step: i64, at: Timestamp) -> Result<Step, Refusal> {
    apply(state, Event::PasscodeMatched { step }, at)
}

#[test]
fn the_passcode_that_activates_does_not_count_again() {
    let step = matched(&State::new(NOW), 7, NOW).unwrap();
    assert_eq!(step.state, State::paired(7));
    let spent = Refusal::Device(device::Refusal::PasscodeSpent);
    assert_eq!(matched(&step.state, 7, NOW), Err(spent));
    assert!(matched(&step.state, 8, NOW).is_ok());
}

#[test]
fn an_activation_ends_with_its_time_or_with_too_many_wrong_passcodes() {
    let new = State::new(NOW);
    let last = NOW.plus_seconds(ACTIVATION_SECONDS - 1);
    assert!(matched(&new, 7, last).is_ok());
    let late = NOW.plus_seconds(ACTIVATION_SECONDS);
    assert_eq!(matched(&new, 7, late), Err(Refusal::TooLate));
    let wrong = Event::PasscodeWrong { limit: LIMIT };
    assert_eq!(apply(&new, wrong, late), Err(Refusal::TooLate));
    let once = apply(&new, wrong, NOW).unwrap();
    assert!(!once.effects.contains(&Effect::Delete));
    let twice = apply(&once.state, wrong, NOW).unwrap();
    assert!(twice.effects.contains(&Effect::Delete));
    let removed = Refusal::Device(device::Refusal::Removed);
    assert_eq!(matched(&twice.state, 7, NOW), Err(removed));
}

#[test]
fn one_that_is_not_activated_is_no_device() {
    let new = Authenticator { state: State::new(NOW), ..authenticator(1) };
    assert!(!new.counts() && !AnyDevice::Authenticator(&new).is_usable(NOW));
    for event in [Event::Block, Event::Unblock, Event::Unlock] {
        assert_eq!(apply(&new.state, event, NOW), Err(Refusal::NotActivated));
    }
}

#[test]
fn devices_of_all_kinds_are_in_one_order_and_recovery_codes_are_the_last() {
    let codes = |hashes: &[&str]| Kind::RecoveryCodes {
        hashes: hashes.iter().map(|hash| (*hash).to_owned()).collect(),
    };
    let phones = [device(3), Device { place: Some(1), ..device(4) }];
    let others = [
        Authenticator { kind: codes(&["a"]), place: Some(0), ..authenticator(1) },
        authenticator(2),
        Authenticator { place: Some(0), ..authenticator(5) },
    ];
    let order: Vec<_> = AnyDevice::all(&phones, &others).into_iter().map(AnyDevice::id).collect();
    assert_eq!(order, [5, 4, 2, 3, 1].map(id::<Device>));
    let spent = Authenticator { kind: codes(&[]), ..authenticator(1) };
    assert!(!spent.counts() && AnyDevice::Authenticator(&spent).is_usable(NOW));
}

/// The seed of the test vectors of RFC 6238, appendix B.
fn seed() -> Secret<Vec<u8>> {
    Secret::new(b"12345678901234567890".to_vec())
}

#[test]
fn a_seed_reads_as_base32_has_it() {
    // RFC 4648, section 10, without the padding.
    let table = [
        ("", ""),
        ("f", "MY"),
        ("fo", "MZXQ"),
        ("foo", "MZXW6"),
        ("foob", "MZXW6YQ"),
        ("fooba", "MZXW6YTB"),
        ("foobar", "MZXW6YTBOI"),
    ];
    for (bytes, text) in table {
        assert_eq!(totp::secret_text(&Secret::new(bytes.into())).expose(), text);
    }
    assert_eq!(totp::secret_text(&seed()).expose(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
}

#[test]
fn an_app_reads_issuer_account_and_seed_off_the_address() {
    let uri = totp::key_uri(&seed(), ("The Bank & Co", "ann+1@example.org"), &BTreeMap::new());
    assert_eq!(
        uri.expose(),
        "otpauth://totp/The%20Bank%20%26%20Co:ann%2B1%40example.org?\
         secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=The%20Bank%20%26%20Co\
         &algorithm=SHA1&digits=6&period=30"
    );
    let told = [("issuer", "Bank"), ("image", "https://bank.example/a.png")];
    let told = told.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let uri = totp::key_uri(&seed(), ("Other", "ann"), &told.into());
    assert!(uri.expose().starts_with("otpauth://totp/Bank:ann?"), "{}", uri.expose());
    assert!(uri.expose().ends_with("&image=https%3A%2F%2Fbank.example%2Fa.png"));
    for (name, fits) in [("issuer", true), ("Secret", false), ("digits", false), ("", false)] {
        assert_eq!(totp::is_parameter(name, "1"), fits, "{name}");
    }
}

struct Counting;

impl Entropy for Counting {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.iter_mut().zip(0_u8..).for_each(|(byte, count)| *byte = count.wrapping_mul(29));
    }
}

#[test]
fn a_recovery_code_is_read_as_people_write_it() {
    let code = RecoveryCode::draw(&Counting);
    let shown = code.in_groups();
    assert_eq!((code.expose().len(), shown.expose().len()), (10, 11));
    for text in [shown.expose().to_lowercase(), format!(" {} ", code.expose())] {
        assert!(RecoveryCode::from_str(&text).is_ok_and(|read| read == code), "{text}");
    }
    for text in ["", "ABCDE", "ABCDE-FGHJK2", "ABCDE-FGHJ!"] {
        assert!(RecoveryCode::from_str(text).is_err(), "{text}");
    }
}

fn sending(n: u8, flow: u8, at: Timestamp) -> Sending {
    Sending { id: id(n), flow: id(flow), digits: 6, sent_at: at, spent: false }
}

#[test]
fn a_passcode_that_was_sent_is_good_for_its_sign_on_alone_and_only_the_last_one() {
    let target = Target::new("ann@example.org".to_owned());
    let target = target.after(sending(1, 1, NOW)).unwrap();
    let target = target.after(sending(2, 2, NOW)).unwrap();
    let good = |target: &Target, flow, at| target.good_for(id(flow), 60, at).map(|known| known.id);
    assert_eq!(good(&target, 1, NOW), Some(id(1)));
    assert_eq!(good(&target, 3, NOW), None);
    assert_eq!(good(&target, 1, NOW.plus_seconds(59)), Some(id(1)));
    assert_eq!(good(&target, 1, NOW.plus_seconds(60)), None);
    let again = target.after(sending(3, 1, NOW)).unwrap();
    assert_eq!(good(&again, 1, NOW), Some(id(3)));
    // One that has counted does not make the one before it good again.
    assert_eq!(good(&again.without(id(3)), 1, NOW), None);
    assert_eq!(good(&again.without(id(3)), 2, NOW), Some(id(2)));
    assert_eq!(good(&again.spent(), 2, NOW), None);
}

#[test]
fn so_many_passcodes_are_sent_in_a_while_and_no_more() {
    let mut target = Target::new("+4915112345678".to_owned());
    for n in 1..=5 {
        target = target.after(sending(n, n, NOW)).unwrap();
    }
    // Having counted makes no room.
    assert_eq!(target.spent().after(sending(6, 6, NOW.plus_seconds(899))), None);
    let later = target.after(sending(6, 6, NOW.plus_seconds(900))).unwrap();
    assert_eq!(later.sendings.len(), 6);
    let much_later = later.after(sending(7, 7, NOW.plus_seconds(1_800))).unwrap();
    assert_eq!(much_later.sendings.len(), 2);
}

#[test]
fn addresses_are_told_apart_from_what_is_none_and_masked() {
    for (text, fits) in [
        ("ann@example.org", true),
        ("ann+1@mail.example.org", true),
        ("ann@localhost", true),
        ("ann", false),
        ("@example.org", false),
        ("ann@", false),
        ("ann@exa mple.org", false),
        ("ann@example..org", false),
        ("ann@evil.example@example.org", false),
        ("ann\r\nBcc: x@example.org", false),
        ("a\u{202e}@example.org", false),
    ] {
        assert_eq!(is_mail_address(text), fits, "{text}");
    }
    for (text, fits) in
        [("+4915112345678", true), ("4915112345678", false), ("+0123456789", false), ("+49", false)]
    {
        assert_eq!(is_phone_number(text), fits, "{text}");
    }
    assert_eq!(Target::new("ann@example.org".to_owned()).masked(), "a***@example.org");
    assert_eq!(Target::new("+4915112345678".to_owned()).masked(), "************78");
}
