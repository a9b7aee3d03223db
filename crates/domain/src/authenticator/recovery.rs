//! Recovery codes: what a person keeps on paper for the day on which all devices are lost.

use std::str::FromStr;

use countersign_protocol::{
    authentication_code::CODE_ALPHABET,
    entropy::{Entropy, random},
    secret::Secret,
};

/// How many codes there are at first.
pub const RECOVERY_CODES: usize = 10;

/// Characters of a code: fifty bits, so that whoever gets the hashes without their key guesses none.
const CHARACTERS: usize = 10;

/// One code, in capital letters and without what people put between its characters.
#[derive(Clone, PartialEq, Eq)]
pub struct RecoveryCode(Secret<String>);

impl RecoveryCode {
    /// Draws one.
    #[must_use]
    pub fn draw(entropy: &dyn Entropy) -> Self {
        let bytes: [u8; CHARACTERS] = random(entropy);
        // Thirty-two divides a byte, so each character is as likely as the others.
        let character = |byte: u8| CODE_ALPHABET.get(usize::from(byte & 31)).copied();
        let characters = bytes.into_iter().filter_map(character).map(char::from);
        Self(Secret::new(characters.collect()))
    }

    /// Its characters.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// Its characters in two groups, as people read what is long.
    #[must_use]
    pub fn in_groups(&self) -> Secret<String> {
        let (first, rest) = self.expose().split_at(CHARACTERS / 2);
        Secret::new(format!("{first}-{rest}"))
    }
}

/// A text that is no recovery code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a recovery code has ten letters and digits")]
pub struct NoCode;

/// In either case, with spaces and dashes anywhere.
impl FromStr for RecoveryCode {
    type Err = NoCode;

    fn from_str(text: &str) -> Result<Self, NoCode> {
        let is_between = |c: char| c.is_whitespace() || matches!(c, '-' | '\u{2010}'..='\u{2015}');
        // One more than any code has: what is longer is none, however long it is.
        let bare = text.chars().filter(|c| !is_between(*c)).take(CHARACTERS + 1);
        let code = bare.collect::<String>().to_ascii_uppercase();
        let fits =
            code.len() == CHARACTERS && code.bytes().all(|byte| CODE_ALPHABET.contains(&byte));
        fits.then(|| Self(Secret::new(code))).ok_or(NoCode)
    }
}
