//! Time-based one-time passcodes (RFC 6238 with HMAC-SHA-1) of six digits.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::hmac;
use serde::{Deserialize, Serialize, Serializer};

use crate::secret::Secret;
use crate::time::Timestamp;

/// Digits of a passcode.
pub const DIGITS: u8 = 6;

/// The step when nobody says another one (RFC 6238 section 5.2).
pub const DEFAULT_STEP_SECONDS: i64 = 30;

/// Six decimal digits that are good for a moment. Printed as `***`, compared in constant time.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Passcode(Secret<String>);

/// A text that is not six decimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a passcode has exactly six digits")]
pub struct PasscodeError;

impl Passcode {
    /// The digits, to be shown to the user.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl FromStr for Passcode {
    type Err = PasscodeError;

    fn from_str(text: &str) -> Result<Self, PasscodeError> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for Passcode {
    type Error = PasscodeError;

    fn try_from(text: String) -> Result<Self, PasscodeError> {
        let text = Secret::new(text);
        let is_passcode = text.expose().len() == usize::from(DIGITS)
            && text.expose().bytes().all(|byte| byte.is_ascii_digit());
        if is_passcode { Ok(Self(text)) } else { Err(PasscodeError) }
    }
}

impl Serialize for Passcode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose())
    }
}

impl fmt::Debug for Passcode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, formatter)
    }
}

/// The number of the step that `now` lies in (RFC 6238 section 4.2: T, with T0 = 0).
#[must_use]
pub const fn step_at(step_seconds: i64, now: Timestamp) -> i64 {
    let step_seconds = if step_seconds < 1 { 1 } else { step_seconds };
    now.unix_seconds().div_euclid(step_seconds)
}

/// The passcode of `secret` at `now`.
#[must_use]
pub fn generate(secret: &[u8], step_seconds: i64, now: Timestamp) -> Passcode {
    passcode_of_step(&key(secret), step_at(step_seconds, now))
}

/// The step whose passcode `code` is, among the present one and `windows` on each side; the latest
/// when several fit. `None` when none does, or `code` is not a passcode.
///
/// All windows are computed and compared, so that the time taken tells nothing. Whoever accepts
/// must remember the step and refuse it and earlier ones from then on (RFC 6238 section 5.2).
#[must_use]
pub fn matching_step(
    secret: &[u8],
    step_seconds: i64,
    windows: u8,
    code: &str,
    now: Timestamp,
) -> Option<i64> {
    let code: Passcode = code.parse().ok()?;
    let (key, present) = (key(secret), step_at(step_seconds, now));
    let (first, last) = (present - i64::from(windows), present + i64::from(windows));
    (first..=last).fold(
        None,
        |found, step| {
            if passcode_of_step(&key, step) == code { Some(step) } else { found }
        },
    )
}

fn key(secret: &[u8]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret)
}

/// HOTP (RFC 4226 section 5.3) of the step's number.
fn passcode_of_step(key: &hmac::Key, step: i64) -> Passcode {
    let tag = hmac::sign(key, &step.to_be_bytes());
    let mac = tag.as_ref();
    let offset = usize::from(mac.last().copied().unwrap_or_default() & 0x0f);
    let number =
        mac.iter().skip(offset).take(4).fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
    let code = (number & 0x7fff_ffff) % 10_u32.pow(u32::from(DIGITS));
    Passcode(Secret::new(format!("{code:06}")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECRET: &[u8] = b"12345678901234567890";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    #[test]
    fn the_vectors_of_rfc_6238_hold() {
        // Appendix B has eight digits; six digits are the last six of them.
        for (seconds, expected) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(generate(SECRET, 30, at(seconds)).expose(), expected);
        }
    }

    #[test]
    fn the_vectors_of_rfc_4226_hold() {
        let codes: Vec<_> =
            (0..10).map(|i| generate(SECRET, 30, at(i * 30)).expose().to_owned()).collect();
        assert_eq!(
            codes.join(" "),
            "755224 287082 359152 969429 338314 254676 287922 162583 399871 520489"
        );
    }

    #[test]
    fn only_the_windows_asked_for_match() {
        let code = |seconds| generate(SECRET, 30, at(seconds)).expose().to_owned();
        let step = |code: &str, windows| matching_step(SECRET, 30, windows, code, at(3_000));
        assert_eq!(step(&code(3_000), 0), Some(100));
        assert_eq!(step(&code(3_029), 0), Some(100));
        assert_eq!(step(&code(2_999), 0), None);
        assert_eq!(step(&code(2_999), 1), Some(99));
        assert_eq!(step(&code(3_030), 1), Some(101));
        assert_eq!(step(&code(3_060), 1), None);
    }

    #[test]
    fn what_is_not_six_ascii_digits_is_no_passcode() {
        for text in ["", "12345", "1234567", "12345a", " 12345", "１２３４５６", "+12345"] {
            assert_eq!(text.parse::<Passcode>(), Err(PasscodeError));
            assert_eq!(matching_step(SECRET, 30, 1, text, at(0)), None);
        }
    }

    #[test]
    fn a_passcode_is_never_printed() {
        assert_eq!(format!("{:?}", generate(SECRET, 30, at(0))), "***");
    }

    proptest! {
        #[test]
        fn a_fresh_passcode_is_found_in_its_step(
            secret: [u8; 20],
            seconds in 0..i64::from(u32::MAX),
            step in 1_i64..600,
        ) {
            let code = generate(&secret, step, at(seconds));
            prop_assert_eq!(
                matching_step(&secret, step, 0, code.expose(), at(seconds)),
                Some(seconds / step)
            );
        }
    }
}
