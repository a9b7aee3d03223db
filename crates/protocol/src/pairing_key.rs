//! Pairing keys: what a person types, or a camera reads, to pair a phone by hand.

use serde::{Deserialize, Serialize};

use crate::authentication_code::CODE_ALPHABET;
use crate::device_api::DeviceRequest;
use crate::jwk::EcPublicKey;
use crate::mobile_payload::{AppFacts, Confirmation, DeviceFacts, PushAddress, Unfit, check_facts};
use crate::otp::{DEFAULT_STEP_SECONDS, Passcode};
use crate::pairing::{Pair, PairingFacts, PairingResponse};
use crate::proof::Proof;
use crate::secret::{self, Secret};

/// How many digits a numeric key has.
pub const NUMERIC_CHARACTERS: usize = 12;

/// How many characters an alphanumeric key has, out of [`CODE_ALPHABET`]: eighty bits.
pub const ALPHANUMERIC_CHARACTERS: usize = 16;

/// What a key is made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyFormat {
    /// Digits, which a person types easily: one of 10^12.
    #[default]
    Numeric,
    /// Letters and digits, which nobody guesses: one of 2^80.
    Alphanumeric,
}

/// A key, in capital letters and without what people put between its characters.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Key(#[serde(serialize_with = "secret::reveal")] Secret<String>);

/// Says nothing: for as long as it lives, whoever has it can pair a phone.
impl std::fmt::Debug for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Key(..)")
    }
}

/// A text that is no pairing key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a pairing key of 12 digits, or of 16 letters and digits")]
pub struct NoKey;

impl Key {
    /// The key of this format that random bits make.
    #[must_use]
    pub fn from_bits(format: KeyFormat, bits: u128) -> Self {
        Self(Secret::new(match format {
            // Of so many bits each remainder is as likely as the others.
            KeyFormat::Numeric => format!("{:012}", bits % 1_000_000_000_000),
            KeyFormat::Alphanumeric => {
                let character = |place: usize| {
                    let index = usize::try_from(bits >> (place * 5) & 31).unwrap_or_default();
                    char::from(CODE_ALPHABET.get(index).copied().unwrap_or(b'2'))
                };
                (0..ALPHANUMERIC_CHARACTERS).map(character).collect()
            }
        }))
    }

    /// What it is made of.
    #[must_use]
    pub fn format(&self) -> KeyFormat {
        match self.0.expose().len() {
            NUMERIC_CHARACTERS => KeyFormat::Numeric,
            _ => KeyFormat::Alphanumeric,
        }
    }

    /// Its characters.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

/// In either case, with spaces and dashes anywhere: so people write down what is long.
impl std::str::FromStr for Key {
    type Err = NoKey;

    fn from_str(text: &str) -> Result<Self, NoKey> {
        let is_between = |c: char| c.is_whitespace() || matches!(c, '-' | '\u{2010}'..='\u{2015}');
        let bare = text.chars().filter(|c| !is_between(*c));
        // One more than any key has: what is longer is none, however long it is.
        let key: String = bare.take(ALPHANUMERIC_CHARACTERS + 1).collect();
        let key = key.to_ascii_uppercase();
        let fits = match key.len() {
            NUMERIC_CHARACTERS => key.bytes().all(|byte| byte.is_ascii_digit()),
            ALPHANUMERIC_CHARACTERS => key.bytes().all(|byte| CODE_ALPHABET.contains(&byte)),
            _ => false,
        };
        fits.then(|| Self(Secret::new(key))).ok_or(NoKey)
    }
}

impl TryFrom<String> for Key {
    type Error = NoKey;

    fn try_from(text: String) -> Result<Self, NoKey> {
        text.parse()
    }
}

/// The phone has read a key, and is to be paired to the user whom the key is for. The first that says so is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyPairingRequest {
    /// From `GET D/nonce`, at most 300 s old.
    pub nonce: String,
    /// The key.
    pub key: Key,
    /// The possession key of the installation (RFC 7800 section 3.2), which the platform need not know yet.
    pub cnf: Confirmation,
    /// The key to which the seed is sealed.
    pub agreement: EcPublicKey,
    /// As in a [`crate::pairing::PairingRequest`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<String>,
    /// The [`crate::pairing::passcode_proof`] of the key's characters, at steps of
    /// [`crate::otp::DEFAULT_STEP_SECONDS`].
    pub passcode: Passcode,
    /// The app.
    pub app: AppFacts,
    /// The phone.
    pub dev: DeviceFacts,
    /// Where the app can be woken; absent when it has no address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push: Option<PushAddress>,
}

impl Proof for KeyPairingRequest {
    const TYP: &'static str = "countersign-key-pairing+jwt";
    const LIFE_SECONDS: i64 = 300;

    fn check(&self) -> Result<(), Unfit> {
        check_facts(&self.app, &self.dev, self.push.as_ref())
    }
}

impl DeviceRequest for KeyPairingRequest {
    const PATH: &'static str = "/pairing-keys/claims";
    type Response = PairingResponse;
}

impl Pair for KeyPairingRequest {
    fn facts(&self) -> PairingFacts<'_> {
        PairingFacts {
            nonce: &self.nonce,
            secret: self.key.expose(),
            agreement: &self.agreement,
            verification: self.verification.as_deref(),
            passcode: &self.passcode,
            step_seconds: Some(DEFAULT_STEP_SECONDS),
            app: &self.app,
            dev: &self.dev,
            push: self.push.as_ref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Option<(String, KeyFormat)> {
        let key: Key = text.parse().ok()?;
        Some((key.expose().to_owned(), key.format()))
    }

    #[test]
    fn a_key_is_read_in_either_case_and_with_what_people_put_between() {
        let digits = Some(("493820175564".to_owned(), KeyFormat::Numeric));
        for text in [
            "493820175564",
            " 493820175564\n",
            "4938 2017 5564",
            "493-820-175-564",
            "4938\u{a0}2017\u{2011}5564",
        ] {
            assert_eq!(parsed(text), digits, "{text}");
        }
        let mixed = Some(("7F45HGF5ABCDWXYZ".to_owned(), KeyFormat::Alphanumeric));
        for text in ["7F45HGF5ABCDWXYZ", "7f45hgf5abcdwxyz", "7F45-HGF5-abcd-WXYZ"] {
            assert_eq!(parsed(text), mixed, "{text}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in [
            "",
            "49382017556",
            "4938201755645",
            "49382017556A",
            "7F45HGF5ABCDWXY",
            "7F45HGF5ABCDWXYZ2",
            "7F45HGF5ABCDWXY0",
            "7F45HGF5ABCDWXYI",
            "4938_2017_5564",
            "\u{664}\u{664}\u{664}\u{664}\u{664}\u{664}",
            "https://bank.example/?pairing_key=493820175564",
        ] {
            assert_eq!(text.parse::<Key>(), Err(NoKey), "{text}");
        }
    }

    #[test]
    fn a_key_does_not_show_itself() {
        assert_eq!(format!("{:?}", Key::from_bits(KeyFormat::Numeric, 7)), "Key(..)");
    }

    proptest! {
        #[test]
        fn each_number_and_each_of_eighty_bits_counts(
            number in 0_u128..1_000_000_000_000, bits in 0_u128..1 << 80, other in 0_u128..1 << 80
        ) {
            let digits = Key::from_bits(KeyFormat::Numeric, number);
            prop_assert_eq!(digits.format(), KeyFormat::Numeric);
            prop_assert_eq!(digits.expose().parse(), Ok(number));
            let mixed = Key::from_bits(KeyFormat::Alphanumeric, bits);
            prop_assert_eq!(mixed.format(), KeyFormat::Alphanumeric);
            prop_assert_eq!(mixed.expose().parse(), Ok(mixed.clone()));
            let equal = mixed == Key::from_bits(KeyFormat::Alphanumeric, other);
            prop_assert_eq!(equal, bits == other);
        }

        #[test]
        fn whatever_a_person_types_does_no_harm(text in ".{0,200}") {
            let _ = text.parse::<Key>();
        }
    }
}
