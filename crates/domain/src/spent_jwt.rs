//! What is remembered of a JWT that counts once.

use aws_lc_rs::digest;
use countersign_protocol::time::Timestamp;

/// Names a JWT that has counted, until it could not count any more.
///
/// The end leads the key under which it is stored. It is signed, so a replay has the same, and the table grows and
/// shrinks at its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpentJwt {
    /// When the JWT is refused by its age alone, so that it need not be remembered.
    pub until: Timestamp,
    /// SHA-256 of its kind, of who made it and of its `jti`.
    pub hash: [u8; 32],
}

impl SpentJwt {
    /// A JWT of a kind that its maker has given a name, `jti`.
    #[must_use]
    pub fn named(until: Timestamp, kind: &str, maker: &str, jti: &str) -> Self {
        Self::of(until, &[kind.as_bytes(), maker.as_bytes(), b"jti", jti.as_bytes()])
    }

    /// A JWT of a kind that has no name but what was signed.
    #[must_use]
    pub fn signed(until: Timestamp, kind: &str, maker: &str, digest: &[u8; 32]) -> Self {
        Self::of(until, &[kind.as_bytes(), maker.as_bytes(), b"digest", digest])
    }

    /// Each part with its length before it, so that no two lists of parts are the same bytes.
    fn of(until: Timestamp, parts: &[&[u8]]) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        for part in parts {
            context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(part);
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(context.finish().as_ref());
        Self { until, hash }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_statements_are_remembered_as_one() {
        let at = Timestamp::from_unix_seconds(1);
        let all = [
            SpentJwt::named(at, "assertion", "a", "bc"),
            SpentJwt::named(at, "assertion", "ab", "c"),
            SpentJwt::named(at, "dpop", "a", "bc"),
            SpentJwt::signed(at, "assertion", "a", &[0; 32]),
            SpentJwt::signed(at, "assertion", "a", &[1; 32]),
        ];
        for (i, one) in all.iter().enumerate() {
            assert!(all.iter().skip(i + 1).all(|other| other.hash != one.hash), "{i}");
        }
        assert_eq!(all[0], SpentJwt::named(at, "assertion", "a", "bc"));
    }
}
