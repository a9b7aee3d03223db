//! Passwords: what is kept of them, and when one counts.

use countersign_protocol::{secret::Secret, time::Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    invalid::{Check, Invalid, Rule},
    lockout::{Limit, Lockout},
};

/// Five wrong passwords in a row lock for fifteen minutes: the vendor's "Standard" policy.
pub const LIMIT: Limit = Limit { failures: 5, lock_seconds: 900 };

/// An Argon2id hash (RFC 9106) with the parameters that made it, so that they can be raised later.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordHash {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// 16 random bytes, base64url.
    pub salt: String,
    /// 32 bytes, base64url.
    pub hash: String,
}

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash(***)")
    }
}

/// The password of a user, as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Password {
    /// The hash.
    pub hash: PasswordHash,
    /// When it was last set.
    pub changed_at: Timestamp,
    /// Whether it serves only to choose another one: somebody else has seen it.
    #[serde(default)]
    pub must_change: bool,
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The password is right and counts.
    Accepted,
    /// The password is wrong.
    Refused,
    /// The password is locked, right or not.
    LockedOut { until: Timestamp },
}

/// Counts an attempt. Whether the text matched the hash was found out before, off the transaction; only here is decided
/// whether it counts, so that guesses that ran side by side cannot slip past the lock.
#[must_use]
pub fn attempt(counted: Lockout, matches: bool, now: Timestamp) -> (Lockout, Attempt) {
    if let Some(until) = counted.locked_until(now) {
        return (counted, Attempt::LockedOut { until });
    }
    if matches {
        return (Lockout::cleared(), Attempt::Accepted);
    }
    let counted = counted.failed(LIMIT, now);
    match counted.locked_until(now) {
        Some(until) => (counted, Attempt::LockedOut { until }),
        None => (counted, Attempt::Refused),
    }
}

/// The letters of one-time passwords: digits and small letters without `i`, `l`, `o` and `u` (Crockford's base 32).
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A password to be typed once, with the 80 bits of entropy of its random bytes: `k7f2-09qx-m3te-zz8d`.
#[must_use]
pub fn one_time(random: &[u8; 16]) -> Secret<String> {
    let letter = |byte: &u8| LETTERS.get(usize::from(byte % 32)).copied().map_or('0', char::from);
    let group = |bytes: &[u8]| bytes.iter().map(letter).collect::<String>();
    Secret::new(random.chunks(4).map(group).collect::<Vec<_>>().join("-"))
}

/// The fewest characters of any password (NIST SP 800-63B-4, section 3.1.1.2, for one with a second factor).
pub const MIN_CHARACTERS: usize = 8;

/// The most characters of any password.
pub const MAX_CHARACTERS: usize = 256;

/// The rules for a password that an administrator sets: its length, and nothing on its composition.
pub fn validate(password: &str) -> Result<(), Invalid> {
    let length = password.chars().count();
    let (min, max) = (MIN_CHARACTERS, MAX_CHARACTERS);
    let mut check = Check::default();
    check.require(length >= min, "password", Rule::TooShort { min });
    check.require(length <= max, "password", Rule::TooLong { max });
    check.finish()
}

mod requirements;

pub use requirements::{Requirements, Unmet};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fifth_wrong_password_locks_and_the_right_one_then_does_not_count() {
        let now = Timestamp::from_unix_seconds(10);
        let mut counted = Lockout::default();
        for _ in 0..4 {
            let (next, told) = attempt(counted, false, now);
            assert_eq!(told, Attempt::Refused);
            counted = next;
        }
        let until = now.plus_seconds(900);
        let (counted, told) = attempt(counted, false, now);
        assert_eq!(told, Attempt::LockedOut { until });
        assert_eq!(attempt(counted, true, now.plus_seconds(899)).1, Attempt::LockedOut { until });
        assert_eq!(attempt(counted, true, until).1, Attempt::Accepted);
    }

    #[test]
    fn a_one_time_password_may_be_a_password_and_has_every_letter_alike() {
        let bytes: Vec<u8> = (0..=255).collect();
        let mut counts = std::collections::BTreeMap::new();
        for random in bytes.chunks_exact(16) {
            let password = one_time(random.try_into().unwrap());
            assert_eq!(validate(password.expose()), Ok(()));
            assert_eq!(password.expose().len(), 19);
            for letter in password.expose().chars().filter(|c| *c != '-') {
                *counts.entry(letter).or_insert(0) += 1;
            }
        }
        assert_eq!(counts.len(), 32);
        assert!(counts.values().all(|count| *count == 8), "{counts:?}");
    }

    #[test]
    fn a_right_password_clears_the_count() {
        let now = Timestamp::from_unix_seconds(10);
        let (counted, _) = attempt(Lockout::default(), false, now);
        assert_eq!(attempt(counted, true, now), (Lockout::cleared(), Attempt::Accepted));
    }
}
